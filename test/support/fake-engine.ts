/**
 * The engine port by script: a socket, connections and sessions that do what a test tells them, keep the time it gives them, and
 * write down what they were asked to do. A call that breaks the port's contract (use after free, a body before its head, anything
 * after the end of a stream) throws at once, so every test that runs on it also tests those.
 */
import { assert } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { LIMITS } from "../../src/core/limits.ts";
import {
  type CloseReason,
  type EarlyFacts,
  type EngineConnection,
  type EngineSession,
  EVENT,
  type EventKind,
  type HeaderIds,
  type PacketFacts,
  type QuicEngine,
  type RetryIds,
  SECTION,
  type SectionKind,
  SEND_DONE,
  SEND_FULL,
  STREAM,
  type Pace,
} from "../../src/quic/engine.ts";
import { FakeSocket, STALE } from "./fake-socket.ts";
import { type Field, fieldsOfFlat, flatOf } from "./sections.ts";

const PACKET_BYTES = 1200;

/** Makes connections of whatever comes. */
export class FakeEngine implements QuicEngine {
  readonly socket = new FakeSocket();
  readonly counters = new Counters();
  /** Every connection ever made, in order. */
  readonly connections: FakeConnection[] = [];
  /** Datagrams that were answered with Version Negotiation, by their two ids. */
  readonly negotiated: { readonly dcid: Uint8Array; readonly scid: Uint8Array }[] = [];
  /** Initials that were answered with CONNECTION_CLOSE, by their ids and the code. */
  readonly refused: { readonly dcid: Uint8Array; readonly scid: Uint8Array; readonly code: number }[] = [];
  /** Initials that were answered with a Retry. */
  readonly retries: Readonly<Record<"dcid" | "scid" | "retryId" | "token", Uint8Array>>[] = [];
  /** Datagrams that were made outside. */
  readonly answers: Uint8Array[] = [];
  /** While true nothing is accepted. */
  refuses = false;
  /** Called with each new connection before it is fed: where a test sets it up. */
  onAccept: (connection: FakeConnection) => void = () => undefined;

  accept(_slot: number, scid: Uint8Array, resetToken: Uint8Array, retry: RetryIds | null): EngineConnection | null {
    if (this.refuses) return null;
    const connection = new FakeConnection(this.socket, scid, resetToken, retry);
    this.connections.push(connection);
    this.onAccept(connection);
    return connection;
  }

