import { BodyTallies } from "./body-tallies.ts";
import { Histogram } from "./histogram.ts";

/** One event told apart by a word, such as a reason. The words come from closed lists of the program, never from peers. */
class CounterFamily {
  readonly #counts = new Map<string, number>();

  /** Counts one more. For events that are not the common way: it costs a lookup. */
  add(word: string): void {
    this.#counts.set(word, this.of(word) + 1);
  }

  of(word: string): number {
    return this.#counts.get(word) ?? 0;
  }

  /** The words so far with their counts. */
  entries(): Iterable<readonly [string, number]> {
    return this.#counts.entries();
  }
}

/**
 * What happened, counted. Plain numeric fields: an increment costs one store, and every layer may write. Names are those of
 * the events; their exposition (names, labels, units) is the business of `observe`.
 */
export class Counters {
  // Datagrams and the loop.
  datagramsReceived = 0;
  datagramsSent = 0;
  bytesReceived = 0;
  bytesSent = 0;
  receiveCalls = 0;
  sendCalls = 0;
  turns = 0;
  wakeUps = 0;
  datagramsTruncated = 0;
  datagramsMalformed = 0;
  datagramsUnknownId = 0;
  datagramsFromPortZero = 0;
  kernelDrops = 0;
  gsoFallbacks = 0;
  sendErrors = 0;
  sendBlocked = 0;
  versionNegotiations = 0;
  heldFlushes = 0;
  /** Flushes that stopped so that the rest is no burst. */
  flushesPaced = 0;

  // Connections.
  connectionsAccepted = 0;
  connectionsEstablished = 0;
  /** Of these, the ones that began with a session ticket. */
  connectionsResumed = 0;
  connectionsClosed = 0;
  /** Chosen to be written down (keylog, qlog). */
  connectionsWatched = 0;
  /** Files of these that could not be made or written; files that ended, or secrets left out, at a bound; qlogs that were not begun for one. */
  watchErrors = 0;
  watchCut = 0;
  qlogsRefused = 0;
  connectionsRefused = 0;
  /** Of these: for a token that cannot be, since the engine made none, and by the bound that was reached. */
  connectionsBadToken = 0;
  connectionsNotMade = 0;
  connectionsOverTotal = 0;
  connectionsOverAddress = 0;
  connectionsOverRate = 0;
  connectionsOverHandshakes = 0;
  connectionsWhileDraining = 0;
  refusalsSent = 0;
  refusalsWithheld = 0;
  /** Clients that were asked to show their address first, and those that would have been but for the rate. */
  retriesSent = 0;
  retriesWithheld = 0;
  /** Tokens of Retries that were taken, those that are none of a Retry of ours, and those refused, by `TokenFault`. */
  tokensValid = 0;
  tokensIgnored = 0;
  readonly tokensRefused = new CounterFamily();
  /** Stateless resets: sent; over their rate; for packets too small to be answered. */
  resetsSent = 0;
  resetsWithheld = 0;
  resetsTooShort = 0;
  connectionsTimedOut = 0;
  handshakesFailed = 0;
  handshakesTimedOut = 0;
  /** Handshakes that ended with a TLS alert, by its name: ours about clients and their certificates, and theirs about ours. */
  readonly tlsAlertsSent = new CounterFamily();
  readonly tlsAlertsReceived = new CounterFamily();
  /** Connections that were ended: the client's certificate has expired since it got its ticket, or cannot be read. */
  clientCertificatesLapsed = 0;
  /** Handshakes in which early data was taken; of those, the ones that may be repetitions, by `ReplayDoubt`. */
  earlyConnections = 0;
  readonly earlyDoubts = new CounterFamily();
  /** Clients with a ticket whose early data was not taken, by `EarlyReason`. */
  readonly earlyRejected = new CounterFamily();
  migrations = 0;
  /** Told to go on elsewhere (GOAWAY): their clients came from too many addresses. */
  connectionsOverPaths = 0;
  /** Closed because their clients gave up or broke too many requests, or sent too much that brought nothing. */
  connectionsOverResets = 0;
  connectionsOverGlitches = 0;
  /** The most that any connection has used of its glitch budget, tokens. */
  glitchesHighest = 0;
  /** Ended by us: without a request for too long, or after so many. */
  connectionsIdle = 0;
  connectionsOverRequests = 0;
  /** Broken off with requests unfinished, and those requests: the time that they had to end was over. */
  connectionsCutOff = 0;
  requestsCutOff = 0;
  /** From the first packet that was let in to the end of the handshake. */
  readonly handshakeMs = new Histogram();
  /** Packets that we sent on connections, those of them that were lost, and those that carried something once more. */
  packetsSent = 0;
  packetsLost = 0;
  packetsRetransmitted = 0;
  /** The smoothed round trip of an established connection, whenever it is looked at and has sent something since the last time. */
  readonly roundTripMs = new Histogram();

