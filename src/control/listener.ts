/**
 * The QUIC side of a running proxy: socket, engine, endpoint and loop, from settings to a listening address, and back down again
 * without a descriptor or a native object left.
 */
import { createHmac, randomFillSync, randomInt } from "node:crypto";
import { isIPv6 } from "node:net";
import type {
  ConnectionSettings,
  DebugSettings,
  EarlyDataSettings,
  ListenSettings,
  RequestSettings,
  TimeoutSettings,
} from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import { ReplayGuard } from "../guard/replay-guard.ts";
import { BufferAccount } from "../guard/buffer-account.ts";
import { Http3Session } from "../h3/session.ts";
import type { RequestHandler } from "../h3/session-host.ts";
import type { FillRandom, OwnIds } from "../quic/cid.ts";
import type { Connection } from "../quic/connection.ts";
import type { CloseReason } from "../quic/engine.ts";
import { EarlyData } from "../quic/early-data.ts";
import { Endpoint } from "../quic/endpoint.ts";
import { Loop, type LoopHost } from "../quic/loop.ts";
import type { NodeSecrets } from "../quic/secrets.ts";
import type { Runtime, Waker } from "../runtime/runtime.ts";
import { systemTimers, type TimerHandle } from "../runtime/timers.ts";
import type { Library } from "../../ffi/library.ts";
import type { ClientAuth, EngineSettings } from "../../ffi/quiche/config.ts";
import { type PreparedIdentities, QuicheEngine } from "../../ffi/quiche/engine.ts";
import type { BoundSocket } from "../../ffi/udp-open.ts";
import { UdpSocket } from "../../ffi/udp-socket.ts";
import type { ServerIdentity } from "./certificates.ts";
import type { House } from "./departures.ts";
import { tokenSealer } from "./ciphers.ts";
import { ConnectionWatch, isWatching } from "./connection-watch.ts";
import { ConnectionSessionHost } from "./session-host.ts";
import { type Introduction, Introductions } from "./introductions.ts";
import { makeIdScheme, type NodeKeys } from "./node-keys.ts";
import { TURNS_AWAY } from "./turns-away.ts";

/** What a listener is among others of its node. */
export interface Seat {
  /** Of its worker, 0 to 63. */
  readonly slot: number;
  /** The same for all workers of the node. */
  readonly keys: NodeKeys;
  /** A socket that is bound already; null: the listener binds its own. */
  readonly socket: BoundSocket | null;
  /** Session tickets may have been given out before this process began, with the keys that it has. */
  readonly ticketsAreOlder: boolean;
}

/** What a listener is made of. */
export interface ListenerOptions {
  readonly seat: Seat;
  readonly runtime: Runtime;
  readonly library: Library;
  readonly counters: Counters;
  readonly listen: ListenSettings;
  readonly connections: ConnectionSettings;
  readonly requests: RequestSettings;
  readonly timeouts: TimeoutSettings;
  readonly earlyData: EarlyDataSettings;
  readonly debug: DebugSettings;
  readonly identities: readonly ServerIdentity[];
  readonly clientAuth: ClientAuth | null;
  /** Makes the answerer of one connection's requests; `buffers` says what waits for its client and for all. */
  readonly handlerOf: (connection: Connection, buffers: BufferAccount, introduction: Introduction) => RequestHandler;
  readonly onClosed: (connection: Connection, reason: CloseReason | null) => void;
}

const RESET_TOKEN_BYTES = 16;
/** quiche closes the whole connection over its limit; ours answers 431 first, so quiche's must be above it. */
const HARD_LIMIT_FACTOR = 4;

type SessionRules = ConnectionSettings & TimeoutSettings;

const TIMER_MS_MAX = 60_000;
/** What an Ethernet frame holds beside the headers of IPv6 and UDP: the kernel refuses more, and nothing of it would arrive. */
const PAYLOAD_IPV6_BYTES_MAX = 1452;
/** Of the time that what runs has to end: clients are told in the first part of it. */
const GOAWAY_SHARE_MAX = 0.25;
/** RFC 9000 20.1. */
const CONNECTION_REFUSED = 0x02;

