/** What the frames of the peer do to a client's connection (RFC 9113 6): the receiving half of `connection.ts`. */
import { LIMITS } from "../core/limits.ts";
import {
  FLAG,
  FRAME,
  FRAME_BYTES_DEFAULT,
  H2_CODE,
  STREAM_FAULTS,
  type StreamFault,
  WINDOW_BYTES_MAX,
} from "./codes.ts";
import { FieldBlock } from "./field-block.ts";
import { FloodBudget } from "./flood-budget.ts";
import { FrameReader, PRIORITY_BYTES, readU31, readU32 } from "./frame-reader.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { PeerSettings } from "./peer-settings.ts";
import { bodyBytesOf, responseStatus, trailersFault } from "./response-section.ts";
import type { H2Stream } from "./stream.ts";
import type { ConnectionState } from "./stream-table.ts";

/** Reads one connection's frames and acts on them. */
export class Incoming {
  readonly settings = new PeerSettings();
  readonly budget: FloodBudget;
  readonly #connection: ConnectionState;
  readonly #reader = new FrameReader(FRAME_BYTES_DEFAULT);
  readonly #decoder = new HpackDecoder();
  readonly #block = new FieldBlock();
  /** For whom the DATA frame is whose pieces are being read; null for nobody. */
  #dataStream: H2Stream | null = null;
  #nowMs: number;

  constructor(connection: ConnectionState, nowMs: number) {
    this.#connection = connection;
    this.#nowMs = nowMs;
    this.budget = new FloodBudget(nowMs);
  }

  /** Acts on every frame that is complete with this chunk; stops where the connection fails. */
  receive(chunk: Uint8Array, nowMs: number): void {
    const connection = this.#connection;
    const reader = this.#reader;
    this.#nowMs = nowMs;
    reader.push(chunk);
    while (connection.failure === null && reader.next()) this.#frame();
    if (reader.fault !== null) connection.fail(reader.fault);
    if (!connection.output.overfull || connection.failure !== null) return;
    connection.counters.h2OutputOverfull += 1;
    connection.fail("output-full");
  }

  #frame(): void {
    const { type, streamId } = this.#reader;
    if (this.#block.streamId !== 0 && (type !== FRAME.continuation || streamId !== this.#block.streamId)) {
      return this.#connection.fail("continuation");
    }
    switch (type) {
      case FRAME.data:
        return this.#data();
      case FRAME.headers:
        return this.#headers();
      case FRAME.continuation:
        return this.#continuation();
      case FRAME.windowUpdate:
        return this.#windowUpdate();
      case FRAME.resetStream:
        return this.#resetStream();
      case FRAME.settings:
        return this.#settings();
      case FRAME.ping:
        return this.#ping();
      case FRAME.goaway:
        return this.#goaway();
      case FRAME.pushPromise:
        return this.#connection.fail("push");
      case FRAME.priority:
        if (streamId === 0) return this.#connection.fail("frame-stream");
        if (this.#reader.payloadBytes !== PRIORITY_BYTES) return this.#connection.fail("frame-size");
        this.#spend();
        return;
      default:
        // A frame of an unknown type is ignored (RFC 9113 5.5).
        if (this.#reader.first) this.#spend();
    }
  }

  /** DATA in the pieces in which it came. The first of them is judged as the whole frame, so that cuts change nothing. */
  #data(): void {
    const reader = this.#reader;
    const { streams } = this.#connection;
    if (reader.first) this.#beginData();
    if (this.#connection.failure !== null) return;
    const stream = this.#dataStream;
    if (stream === null || stream.isReset) return streams.giveBack(reader.flowBytes);
    const bodyBytes = reader.end - reader.at;
    stream.unconsumedBytes += bodyBytes;
    this.#connection.liveness.progressed();
    if (reader.flowBytes > bodyBytes) {
      streams.giveBackTo(stream, reader.flowBytes - bodyBytes);
      streams.giveBack(reader.flowBytes - bodyBytes);
    }
    const last = reader.last && reader.endsStream;
    if (bodyBytes > 0) stream.sink.onData(reader.bytes, reader.at, reader.end, last);
    if (last && !stream.isReset) this.#remoteEnd(stream);
  }

  /** Finds out for whom a DATA frame is: nobody when its stream is over, or is because of this frame. */
  #beginData(): void {
    const { payloadBytes, bodyBytes, endsStream } = this.#reader;
    const { streams } = this.#connection;
    this.#dataStream = null;
    const stream = this.#addressed();
    if (this.#connection.failure !== null) return;
    if (!streams.charge(payloadBytes)) return this.#connection.fail("flow-control");
    if (bodyBytes === 0 && !endsStream && !this.#spend()) return;
    if (stream === undefined) {
      // Only what was under way when we reset streams is borne.
      if (!streams.chargeStray(payloadBytes)) this.#connection.fail("closed-stream");
      return;
    }
    const fault = stream.takeData(payloadBytes, bodyBytes, endsStream);
    if (fault !== null) return this.#resetByUs(stream, fault);
    this.#dataStream = stream;
  }

  #headers(): void {
    const { bytes, at, end, flags, streamId } = this.#reader;
    this.#addressed();
    if (this.#connection.failure !== null) return;
    const endStream = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) return this.#section(streamId, endStream, bytes, at, end);
    this.#block.begin(streamId, endStream);
    this.#collect(bytes, at, end);
  }

  #continuation(): void {
    const { bytes, at, end, flags, streamId } = this.#reader;
    const block = this.#block;
    if (block.streamId === 0) return this.#connection.fail(streamId === 0 ? "frame-stream" : "continuation");
    if (!this.#collect(bytes, at, end) || (flags & FLAG.endHeaders) === 0) return;
    const { bytes: whole, length, endStream } = block;
    block.finish();
    this.#section(streamId, endStream, whole, 0, length);
  }

  #collect(bytes: Uint8Array, at: number, end: number): boolean {
    const fault = this.#block.add(bytes, at, end);
    if (fault === null) return true;
    this.#connection.counters.h2BlocksCut += 1;
    this.#connection.fail(fault);
    return false;
  }