  sendVersionNegotiation(_slot: number, ids: HeaderIds): void {
    this.negotiated.push(this.#idsOf(ids));
    this.socket.append({ from: null });
  }

  sendRetry(_slot: number, ids: HeaderIds, retryId: Uint8Array, token: Uint8Array): boolean {
    if (!this.socket.append({ from: null })) return false;
    this.retries.push({ ...this.#idsOf(ids), retryId, token });
    return true;
  }

  answer(_slot: number, datagram: Uint8Array): boolean {
    if (!this.socket.append({ from: null })) return false;
    this.answers.push(datagram.slice());
    return true;
  }

  refuse(_slot: number, ids: HeaderIds, code: number): boolean {
    if (!this.socket.append({ from: null })) return false;
    this.refused.push({ ...this.#idsOf(ids), code });
    return true;
  }

  #idsOf(ids: HeaderIds): { dcid: Uint8Array; scid: Uint8Array } {
    const { received } = this.socket;
    return {
      dcid: received.slice(ids.dcidAt, ids.dcidAt + ids.dcidLength),
      scid: received.slice(ids.scidAt, ids.scidAt + ids.scidLength),
    };
  }

  /** Connections that were not freed. */
  get alive(): number {
    return this.connections.filter((connection) => !connection.freed).length;
  }

  close(): void {
    assert(this.alive === 0, "connections are freed before what they share");
  }
}

/** A connection. It owes a packet for whatever it was fed and whatever was written, as if all of it fitted into one. */
export class FakeConnection implements EngineConnection {
  readonly peerIp = "192.0.2.1";
  readonly peerPort = 50_000;
  /** The id of the handshake, with its token. */
  readonly scid: Uint8Array;
  readonly resetToken: Uint8Array;
  readonly retry: RetryIds | null;
  /** What was fed, in order. */
  readonly fed: Uint8Array[] = [];
  /** How often `onTimeout` came. */
  timeouts = 0;
  /** Packets it has to send. */
  packets = 0;
  established = false;
  resumed = false;
  inEarlyData = false;
  early: EarlyFacts = { random: new Uint8Array(32), ticketAgeSkewSeconds: 0, reason: "no-ticket" };
  draining = false;
  closed = false;
  freed = false;
  timeoutInMs = -1;
  /** What it says of its path, and how often it was asked. */
  readonly packetFacts: PacketFacts = { sent: 0, lost: 0, retransmitted: 0 };
  smoothedMs = 0;
  looks = 0;
  readonly pace: Pace = { cwndBytes: 120_000, roundTripMs: 50 };
  reason: CloseReason | null = null;
  /** How many more ids the peer takes, and those it was offered. */
  wanted = 0;
  refusesIds = false;
  readonly offered: Uint8Array[] = [];
  /** Ids that the peer has retired since they were last asked for. */
  readonly retired: Uint8Array[] = [];
  /** How often the peer has moved since it was last asked. */
  migrations = 0;
  pathCount = 1;
  refusesSession = false;
  session: FakeSession | null = null;
  /** Each `close`, as it was called. */
  readonly closes: { readonly app: boolean; readonly code: number; readonly reason: string }[] = [];
  /** What `feed` finds instead of a good datagram. */
  feedResult: number | null = null;
  /** Called with each datagram that is fed: the peer's part of a script. */
  onFeed: (datagram: Uint8Array) => void = () => undefined;
  readonly #socket: FakeSocket;

  constructor(
    socket: FakeSocket,
    scid: Uint8Array = new Uint8Array(18),
    resetToken: Uint8Array = new Uint8Array(16),
    retry: RetryIds | null = null,
  ) {
    this.#socket = socket;
    this.scid = scid;
    this.resetToken = resetToken;
    this.retry = retry;
  }

  feed(slot: number): number {
    this.#assertAlive();
    const at = this.#socket.offsetOf(slot);
    const datagram = this.#socket.received.slice(at, at + this.#socket.lengthOf(slot));
    this.fed.push(datagram);
    this.owe();
    this.onFeed(datagram);
    return this.feedResult ?? datagram.length;
  }

  /** There is something to say to the peer. */
  owe(): void {
    this.packets = Math.max(this.packets, 1);
  }

  send(bytesMax: number): number {
    this.#assertAlive();
    assert(bytesMax > 0, "a connection that may send nothing is not asked to");
    if (this.packets === 0) return SEND_DONE;
    if (!this.#socket.append({ from: this })) return SEND_FULL;
    this.packets -= 1;
    return Math.min(PACKET_BYTES, bytesMax);
  }

  readPace(pace: Pace): void {
    this.#assertAlive();
    pace.cwndBytes = this.pace.cwndBytes;
    pace.roundTripMs = this.pace.roundTripMs;
  }

  readPacketFacts(facts: PacketFacts): void {
    this.#assertAlive();
    this.looks += 1;
    Object.assign(facts, this.packetFacts);
  }

  roundTripMs(): number {
    this.#assertAlive();
    return this.smoothedMs;
  }

  timeoutMs(): number {
    this.#assertAlive();
    return this.timeoutInMs;
  }

  onTimeout(): void {
    this.#assertAlive();
    this.timeouts += 1;
  }

  isEstablished(): boolean {
    this.#assertAlive();
    return this.established;
  }

  isResumed(): boolean {
    this.#assertAlive();
    return this.resumed;
  }

  isInEarlyData(): boolean {
    this.#assertAlive();
    return this.inEarlyData && !this.established;
  }

  earlyFacts(): EarlyFacts {
    this.#assertAlive();
    return this.early;
  }

  isDraining(): boolean {
    this.#assertAlive();
    return this.draining;
  }

  isClosed(): boolean {
    this.#assertAlive();
    return this.closed;
  }

  closeReason(): CloseReason | null {
    this.#assertAlive();
    return this.reason;
  }

  close(app: boolean, code: number, reason: string): void {
    this.#assertAlive();
    this.closes.push({ app, code, reason });
    this.reason ??= { by: "local", app, code, reason };
    this.owe();
  }

  idsWanted(): number {
    this.#assertAlive();
    return this.wanted;
  }

  offerId(id: Uint8Array, resetToken: Uint8Array): boolean {
    this.#assertAlive();
    assert(resetToken.length === 16, "a reset token has 16 bytes");
    if (this.refusesIds) return false;
    assert(this.wanted > 0, "no more ids are offered than are wanted");
    this.wanted -= 1;
    this.offered.push(id.slice());
    return true;
  }

  takeRetiredIds(onRetired: (id: Uint8Array) => void): void {
    this.#assertAlive();
    for (const id of this.retired.splice(0)) {
      const view = id.slice();
      onRetired(view);
      view.fill(STALE);
    }
  }

  takeMigrations(): number {
    this.#assertAlive();
    const { migrations } = this;
    this.migrations = 0;
    return migrations;
  }

  openSession(): EngineSession | null {
    this.#assertAlive();
    if (this.refusesSession) return null;
    assert(this.session === null, "a connection has one session");
    this.session = new FakeSession(() => this.owe());
    return this.session;
  }

  peerCertificates(): Uint8Array[] {
    return [];
  }

  serverName(): string {
    return "localhost";
  }

  free(): void {
    this.#assertAlive();
    this.freed = true;
    if (this.session !== null) this.session.freed = true;
  }

  #assertAlive(): void {
    assert(!this.freed, "a connection is not used after it was freed");
  }
}

/** One stream as the client sees it. */
export class FakeStream {
  readonly id: number;
  /** Body pieces that the server has not read. */
  readonly input: Uint8Array[] = [];
  /** The client has ended its side behind `input`. */
  inputEnded = false;
  /** The client has reset its side. */
  inputReset = false;
  /** The client wants no answer. */
  stopped = false;
  /** The stream is unknown to the engine: all of it was sent and confirmed, or it never was. */
  gone = false;
  /** Body bytes the client has room for; sections pass while there is any, or always. */
  room = Infinity;
  sectionsPass = true;
  /** How often something was offered for it. */
  offers = 0;
  /** What the client got. */
  readonly sections: { readonly kind: SectionKind; readonly fields: Field[] }[] = [];
  readonly body: number[] = [];
  ended = false;
  /** Codes of our resets, and of our wishes to be sent no more. */
  readonly resets: number[] = [];
  readonly stops: number[] = [];

  constructor(id: number) {
    this.id = id;
  }

  /** Of the last head: the value of `:status`. */
  get status(): string {
    const head = this.sections.findLast(({ kind }) => kind !== SECTION.trailers);
    return head?.fields.find(([name]) => name === ":status")?.[1] ?? "";
  }

  /** The fields of the last head, as an object. */
  get fields(): Readonly<Record<string, string>> {
    const head = this.sections.findLast(({ kind }) => kind !== SECTION.trailers);
    return Object.fromEntries(head?.fields ?? []);
  }

  get text(): string {
    return String.fromCharCode(...this.body);
  }
}

interface FakeEvent {
  readonly kind: EventKind;
  readonly streamId: number;
  readonly section: Uint8Array | null;
  readonly moreFrames: boolean;
}

/** HTTP/3 on a fake connection. */
export class FakeSession implements EngineSession {
  streamId = -1;
  moreFrames = false;
  section: Uint8Array | null = null;
  sectionBytes = 0;
  readonly bodyBytes = new Uint8Array(LIMITS.bodyReadBytesMax);
  freed = false;
  aborts = 0;
  packetsReceived = 0;
  bytesReceived = 0;
  bytesAcknowledged = 0;
  readableStreams = 0;
  emptyFrames = 0;
  /** Set by a test: what the engine counts from now on, and streams that exist without a whole head. */
  readonly counts = { packetsReceived: 0, bytesReceived: 0, bytesAcknowledged: 0, readableStreams: 0 };
  readonly headless = new Set<number>();
  /** Set by a test: reading has come upon other events. */
  hasPending = false;
  /** GOAWAYs sent, by their ids; null for the highest. */
  readonly goaways: (number | null)[] = [];
  /** While true there is no room for one. */
  goawayBlocked = false;
  roundTrip = 10;
  readonly #onWrite: () => void;
  readonly #events: FakeEvent[] = [];
  readonly #streams = new Map<number, FakeStream>();

  /** `onWrite`: there is something to send. */
  constructor(onWrite: () => void = () => undefined) {
    this.#onWrite = onWrite;
  }

  /** The stream as the client sees it; made when it is not there. */
  stream(id: number): FakeStream {
    const known = this.#streams.get(id);
    if (known !== undefined) return known;
    const stream = new FakeStream(id);
    this.#streams.set(id, stream);
    return stream;
  }

  /** Puts an event where `poll` will find it. */
  emit(kind: EventKind, streamId: number): void {
    this.#events.push({ kind, streamId, section: null, moreFrames: false });
  }

  /** The client sends a section; a null one was too large. `more`: it is not the end of the message. */
  emitFields(streamId: number, fields: readonly Field[] | null, more: boolean): FakeStream {
    const section = fields === null ? null : flatOf(fields);
    this.#events.push({ kind: EVENT.fields, streamId, section, moreFrames: more });
    const stream = this.stream(streamId);
    stream.inputEnded = !more;
    return stream;
  }

  /** The client sends a piece of a body. */
  emitBody(streamId: number, piece: Uint8Array | string): void {
    this.stream(streamId).input.push(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
    this.emit(EVENT.data, streamId);
  }

  /** The client ends its side. */
  emitEnd(streamId: number): void {
    this.stream(streamId).inputEnded = true;
    this.emit(EVENT.finished, streamId);
  }

  /** The client resets its side. */
  emitReset(streamId: number): void {
    this.stream(streamId).inputReset = true;
    this.emit(EVENT.reset, streamId);
  }

  poll(): EventKind {
    this.#assertAlive();
    this.section?.fill(STALE);
    this.section = null;
    const event = this.#events.shift();
    if (event === undefined) return EVENT.none;
    this.streamId = event.streamId;
    this.section = event.section;
    this.sectionBytes = event.section?.length ?? 0;
    this.moreFrames = event.moreFrames;
    return event.kind;
  }

  readBody(streamId: number): number {
    this.#assertAlive();
    this.bodyBytes.fill(STALE, 0, 64);
    const stream = this.stream(streamId);
    if (stream.inputReset || stream.gone) return STREAM.gone;
    const piece = stream.input.shift();
    if (piece === undefined) return STREAM.blocked;
    const taken = piece.subarray(0, this.bodyBytes.length);
    if (taken.length < piece.length) stream.input.unshift(piece.subarray(taken.length));
    this.bodyBytes.set(taken);
    return taken.length;
  }

  isFinished(streamId: number): boolean {
    this.#assertAlive();
    const stream = this.stream(streamId);
    return stream.inputEnded && stream.input.length === 0;
  }

  sendSection(streamId: number, section: Uint8Array, kind: SectionKind, fin: boolean): number {
    const stream = this.#writable(streamId);
    if (stream.stopped) return STREAM.stopped;
    if (stream.gone) return STREAM.gone;
    assert((kind === SECTION.head) === (stream.sections.length === 0), "the first section is the head, and no other");
    if (!stream.sectionsPass) return STREAM.blocked;
    stream.sections.push({ kind, fields: fieldsOfFlat(section) });
    stream.ended = fin;
    this.#onWrite();
    return 0;
  }

  sendBody(streamId: number, bytes: Uint8Array, at: number, end: number, fin: boolean): number {
    const stream = this.#writable(streamId);
    if (stream.stopped) return STREAM.stopped;
    if (stream.gone) return STREAM.gone;
    assert(stream.sections.length > 0, "a body comes after its head");
    assert(at >= 0 && at <= end && end <= bytes.length, "a piece of a body lies inside its array");
    const left = end - at;
    const taken = Math.min(left, stream.room);
    if (taken === 0 && (left > 0 || stream.room === 0)) return STREAM.blocked;
    stream.room -= taken;
    for (const byte of bytes.subarray(at, at + taken)) stream.body.push(byte);
    stream.ended = fin && taken === left;
    this.#onWrite();
    return taken;
  }

  /** A section that passes is worth a byte here, for it needs no room of a body's. */
  roomOf(streamId: number): number {
    const gone = this.checkWritable(streamId);
    const stream = this.stream(streamId);
    if (gone < 0) return gone;
    return stream.sectionsPass ? 1 + Math.min(stream.room, Number.MAX_SAFE_INTEGER - 1) : 0;
  }

  checkWritable(streamId: number): number {
    this.#assertAlive();
    const stream = this.stream(streamId);
    if (stream.stopped) return STREAM.stopped;
    return stream.gone ? STREAM.gone : 0;
  }

  refreshCounts(): void {
    this.#assertAlive();
    this.aborts = [...this.#streams.values()].reduce((sum, { stopped, inputReset }) => sum + +stopped + +inputReset, 0);
    Object.assign(this, this.counts);
  }

  openStreams(firstId: number, count: number): number[] {
    this.#assertAlive();
    const ids = Array.from({ length: count }, (_, i) => firstId + 4 * i);
    return ids.filter((id) => this.headless.has(id));
  }

  isReset(streamId: number): boolean {
    this.#assertAlive();
    return this.stream(streamId).inputReset;
  }

  resetStream(streamId: number, code: number): void {
    this.#assertAlive();
    const stream = this.stream(streamId);
    assert(stream.resets.length === 0, "a stream is reset once");
    stream.resets.push(code);
    this.#onWrite();
  }

  stopReading(streamId: number, code: number): void {
    this.#assertAlive();
    const stream = this.stream(streamId);
    assert(stream.stops.length === 0, "a client is asked once to stop");
    assert(stream.resets.length === 0, "a reset has asked the client to stop");
    stream.stops.push(code);
    this.#onWrite();
  }

  sendGoaway(streamId: number | null): boolean {
    this.#assertAlive();
    if (this.goawayBlocked) return false;
    const last = this.goaways.at(-1) ?? Infinity;
    assert((streamId ?? Infinity) <= last, "the ids of GOAWAYs do not grow");
    this.goaways.push(streamId);
    this.#onWrite();
    return true;
  }

  roundTripMs(): number {
    this.#assertAlive();
    return this.roundTrip;
  }

  #writable(streamId: number): FakeStream {
    this.#assertAlive();
    const stream = this.stream(streamId);
    assert(!stream.ended, "nothing is written after the end of a stream");
    assert(stream.resets.length === 0, "nothing is written after a reset");
    stream.offers += 1;
    return stream;
  }

  #assertAlive(): void {
    assert(!this.freed, "a session is not used after its connection was freed");
  }
}
