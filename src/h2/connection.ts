/**
 * A client's HTTP/2 connection (RFC 9113) as a state machine without I/O: bytes from the socket go in by `receive`, bytes for it
 * wait in `output`, time comes in as `nowMs`. The owner writes `output` once a turn, after everything that may have added to it,
 * and closes the socket once `failure` is set and written. Nothing is allocated for a request but its stream and its sections.
 */
import { assert } from "../core/assert.ts";
import type { Counters } from "../core/counters.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import {
  CONNECTION_FAULTS,
  type ConnectionFault,
  FRAME_BYTES_DEFAULT,
  FRAME_HEADER_BYTES,
  H2_CODE,
  SETTING,
  STREAM_ID_MAX,
  WINDOW_BYTES_DEFAULT,
} from "./codes.ts";
import type { ConnectionFailure, H2ConnectionOptions, H2ConnectionSink, H2RequestLine } from "./connection-sink.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { Incoming } from "./incoming.ts";
import { Liveness } from "./liveness.ts";
import { FrameOutput } from "./output.ts";
import { H2Stream, type H2StreamSink } from "./stream.ts";
import { type ConnectionState, CONNECTION_WINDOW_BYTES, StreamTable } from "./stream-table.ts";

export type { ConnectionFailure, H2ConnectionOptions, H2ConnectionSink, H2RequestLine } from "./connection-sink.ts";

const PREFACE = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const OWN_SETTINGS: readonly (readonly [id: number, value: number])[] = [
  [SETTING.headerTableSize, LIMITS.hpackDecoderTableBytesMax],
  [SETTING.enablePush, 0],
  [SETTING.initialWindowSize, LIMITS.h2StreamWindowBytesMax],
  [SETTING.maxFrameSize, FRAME_BYTES_DEFAULT],
  [SETTING.maxHeaderListSize, LIMITS.h2FieldListBytesMax],
];
/** Our pings; the answer needs no telling apart, for any byte is a sign of life. */
const PING_BYTES = new TextEncoder().encode("liveness");
/** Body bytes sent that pay for one frame of the peer: servers give credit for some KiB at a time. */
const BYTES_PER_TOKEN = 512;
/**
 * Frames that one act of ours may bring back at once: credit for the stream, credit for the connection and a PING for a piece that
 * went out whole, as servers of gRPC answer each message; a head, trailers and credit for a stream that we gave up.
 */
const TOKENS_PER_ACT = 3;

/** One connection. */
export class Http2Connection implements ConnectionState {
  /** What is to be written to the socket. */
  readonly output = new FrameOutput();
  readonly counters: Counters;
  readonly writer: FieldWriter;
  readonly streams: StreamTable;
  readonly encoder: HpackEncoder;
  readonly liveness: Liveness;
  readonly sink: H2ConnectionSink;
  readonly #incoming: Incoming;
  #failure: ConnectionFailure | null = null;
  #nextId = 1;
  #isDraining = false;
  #goawayReceived = false;
  /** An `open` was refused since `onOpenable` was last called. */
  #openRefused = false;

  constructor(options: H2ConnectionOptions) {
    this.counters = options.counters;
    this.writer = options.writer;
    this.sink = options.sink;
    this.encoder = new HpackEncoder(options.huffman ?? false);
    this.liveness = new Liveness(options.nowMs, options.pingAfterMs, options.pingAnswerMs);
    this.streams = new StreamTable(this.output);
    this.#incoming = new Incoming(this, options.nowMs);
    this.counters.h2Connections += 1;
    this.output.raw(PREFACE);
    this.output.settings(OWN_SETTINGS);
    this.output.windowUpdate(0, CONNECTION_WINDOW_BYTES - WINDOW_BYTES_DEFAULT);
  }

  /** Null while the connection works. */
  get failure(): ConnectionFailure | null {
    return this.#failure;
  }

  /** The peer's first SETTINGS came. */
  get isReady(): boolean {
    return this.#incoming.settings.received;
  }

  /** No request can be opened any more: failed, told to go away, drained or out of ids. */
  get isClosing(): boolean {
    return this.#failure !== null || this.#goawayReceived || this.#isDraining || this.#nextId > STREAM_ID_MAX;
  }

