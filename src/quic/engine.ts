/**
 * The engine port: what the QUIC side of Spooky needs of a QUIC library and of a UDP socket, in plain numbers and byte views.
 * `ffi/` implements it with libquiche and libc; the simulation bed implements it with a fake. Nothing in this layer knows
 * that the engine is C.
 */
import type { Counters } from "../core/counters.ts";

/** One UDP socket with a batch of received datagrams and a batch of datagrams to send. */
export interface DatagramSocket {
  /** The address it is bound to, for people: `127.0.0.1:443` or `[::]:443`. */
  readonly localText: string;
  readonly localPort: number;
  /** Takes up to a turn's worth of datagrams from the kernel; returns how many. They stay until the next call. */
  receive(): number;
  /** The memory all received datagrams lie in; the engine may change the bytes while it reads a packet. */
  readonly received: Uint8Array;
  /** Where datagram `slot` begins in `received`. */
  offsetOf(slot: number): number;
  /** Its length in bytes. */
  lengthOf(slot: number): number;
  /** Its sender's address as four words of 32 bits, the highest first, IPv4 as IPv4-mapped IPv6. Overwritten by the next call. */
  peerWords(slot: number): Uint32Array;
  /** And its port. */
  peerPort(slot: number): number;
  /** Hands everything collected to the kernel. False: the kernel takes no more now; wait until the socket is writable. */
  flush(): boolean;
  close(): void;
}

/** Results of `send` beside a length in bytes. */
export const SEND_DONE = 0;
/** The batch is full: flush the socket and try again. */
export const SEND_FULL = -1;

/** Where the ids of a long header lie in `DatagramSocket.received`. */
export interface HeaderIds {
  readonly dcidAt: number;
  readonly dcidLength: number;
  readonly scidAt: number;
  readonly scidLength: number;
}

/** Ids of a handshake that began with a Retry; both become transport parameters (RFC 9000 7.3). */
export interface RetryIds {
  /** The destination id of the client's first Initial. */
  readonly originalId: Uint8Array;
  /** The source id of the Retry. */
  readonly retryId: Uint8Array;
}

/** How fast a path may be sent on. */
export interface Pace {
  cwndBytes: number;
  roundTripMs: number;
}

/** Who knows. */
export interface PacedPath {
  /** Writes the congestion window and the smoothed round trip of the path in use. */
  readPace(pace: Pace): void;
}

/** What became of a connection's packets. None of it ever gets less. */
export interface PacketFacts {
  sent: number;
  lost: number;
  /** Those that carried something once more. */
  retransmitted: number;
}

/** Negative results of `EngineConnection.feed`. */
export const FEED = {
  /** The peer broke a rule: the connection is closing, `closeReason` says why. */
  wrong: -1,
  /** Nothing of it could be authenticated, and nothing ever was on this connection: it may come from anybody. The connection is closing. */
  junk: -2,
} as const;

/** Makes connections on one socket. */
export interface QuicEngine {
  readonly socket: DatagramSocket;
  readonly counters: Counters;
  /**
   * A server connection for the Initial in datagram `slot`. Null when the engine refuses. `scid` is the id the client shall use and
   * `resetToken` belongs to it (RFC 9000 10.3). `retry`: the client has answered one.
   */
  accept(slot: number, scid: Uint8Array, resetToken: Uint8Array, retry: RetryIds | null): EngineConnection | null;
  /** Queues a Version Negotiation packet for the sender of datagram `slot`; the ids lie in `received`. */
  sendVersionNegotiation(slot: number, ids: HeaderIds): void;
  /** Queues a Retry from `retryId` with `token` for the sender of the Initial in datagram `slot`. False: no room. */
  sendRetry(slot: number, ids: HeaderIds, retryId: Uint8Array, token: Uint8Array): boolean;
  /** Queues a datagram that was made outside for the sender of datagram `slot`. False: no room. */
  answer(slot: number, datagram: Uint8Array): boolean;
  /** Queues CONNECTION_CLOSE with a transport code in an Initial packet for the sender of the Initial in datagram `slot`. False: no room. */
  refuse(slot: number, ids: HeaderIds, code: number): boolean;
  /** Frees what all connections shared. Connections must be freed before. */
  close(): void;
}