/** A listening address with its connections. */
export class Listener implements House {
  readonly socket: UdpSocket;
  readonly endpoint: Endpoint;
  /** Of all connections' output that waits for clients. */
  readonly buffers: BufferAccount;
  readonly #engine: QuicheEngine;
  readonly #watch: ConnectionWatch | null = null;
  readonly #loop: Loop;
  /** What connections that come go by. */
  #rules: SessionRules;
  #connectionBufferBytesMax: number;
  readonly #timing = { turnDue: false, deadlineMs: Infinity, onWake: (): void => this.#loop.onWake() };
  #introductions: Introductions;
  #waker: Waker | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #looking: TimerHandle | null = null;
  #closed = false;

  /** Binds the socket. Throws what `UdpSocket` and `QuicheEngine` throw; nothing is left open then. */
  constructor(options: ListenerOptions) {
    const { library, counters, listen, connections } = options;
    this.buffers = new BufferAccount(options.requests.bufferBytesMax);
    this.#rules = { ...connections, ...options.timeouts };
    this.#connectionBufferBytesMax = options.requests.connectionBufferBytesMax;
    this.socket = new UdpSocket(
      library,
      options.seat.socket ?? {
        ip: listen.address,
        port: listen.port,
        receiveBufferBytes: connections.udpReceiveBufferBytes,
        sendBufferBytes: connections.udpSendBufferBytes,
      },
      counters,
    );
    try {
      const { debug } = options;
      this.#watch = isWatching(debug)
        ? new ConnectionWatch(debug, library, counters, (bound) => randomInt(bound))
        : null;
      this.#engine = new QuicheEngine(library, this.socket, engineSettings(options), counters, this.#watch);
    } catch (thrown) {
      this.#watch?.close();
      this.socket.close();
      throw thrown;
    }
    this.#introductions = new Introductions(options.identities, listen, counters);
    this.#loop = new Loop(this.#loopHost(), counters);
    this.endpoint = this.#makeEndpoint(options);
    this.#loop.add(this.endpoint);
  }

  get connectionCount(): number {
    return this.endpoint.connectionCount;
  }

  get openCount(): number {
    let count = 0;
    for (const { isOpen } of this.endpoint.connections) if (isOpen) count += 1;
    return count;
  }

  /** What `close` would break off now: connections, and requests on them. */
  unfinished(): { readonly connections: number; readonly requests: number } {
    const counts = [...this.endpoint.connections].map(({ unfinished }) => unfinished).filter((count) => count > 0);
    return { connections: counts.length, requests: counts.reduce((sum, count) => sum + count, 0) };
  }

  /** Other bounds and waits from now on: for connections that come, and for all together. */
  configure({ connections, requests, timeouts }: Pick<ListenerOptions, "connections" | "requests" | "timeouts">): void {
    this.#rules = { ...connections, ...timeouts };
    this.#connectionBufferBytesMax = requests.connectionBufferBytesMax;
    this.buffers.resize(requests.bufferBytesMax);
    const { handshakeMs } = timeouts;
    this.endpoint.configure({ admission: connections, handshakeMs, goawaySpreadMs: goawaySpreadOf(timeouts) });
  }

  /** Begins to serve. */
  async start(runtime: Runtime, library: Library): Promise<void> {
    this.#waker = await runtime.createWaker(library, [this.socket.fd], this.#timing);
    this.#loop.start();
    this.#looking = systemTimers.every(LIMITS.packetLookMs, () => this.endpoint.counts.look());
  }

  /** For new handshakes; connections that exist go on with what they have. Throws `CERTIFICATE`, and then nothing has changed. */
  prepareIdentities(
    identities: readonly ServerIdentity[],
    clientAuth: ClientAuth | null,
    listen: ListenSettings,
  ): PreparedIdentities {
    const introductions = new Introductions(identities, listen, this.endpoint.counters);
    const { commit, abandon } = this.#engine.prepareIdentities(identities, clientAuth);
    return {
      commit: () => {
        commit();
        this.#introductions = introductions;
      },
      abandon,
    };
  }

  /** GOAWAY to all, no new connections. Handshakes are refused: one whose client is gone would hold the drain for its idle time. */
  drain(): void {
    this.endpoint.drain(performance.now());
    const unfinished = [...this.endpoint.connections].filter(({ driver }) => driver === null);
    for (const connection of unfinished) connection.dismiss(CONNECTION_REFUSED);
    this.#loop.requestTurn();
  }

  /** GOAWAY to all; whoever still comes is served. */
  retire(): void {
    this.endpoint.retire(performance.now());
    this.#loop.requestTurn();
  }

  /** Closes what is left with an HTTP/3 code and frees everything. Idempotent. */
  close(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#loop.stop();
    this.#looking?.stop();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.endpoint.closeAll(code);
    this.#waker?.close();
    this.#engine.close();
    this.#watch?.close();
    this.socket.close();
  }