  /** A whole field block. It is decoded even if nobody waits for it, for the table must follow. */
  #section(streamId: number, endStream: boolean, bytes: Uint8Array, at: number, end: number): void {
    const connection = this.#connection;
    connection.writer.begin();
    const hpackFault = this.#decoder.decode(bytes, at, end, connection.writer);
    if (hpackFault !== null) return connection.fail("compression", hpackFault);
    const stream = connection.streams.get(streamId);
    if (stream === undefined) {
      this.#spend();
      return;
    }
    connection.liveness.progressed();
    if (stream.remoteEnded) return this.#resetByUs(stream, "after-end");
    if (this.#decoder.tooLarge) {
      connection.counters.h2SectionsTooLarge += 1;
      return this.#resetByUs(stream, "section-too-large");
    }
    if (stream.headSeen) this.#trailers(stream, endStream);
    else this.#head(stream, endStream);
  }

  #head(stream: H2Stream, endStream: boolean): void {
    const { writer } = this.#connection;
    const status = responseStatus(writer.view());
    if (typeof status === "string") return this.#resetByUs(stream, status);
    if (status >= 200) {
      stream.headSeen = true;
      stream.bodyBytesLeft = stream.toHead ? 0 : bodyBytesOf(writer.view(), status);
      if (endStream && stream.isShort) return this.#resetByUs(stream, "body-length");
      this.budget.earn(1);
      stream.sink.onHead(status, writer.view(1), endStream);
      if (endStream && !stream.isReset) this.#remoteEnd(stream);
      return;
    }
    if (endStream) return this.#resetByUs(stream, "informational-end");
    if (++stream.informationalCount > LIMITS.h2InformationalMax) {
      this.#connection.counters.h2InformationalCut += 1;
      this.#connection.drain();
      return this.#resetByUs(stream, "informational-count");
    }
    stream.sink.onInformational(status, writer.view(1));
  }

  #trailers(stream: H2Stream, endStream: boolean): void {
    if (!endStream) return this.#resetByUs(stream, "trailers-without-end");
    const section = this.#connection.writer.view();
    const fault = stream.isShort ? "body-length" : trailersFault(section);
    if (fault !== null) return this.#resetByUs(stream, fault);
    stream.sink.onTrailers(section);
    if (!stream.isReset) this.#remoteEnd(stream);
  }

  #remoteEnd(stream: H2Stream): void {
    stream.remoteEnded = true;
    if (stream.localEnded) this.#connection.streams.remove(stream);
    stream.sink.onEnd();
    this.#connection.streamFreed();
  }

  #windowUpdate(): void {
    const { bytes, at, payloadBytes, streamId } = this.#reader;
    const connection = this.#connection;
    if (payloadBytes !== 4) return connection.fail("frame-size");
    const creditBytes = readU31(bytes, at);
    if (!this.#spend()) return;
    const { sending } = connection.streams;
    if (streamId === 0) {
      if (creditBytes === 0) return connection.fail("window-update");
      if (!sending.widen(creditBytes)) return connection.fail("window-overflow");
      return sending.wake();
    }
    const stream = this.#addressed();
    if (stream === undefined) return;
    if (creditBytes === 0) return this.#resetByUs(stream, "window-update");
    stream.sendWindowBytes += creditBytes;
    if (stream.sendWindowBytes > WINDOW_BYTES_MAX) return this.#resetByUs(stream, "window-overflow");
    if (stream.isBlocked) sending.wake();
  }

  #resetStream(): void {
    const { bytes, at, payloadBytes } = this.#reader;
    const connection = this.#connection;
    if (payloadBytes !== 4) return connection.fail("frame-size");
    const stream = this.#addressed();
    if (connection.failure !== null || !this.#spend() || stream === undefined) return;
    const code = readU32(bytes, at);
    connection.counters.h2StreamsResetByPeer += 1;
    if (code === H2_CODE.refusedStream) connection.counters.h2StreamsRefused += 1;
    connection.streams.drop(stream);
    stream.sink.onReset(code, code === H2_CODE.refusedStream && !stream.headSeen);
    connection.streamFreed();
  }

  #settings(): void {
    const { bytes, at, end, flags, payloadBytes, streamId } = this.#reader;
    const connection = this.#connection;
    const { settings } = this;
    if (streamId !== 0) return connection.fail("frame-stream");
    if ((flags & FLAG.ack) !== 0) {
      if (payloadBytes !== 0) return connection.fail("frame-size");
      connection.liveness.settingsAcknowledged();
      this.#spend();
      return;
    }
    if (!this.#spend()) return;
    const { received, windowBytes } = settings;
    const fault = settings.apply(bytes, at, end);
    if (fault !== null) return connection.fail(fault);
    connection.encoder.setTableBytesMax(settings.headerTableBytesLeast);
    connection.encoder.setTableBytesMax(settings.headerTableBytes);
    const shift = settings.windowBytes - windowBytes;
    if (shift !== 0 && connection.streams.shiftSendWindows(shift, WINDOW_BYTES_MAX) !== null) {
      return connection.fail("window-overflow");
    }
    connection.output.settingsAck();
    if (shift > 0) connection.streams.sending.wake();
    if (!received) connection.sink.onReady();
    connection.streamFreed();
  }

  #ping(): void {
    const { bytes, at, flags, payloadBytes, streamId } = this.#reader;
    if (streamId !== 0) return this.#connection.fail("frame-stream");
    if (payloadBytes !== 8) return this.#connection.fail("frame-size");
    if (this.#spend() && (flags & FLAG.ack) === 0) this.#connection.output.ping(true, bytes, at);
  }

  #goaway(): void {
    const { bytes, at, payloadBytes, streamId } = this.#reader;
    if (streamId !== 0) return this.#connection.fail("frame-stream");
    if (payloadBytes < 8) return this.#connection.fail("frame-size");
    if (this.#spend()) this.#connection.goaway(readU31(bytes, at), readU32(bytes, at + 4));
  }

  /** The stream of this frame; undefined when it is over. The connection fails where there never was one. */
  #addressed(): H2Stream | undefined {
    const { streamId } = this.#reader;
    const { streams } = this.#connection;
    const stream = streams.get(streamId);
    if (stream !== undefined) return stream;
    if (streamId === 0) this.#connection.fail("frame-stream");
    else if ((streamId & 1) === 0 || streamId > streams.lastId) this.#connection.fail("idle-stream");
    return undefined;
  }

  /** Pays for a frame that brings nothing. False: the connection has failed. */
  #spend(): boolean {
    if (this.#connection.failure !== null) return false;
    if (this.budget.spend(this.#nowMs)) return true;
    this.#connection.counters.h2FloodsCut += 1;
    this.#connection.fail("flood");
    return false;
  }

  #resetByUs(stream: H2Stream, fault: StreamFault): void {
    const connection = this.#connection;
    stream.fault = fault;
    connection.counters.h2StreamsReset += 1;
    connection.counters.h2StreamFaults += 1;
    if (fault === "body-length") connection.counters.h2LengthsWrong += 1;
    const code = STREAM_FAULTS[fault];
    connection.output.resetStream(stream.id, code);
    connection.streams.abandon(stream);
    stream.sink.onReset(code, false);
    connection.streamFreed();
  }
}