/** How a connection ended. `code` is meaningful when `by` is a side; `app` tells HTTP/3 codes from transport codes. */
export interface CloseReason {
  readonly by: "peer" | "local" | "idle";
  readonly app: boolean;
  readonly code: number;
  readonly reason: string;
}

/** What became of early data on a connection, as TLS says: taken, or why not. */
export type EarlyReason =
  | ("accepted" | "off" | "not-offered" | "no-ticket" | "ticket-not-taken" | "ticket-without" | "ticket-age")
  | ("other-limits" | "hello-retry" | "alpn" | "alps" | "channel-id" | "protocol-version" | "unknown");

/** What TLS knows of a client's first flight. */
export interface EarlyFacts {
  /** Of its ClientHello: 32 bytes that a client uses once. */
  readonly random: Uint8Array;
  /** By how many seconds the age that it states for its ticket is above the one that we reckon. */
  readonly ticketAgeSkewSeconds: number;
  readonly reason: EarlyReason;
}

/** One connection of the engine. After `free` every call is an assertion. */
export interface EngineConnection extends PacedPath {
  /** The client's address as `ip` and `port` at the start. */
  readonly peerIp: string;
  readonly peerPort: number;
  /** Feeds datagram `slot`. Negative: one of `FEED`. */
  feed(slot: number): number;
  /** Writes the next datagram, of at most `bytesMax` bytes, into the socket's batch: its length, `SEND_DONE` or `SEND_FULL`. */
  send(bytesMax: number): number;
  /** Milliseconds until `onTimeout` must be called; -1 for never. */
  timeoutMs(): number;
  onTimeout(): void;
  isEstablished(): boolean;
  /** Once established: the handshake went by a session ticket, without a certificate. */
  isResumed(): boolean;
  /** The client has sent early data (0-RTT) that was taken, and the handshake is not done. */
  isInEarlyData(): boolean;
  /** For slow paths, once the client's first flight was read: it makes an object. */
  earlyFacts(): EarlyFacts;
  isDraining(): boolean;
  isClosed(): boolean;
  closeReason(): CloseReason | null;
  /** Starts closing; `app` for HTTP/3 codes. Idempotent. */
  close(app: boolean, code: number, reason: string): void;
  /** How many more ids the peer would take from us. */
  idsWanted(): number;
  /** Offers the peer another id. False when the engine refuses it. */
  offerId(id: Uint8Array, resetToken: Uint8Array): boolean;
  /** Calls back for each id the peer has retired since the last call, with a view valid during the call. */
  takeRetiredIds(onRetired: (id: Uint8Array) => void): void;
  /** Takes note of what happened to the connection's paths since the last call; returns how often the peer has moved, validated. */
  takeMigrations(): number;
  /** Addresses of the peer that the engine keeps a path for, as far as `takeMigrations` has learned. */
  readonly pathCount: number;
  /** Begins HTTP/3 on a connection that is established or in early data. Null when the engine refuses. */
  openSession(): EngineSession | null;
  /** Writes what became of the packets so far, for all paths together. */
  readPacketFacts(facts: PacketFacts): void;
  /** The smoothed round trip, milliseconds; the longest of the connection's paths. 0 before there is a session. */
  roundTripMs(): number;
  /**
   * The certificates that the client has shown and that were verified, DER, its own first; none without. A resumed session keeps them. For slow
   * paths: it makes copies.
   */
  peerCertificates(): Uint8Array[];
  /** The server name the client asked for (SNI), or "". */
  serverName(): string;
  free(): void;
}

/** What `EngineSession.poll` found. */
export const EVENT = {
  none: 0,
  /** A field section for `streamId`: a head, or trailers. Read it with `section`. */
  fields: 1,
  /** Body bytes can be read from `streamId`. */
  data: 2,
  /** The peer has ended `streamId`. */
  finished: 3,
  /** The peer has reset `streamId`. */
  reset: 4,
  /** The peer goes away. */
  goaway: 5,
  /** Of no interest here. */
  other: 6,
  /** The connection is being closed by the engine because of an HTTP/3 error. */
  failed: 7,
} as const;