  // Requests.
  requestsStarted = 0;
  /** Requests that went to a backend as early data, those that waited for the end of the handshake, and those sent again after a 425. */
  earlyRequests = 0;
  earlyRequestsHeld = 0;
  earlyRequestsRepeated = 0;
  requestsMalformed = 0;
  /** The same by `MalformedReason`. */
  readonly malformedReasons = new CounterFamily();
  requestsHeadTooLarge = 0;
  /** Answered 421: for a host that another certificate of ours is for. */
  requestsMisdirected = 0;
  requestsUriTooLong = 0;
  requestsRejectedDraining = 0;
  /** Requests whose head did not come whole in time, and those that were over before it had. */
  requestHeadsLate = 0;
  requestHeadsBroken = 0;
  requestsCompleted = 0;
  requestsFailed = 0;
  requestsAborted = 0;
  /** Requests that did not go well, by `ErrorCode`. */
  readonly requestErrors = new CounterFamily();
  requestsBodyTooLarge = 0;
  /** Whole requests that took longer than they may. */
  requestsTimedOut = 0;
  /** Requests answered 503 for want of room, by where it was wanting: `ShedCause`. */
  readonly requestsShed = new CounterFamily();
  /** Requests whose backend is not told apart in metrics: configurations have named too many since the start. */
  requestsUntold = 0;
  retries = 0;
  responsesReset = 0;
  /** Of those: more waited for the client than a stream may hold. */
  streamBuffersOverfull = 0;
  informationalDropped = 0;
  /** Bytes of bodies, by pool. */
  readonly bodies = new BodyTallies();
  /** From a request's head to the last byte that the client took, or to whatever else ended it. */
  readonly requestMs = new Histogram();
  /** From a request's head to the head of the backend's response, all attempts included. */
  readonly firstByteMs = new Histogram();
  /** How late the runtime's timers were: while its loop works, or sleeps outside (`sleepMsMax`), nothing else is done. */
  readonly loopDelayMs = new Histogram();

  // Upstream and health.
  upstreamAttempts = 0;
  /** From the start of an attempt to the head of the backend's response. */
  readonly upstreamHeadMs = new Histogram();
  /** From the start of an attempt to its end, good or bad. */
  readonly upstreamMs = new Histogram();
  upstreamConnections = 0;
  /** Over clients of ours: from the first step of a connection to its last, TLS included; and those that were not made, by `ErrorCode`. */
  readonly upstreamConnectMs = new Histogram();
  readonly upstreamConnectsFailed = new CounterFamily();
  upstreamWrites = 0;
  upstreamOverflows = 0;
  /** Attempts that failed, by `ErrorCode`. */
  readonly upstreamFailures = new CounterFamily();
  upstreamFallbacks = 0;
  /** Requests to backends of fetch that went over a client of ours, since fetch cannot carry them. */
  fetchAvoided = 0;
  /** Requests that went over a client of ours because those by fetch were many, or one of them held its connection's window. */
  fetchCrowded = 0;
  /** Requests over fetch that asked for trailers or for a 100, which it keeps from them. */
  fetchLossy = 0;
  /** Responses over fetch that announced trailers, which it keeps to itself. */
  fetchTrailersLost = 0;
  upstreamDeadlines = 0;
  clientDeadlines = 0;
  upstreamDials = 0;
  protocolInquiries = 0;
  upstreamH1Refused = 0;
  upstreamH1Limits = 0;
  upstreamH1Surplus = 0;
  probesSent = 0;
  probesFailed = 0;
  probesDelayed = 0;
  healthTransitions = 0;
  ringWalksCut = 0;

  // HTTP/2 towards backends.
  h2Connections = 0;
  h2StreamsOpened = 0;
  h2StreamsRefused = 0;
  h2StreamsReset = 0;
  h2StreamFaults = 0;
  h2StreamsResetByPeer = 0;
  h2SectionsTooLarge = 0;
  h2InformationalCut = 0;
  h2OpensRefused = 0;
  h2SendsBlocked = 0;
  h2RequestsTooLarge = 0;
  h2EndsByReset = 0;
  h2LengthsWrong = 0;
  h2ConnectionsAged = 0;
  h2PingsSent = 0;
  h2PingTimeouts = 0;
  h2SettingsTimeouts = 0;
  h2GoawaysReceived = 0;
  h2FloodsCut = 0;
  h2BlocksCut = 0;
  h2OutputOverfull = 0;
  h2ConnectionFaults = 0;

  /** Requests on the control socket that were refused for their form, and connections over the most that it takes. */
  controlRefusals = 0;
  /** Connections to where metrics and health are, and requests there that read. */
  doorConnections = 0;
  doorRequests = 0;
  /** Requests there that do not read, or are of another method or for another path. */
  doorRefusals = 0;
  /** Connections there that made room for another one, and that took too long. */
  doorConnectionsCut = 0;
  doorTimeouts = 0;

  // Logging.
  /** Requests without a line: of quiet pools, and those that sampling left out. */
  accessLinesLeftOut = 0;
  logLinesDropped = 0;
  logWriteErrors = 0;
}

/**
 * What has happened at all: names in snake case, those of a family with their word behind a point, those of a histogram with the border of
 * each bucket behind a colon (`readHistograms` tells them apart), those by pool with its label (`labels.ts`).
 */
export function countersSeen(counters: Counters): Record<string, number> {
  const seen: Record<string, number> = {};
  for (const [name, value] of Object.entries(counters)) {
    const words = seenName(name);
    if (typeof value === "number" && value !== 0) seen[words] = value;
    else if (value instanceof CounterFamily)
      for (const [word, count] of value.entries()) seen[`${words}.${word}`] = count;
    else if (value instanceof Histogram) value.writeTo(seen, words);
    else if (value instanceof BodyTallies) value.writeTo(seen);
  }
  return seen;
}

/** A field's name among counts. */
export function seenName(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

type FieldName<Kind> = {
  [Name in keyof Counters]: Counters[Name] extends Kind ? Name : never;
}[keyof Counters];

/** The counters that are one number. */
export type CounterName = FieldName<number>;
/** Those that are told apart by a word. */
export type FamilyName = FieldName<CounterFamily>;
/** Those that are durations. */
export type HistogramName = FieldName<Histogram>;