  /** Requests that may be under way at once, as the peer and `LIMITS.h2StreamsMax` say. */
  get streamsMax(): number {
    return Math.min(this.#incoming.settings.streamsMax, LIMITS.h2StreamsMax);
  }

  get canOpen(): boolean {
    return !this.isClosing && this.streams.count < this.streamsMax && this.output.roomBytes > 0;
  }

  /**
   * True for a request whose field list is larger than the peer wants to see (RFC 9113 6.5.2): it would refuse it, and `open` does not
   * ask. Before its SETTINGS came every size is right.
   */
  isTooLarge({ method, scheme, authority, path }: H2RequestLine, fields: FieldSection): boolean {
    const texts = method.length + scheme.length + authority.length + path.length + LINE_NAMES;
    const end = fields.count === 0 ? 0 : fields.valueEnd(fields.count - 1) - fields.nameAt(0);
    return texts + end + FIELD_OVERHEAD_BYTES * (fields.count + 4) > this.#incoming.settings.fieldListBytesMax;
  }

  /**
   * Sends a request's head: pseudo-fields first, names in lower case, no field of one connection only. Null when there is no
   * free stream or no room (then `onOpenable` follows), or when the connection is closing.
   */
  open(section: FieldSection, hasBody: boolean, sink: H2StreamSink, nowMs: number): H2Stream | null {
    if (!this.#mayOpen()) return null;
    const blockAt = this.#reserveBlock(HpackEncoder.blockBytesMax(section));
    const { bytes } = this.output;
    const end = this.encoder.putSection(section, bytes, this.encoder.begin(bytes, blockAt));
    const stream = this.#opened(blockAt, end, hasBody, sink, nowMs);
    stream.toHead = section.count > 0 && section.get(":method") === HEAD;
    return stream;
  }

  /** As `open`, with the pseudo-fields as strings and the other fields from a section that has none. */
  openLine(
    line: H2RequestLine,
    fields: FieldSection,
    hasBody: boolean,
    sink: H2StreamSink,
    nowMs: number,
  ): H2Stream | null {
    if (!this.#mayOpen()) return null;
    const texts = line.method.length + line.scheme.length + line.authority.length + line.path.length + LINE_NAMES;
    const blockAt = this.#reserveBlock(HpackEncoder.blockBytesMax(fields, texts, 4));
    const { bytes } = this.output;
    let end = this.encoder.begin(bytes, blockAt);
    // Authority and method may enter the table, so the text that is most likely to be refused by an assertion comes before them.
    end = this.encoder.putText(":path", line.path, bytes, end);
    end = this.encoder.putText(":scheme", line.scheme, bytes, end);
    end = this.encoder.putText(":authority", line.authority, bytes, end);
    end = this.encoder.putText(":method", line.method, bytes, end);
    end = this.encoder.putSection(fields, bytes, end);
    const stream = this.#opened(blockAt, end, hasBody, sink, nowMs);
    stream.toHead = line.method === HEAD;
    return stream;
  }

  /**
   * Sends `bytes[at..end)` of the body, which are copied: how many of them were taken. With `last` the body ends when all were;
   * when not all were, `onWritable` follows. Nothing is taken once the stream is reset.
   */
  send(stream: H2Stream, bytes: Uint8Array, at: number, end: number, last: boolean): number {
    if (stream.isReset) return 0;
    assert(!stream.localEnded, "a body ends once");
    const taken = this.streams.sending.put(stream, bytes, at, end, last);
    if (taken < end - at) {
      this.counters.h2SendsBlocked += 1;
      this.streams.sending.wait(stream);
    } else if (last) {
      this.#localEnd(stream);
    }
    // A piece that is cut pays for its bytes alone: a peer that gives credit by the byte is to run out of tokens.
    if (taken > 0) this.#incoming.budget.earn(taken / BYTES_PER_TOKEN + (taken === end - at ? TOKENS_PER_ACT : 0));
    return taken;
  }

  /** Ends the body with trailers, after all of it was taken. */
  sendTrailers(stream: H2Stream, section: FieldSection): void {
    if (stream.isReset) return;
    assert(!stream.localEnded, "a body ends once");
    const blockAt = this.#reserveBlock(HpackEncoder.blockBytesMax(section));
    const { bytes } = this.output;
    const end = this.encoder.putSection(section, bytes, this.encoder.begin(bytes, blockAt));
    this.output.commitBlock(stream.id, true, blockAt, end, FRAME_BYTES_DEFAULT);
    this.#localEnd(stream);
  }

  /** The consumer took so many bytes of what `onData` gave it: the peer may send as many more. */
  consumed(stream: H2Stream, bytes: number): void {
    if (this.#failure === null) this.streams.consumed(stream, bytes);
  }

  /** Gives a stream up; its sink is called no more. Nothing happens when it is over already. */
  reset(stream: H2Stream, code: number = H2_CODE.cancel): void {
    if (stream.isReset || (stream.localEnded && stream.remoteEnded)) return;
    this.counters.h2StreamsReset += 1;
    this.#incoming.budget.earn(TOKENS_PER_ACT);
    this.output.resetStream(stream.id, code);
    this.streams.abandon(stream);
    this.#offerOpen();
  }

  /** Bytes from the socket, read in place during the call. False: the connection has failed. */
  receive(chunk: Uint8Array, nowMs: number): boolean {
    if (this.#failure !== null) return false;
    this.liveness.heard(nowMs);
    this.#incoming.receive(chunk, nowMs);
    return this.#failure === null;
  }

  /** The socket took so many bytes of `output`. */
  flushed(bytes: number): void {
    this.output.take(bytes);
    if (this.#failure !== null) return;
    this.streams.sending.wake();
    this.#offerOpen();
  }

  /** The socket ended or broke. */
  lost(detail: string): void {
    this.fail("lost", detail);
  }

  /** Takes no new requests and says so; those under way go on. `streams.count` reaches 0 when they are done. */
  drain(): void {
    if (this.#isDraining || this.#failure !== null) return;
    this.#isDraining = true;
    this.output.goaway(H2_CODE.noError);
  }

  /** When `onTime` is to be called, if nothing happens before; `Infinity` for never. */
  deadlineMs(): number {
    return this.#failure === null ? this.liveness.deadlineMs(this.streams.count > 0) : Infinity;
  }

  /** A deadline may have passed. */
  onTime(nowMs: number): void {
    if (this.#failure !== null) return;
    const verdict = this.liveness.judge(nowMs, this.streams.count > 0);
    if (verdict === "fine") return;
    if (verdict === "ping") {
      this.counters.h2PingsSent += 1;
      this.output.ping(false, PING_BYTES, 0);
      return;
    }
    if (verdict === "ping-timeout") this.counters.h2PingTimeouts += 1;
    else this.counters.h2SettingsTimeouts += 1;
    this.fail(verdict);
  }

  /** For `Incoming`: ends everything. A request whose head the socket has not begun to take was surely not processed. */
  fail(fault: ConnectionFault, detail: string = ""): void {
    if (this.#failure !== null) return;
    this.#failure = { fault, code: CONNECTION_FAULTS[fault], detail };
    this.counters.h2ConnectionFaults += 1;
    const takenBytes = this.output.takenBytes;
    const unsent = this.streams.hasHeadFrom(takenBytes);
    // Unsent heads must stay unsent, or they could be processed after all; without them GOAWAY can say why.
    if (fault === "lost" || unsent) this.output.clear();
    else this.output.goaway(this.#failure.code);
    this.streams.abandonAll(this.#failure.code, takenBytes);
    this.sink.onFailure(this.#failure);
  }

  /** For `Incoming`: the peer goes away; requests above `lastId` it has not looked at. */
  goaway(lastId: number, code: number): void {
    const isFirst = !this.#goawayReceived;
    this.#goawayReceived = true;
    this.counters.h2GoawaysReceived += 1;
    this.streams.abandonAbove(lastId, code);
    if (isFirst) this.sink.onGoaway(code);
  }

  /** For `Incoming`: a stream has become free. */
  streamFreed(): void {
    this.#offerOpen();
  }

  #mayOpen(): boolean {
    if (this.canOpen) return true;
    this.#openRefused = true;
    this.counters.h2OpensRefused += 1;
    return false;
  }

  #offerOpen(): void {
    if (!this.#openRefused || !this.canOpen) return;
    this.#openRefused = false;
    this.sink.onOpenable();
  }

  /** Room for a block, for the headers of all its frames and for one more. */
  #reserveBlock(blockBytesMax: number): number {
    const frames = Math.ceil(blockBytesMax / FRAME_BYTES_DEFAULT) + 1;
    return this.output.reserve(blockBytesMax + FRAME_HEADER_BYTES * frames) + FRAME_HEADER_BYTES;
  }

  #opened(blockAt: number, blockEnd: number, hasBody: boolean, sink: H2StreamSink, nowMs: number): H2Stream {
    const id = this.#nextId;
    this.#nextId += 2;
    if (this.streams.count === 0) this.liveness.woke(nowMs);
    const stream = this.streams.add(id, sink, this.#incoming.settings.windowBytes);
    this.output.commitBlock(id, !hasBody, blockAt, blockEnd, FRAME_BYTES_DEFAULT);
    stream.localEnded = !hasBody;
    this.counters.h2StreamsOpened += 1;
    return stream;
  }

  #localEnd(stream: H2Stream): void {
    stream.localEnded = true;
    if (!stream.remoteEnded) return;
    this.streams.remove(stream);
    this.#offerOpen();
  }
}

/** What RFC 9113 6.5.2 adds for each field. */
const FIELD_OVERHEAD_BYTES = 32;
const HEAD = "HEAD";

/** Characters of the four names that `openLine` puts. */
const LINE_NAMES = ":method:scheme:authority:path".length;
