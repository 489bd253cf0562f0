/**
 * What an exchange needs from the outside, as interfaces that layers below and above implement. All calls are synchronous and
 * all answers come by callback, so that a request runs from its datagram to the upstream's frame without a promise.
 */
import type { FieldSection } from "../core/fields.ts";
import type { ProxyError } from "../core/error.ts";
import type { BackendSettings, PoolSettings } from "../config/snapshot.ts";
import type { UpstreamFailure } from "./upstream-failure.ts";

/** A request body, pulled. The reader sets `onReadable` and calls `pull` until it says `null`. */
export interface BodySource {
  /** The next piece, owned by the caller; null when nothing is there now or the body has ended (see `state`). */
  pull(): Uint8Array | null;
  /** `open`: more may come. `ended`: all was pulled. `broken`: the client reset the stream or went away. */
  readonly state: "open" | "ended" | "broken";
  /** Fields that followed the body; null before its end and when there were none. A transport that cannot send them leaves them. */
  readonly trailers: FieldSection | null;
  /** Called when `pull` may have something new to say: a piece, the end or a break. */
  onReadable: (() => void) | null;
  /** The reader wants no more: the client is asked to stop sending. */
  stop(): void;
}

/** One attempt's request, as an upstream transport sees it. */
export interface UpstreamRequest {
  readonly pool: PoolSettings;
  readonly backend: BackendSettings;
  readonly method: string;
  /** Path and query as they go to the backend. */
  readonly path: string;
  /** Value of Host / `:authority` towards the backend. */
  readonly authority: string;
  /**
   * Fields for the backend: hop-by-hop ones are gone, ours are in; no pseudo-fields and no Host. Written anew with each reading, in
   * memory that others use too: read it once, and use it before anything else is called.
   */
  readonly fields: FieldSection;
  /** Null: the request has no body (not even an empty one that is still to end). */
  readonly body: BodySource | null;
  /** From Content-Length; -1 when unknown. */
  readonly contentLengthBytes: number;
}

/** The protocol that a response came by, as Via names it (RFC 9110 7.6.3). */
export type ReceivedProtocol = "1.0" | "1.1" | "2" | "3";

/** Where a transport delivers the answer. Exactly one of `onEnd` and `onFailure` is called last, unless the call was cancelled. */
export interface ResponseSink {
  /** 1xx other than 101, before the head, any number. `fields` has no pseudo-fields and is valid only during the call. */
  onInformational(status: number, fields: FieldSection): void;
  /**
   * The final head, once. `fields` has no pseudo-fields and is valid only during the call. `protocol` is the one that the backend
   * spoke; where a runtime's `fetch` does not tell, the one it was asked for.
   */
  onHead(status: number, fields: FieldSection, protocol: ReceivedProtocol): void;
  /**
   * A piece of the body: `bytes[at..end)`, there only during the call. False: full, send no more until `UpstreamCall.resume`.
   * A transport may deliver one more piece after a false. `last`: surely nothing but `onEnd` follows, so that the end can go along.
   */
  onBody(bytes: Uint8Array, at: number, end: number, last: boolean): boolean;
  /** At most once, right before `onEnd`; `fields` as with `onHead`. */
  onTrailers(fields: FieldSection): void;
  onEnd(): void;
  onFailure(failure: UpstreamFailure): void;
}

/** A request under way. */
export interface UpstreamCall {
  /** The receiver has room again. */
  resume(): void;
  /** Stop now; no callback follows. Idempotent. */
  cancel(): void;
}

/** What a transport can do beyond the least; the contract suite reads it, so that a gap is declared and not discovered. */
export interface TransportAbilities {
  /** Passes trailers on, both ways. */
  readonly trailers: boolean;
  /** Hears of 1xx. */
  readonly informational: boolean;
  /** The response may begin and flow while the request's body still does. */
  readonly fullDuplex: boolean;
}

/** A way to send requests to backends. */
export interface Upstream {
  readonly abilities: TransportAbilities;
  /** Starts an exchange. May call the sink before it returns only with `onFailure`. */
  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall;
  /** Ends idle connections and refuses new calls; running ones go on. */
  close(): void;
}

/** Time as the data plane sees it. */
export interface Clock {
  /** Monotonic milliseconds, fractions included. */
  nowMs(): number;
  /** Wall clock, milliseconds since the epoch. */
  epochMs(): number;
}

/** What is known of an exchange when it is over. */
export interface ExchangeOutcome {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** What the client got, or 499 when it went away first; 0 when the stream was reset before any head. */
  readonly status: number;
  /** Names of the pool and the backend; "" where it came to none. */
  readonly pool: string;
  readonly backend: string;
  readonly durationMs: number;
  /** Body bytes from and to the client. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly clientIp: string;
  readonly clientPort: number;
  /** Of the client's certificate; "" without one. */
  readonly clientSubject: string;
  /** Where it came in, `ip:port`; "" or left out where there is one place only. */
  readonly listener?: string;
  readonly attempts: number;
  /** Of the request, as received; null when there is no request to speak of. Valid during the call. */
  readonly fields: FieldSection | null;
  /** Which requests of its pool get a line. */
  readonly accessLog: PoolSettings["accessLog"];
  /** Null: it went well. */
  readonly error: ProxyError | null;
}

/** Takes note of every exchange, once. */
export interface Recorder {
  record(outcome: ExchangeOutcome): void;
}