  #loopHost(): LoopHost {
    const timing = this.#timing;
    const onTimer = (): void => {
      this.#timer = null;
      timing.deadlineMs = Infinity;
      this.#loop.onTimer();
    };
    const onImmediate = (): void => {
      timing.turnDue = false;
      this.#loop.turn();
    };
    return {
      nowMs: () => performance.now(),
      requestTurn: () => {
        timing.turnDue = true;
        setImmediate(onImmediate);
      },
      wakeAt: (deadlineMs) => {
        if (this.#timer !== null) clearTimeout(this.#timer);
        const delayMs = Math.min(Math.max(0, deadlineMs - performance.now()), TIMER_MS_MAX);
        timing.deadlineMs = deadlineMs;
        this.#timer = setTimeout(onTimer, delayMs);
      },
      armWaker: (alsoWritable) => this.#waker?.arm(alsoWritable),
    };
  }

  #makeEndpoint(options: ListenerOptions): Endpoint {
    const { counters, connections, timeouts, seat } = options;
    const fillRandom = (bytes: Uint8Array): void => void randomFillSync(bytes);
    return new Endpoint(
      {
        engine: this.#engine,
        counters,
        ids: ownIds(seat, fillRandom),
        fillRandom,
        tokens: tokenSealer(seat.keys.shared, fillRandom),
        epochMs: () => Date.now(),
        admission: connections,
        handshakeMs: timeouts.handshakeMs,
        burstBytes: connections.pacing ? connections.initialWindowPackets * payloadBytesMax(options) : 0,
        goawaySpreadMs: goawaySpreadOf(timeouts),
        earlyData: options.earlyData.allowed
          ? new EarlyData(new ReplayGuard(performance.now(), seat.ticketsAreOlder), counters)
          : null,
        onOpen: (connection, session) => {
          const buffers = new BufferAccount(this.#connectionBufferBytesMax, this.buffers);
          const host = new ConnectionSessionHost(this.endpoint, connection, buffers);
          const introduction = this.#introductions.of(connection, Date.now());
          const handler = introduction === null ? TURNS_AWAY : options.handlerOf(connection, buffers, introduction);
          return new Http3Session(session, host, handler, this.#rules);
        },
        onClosed: options.onClosed,
        requestTurn: () => this.#loop.requestTurn(),
      },
      performance.now(),
    );
  }
}

function goawaySpreadOf({ goawaySpreadMs, drainMs }: TimeoutSettings): number {
  return Math.min(goawaySpreadMs, drainMs * GOAWAY_SHARE_MAX);
}

function ownIds({ slot, keys }: Seat, fillRandom: FillRandom): readonly [OwnIds, ...OwnIds[]] {
  const one = (secrets: NodeSecrets): OwnIds => ({
    scheme: makeIdScheme(keys, secrets, slot, fillRandom),
    resetTokenOf: (id) => {
      const digest = createHmac("sha256", secrets.reset).update(id).digest();
      return new Uint8Array(digest.subarray(0, RESET_TOKEN_BYTES));
    },
  });
  const [first, ...others] = keys.ids;
  return [one(first), ...others.map(one)];
}

function engineSettings(options: ListenerOptions): EngineSettings {
  const { seat, connections, timeouts, earlyData, debug, identities, clientAuth } = options;
  return {
    identities,
    clientAuth,
    ticketKeys: seat.keys.shared.map(({ ticket }) => ticket),
    idleTimeoutMs: timeouts.quicIdleMs,
    connectionWindowBytes: connections.connectionWindowBytes,
    streamWindowBytes: connections.streamWindowBytes,
    congestionControl: connections.congestionControl,
    initialWindowPackets: connections.initialWindowPackets,
    udpPayloadBytesMax: payloadBytesMax(options),
    pmtuDiscovery: connections.pmtuDiscovery,
    streamsMax: connections.streamsPerConnectionMax,
    fieldSectionBytesMax: connections.headerBytesMax * HARD_LIMIT_FACTOR,
    earlyData: earlyData.allowed,
    keylog: isWatching(debug) && debug.keylogFile !== null,
  };
}

function payloadBytesMax({ listen, connections }: ListenerOptions): number {
  return Math.min(connections.udpPayloadBytesMax, isIPv6(listen.address) ? PAYLOAD_IPV6_BYTES_MAX : Infinity);
}