/** One of `EVENT`. */
export type EventKind = (typeof EVENT)[keyof typeof EVENT];

/** Negative results of the session's stream calls. */
export const STREAM = {
  /** No room (writing) or nothing there (reading) now. */
  blocked: -1,
  /** The peer asked us to stop sending. */
  stopped: -2,
  /** The peer reset the stream, or it is gone. */
  gone: -3,
} as const;

/** Which section of a message is sent. */
export const SECTION = { head: 0, additionalHead: 1, trailers: 2 } as const;

/** One of `SECTION`. */
export type SectionKind = (typeof SECTION)[keyof typeof SECTION];

/** HTTP/3 on one connection. Freed with its connection. */
export interface EngineSession {
  /** The next event; its stream is in `streamId`, its facts in `moreFrames` and `section`. */
  poll(): EventKind;
  readonly streamId: number;
  /** For `fields`: false when the message ends with this section. */
  readonly moreFrames: boolean;
  /** For `fields`: the flat section (see `core/fields.ts`) is the first `sectionBytes` of this, until the next `poll`. Null when it was too large. */
  readonly section: Uint8Array | null;
  readonly sectionBytes: number;
  /** Reads body bytes into `bodyBytes`: how many, or a `STREAM` number. */
  readBody(streamId: number): number;
  /** Events that reading a body came upon wait for `poll`: let the session work soon. */
  readonly hasPending: boolean;
  /** Where `readBody` puts them; overwritten by the next call on any session of the engine. */
  readonly bodyBytes: Uint8Array;
  /** True when the peer's side of the stream has ended and everything was read. */
  isFinished(streamId: number): boolean;
  /** Sends a flat section: 0 or a `STREAM` number. */
  sendSection(streamId: number, section: Uint8Array, kind: SectionKind, fin: boolean): number;
  /** Sends `bytes[at..end)`: how many of them were taken (all, or fewer), or a `STREAM` number. With `fin` an empty piece ends the stream. */
  sendBody(streamId: number, bytes: Uint8Array, at: number, end: number, fin: boolean): number;
  /** Bytes that the stream's and the connection's windows take now, frame headers included, or a `STREAM` number. */
  roomOf(streamId: number): number;
  /** 0 when the peer still listens on the stream, else a `STREAM` number. */
  checkWritable(streamId: number): number;
  /** Brings the counts below up to date, in one call. */
  refreshCounts(): void;
  /** Since the connection began: streams that the peer has reset or asked us to stop sending on. */
  readonly aborts: number;
  /** Packets that came, were genuine and no repetition, and their bytes. */
  readonly packetsReceived: number;
  readonly bytesReceived: number;
  /** Bytes of our packets that the peer has acknowledged. */
  readonly bytesAcknowledged: number;
  /** Right then: request streams with bytes that were not read; `poll` reads heads, `readBody` bodies. */
  readonly readableStreams: number;
  /** Frames without a byte of body that `readBody` has stepped over; always up to date. */
  readonly emptyFrames: number;
  /** Which of `count` streams `firstId`, `firstId` + 4 ... exist: seen, and not over. For slow paths: it makes an array. */
  openStreams(firstId: number, count: number): number[];
  /** True when the peer has reset its side of a stream whose bytes were not all read. */
  isReset(streamId: number): boolean;
  /** Resets our side and asks the peer to stop on its side. */
  resetStream(streamId: number, code: number): void;
  /** Asks the peer to stop sending; our side goes on. */
  stopReading(streamId: number, code: number): void;
  /**
   * GOAWAY with the id from which on requests are not taken (RFC 9114 5.2); null for the highest there is, 2^62 - 4, which no number here
   * is exactly. Ids must not grow. False: the connection has no room for it now.
   */
  sendGoaway(streamId: number | null): boolean;
  /** The smoothed round trip, milliseconds; the longest of the connection's paths. */
  roundTripMs(): number;
}
