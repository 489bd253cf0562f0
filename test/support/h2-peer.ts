/**
 * The server's side of an HTTP/2 connection for tests: makes frames, right and wrong ones, and reads the client's. It knows no
 * rules. Its compressor is the one of `src/h2`, which other tests hold against the RFC's examples and foreign blocks.
 */
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import type { FieldSection } from "../../src/core/fields.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { FLAG, FRAME } from "../../src/h2/codes.ts";
import { Http2Connection } from "../../src/h2/connection.ts";
import type { ConnectionFailure } from "../../src/h2/connection-sink.ts";
import { HpackDecoder } from "../../src/h2/hpack-decoder.ts";
import { HpackEncoder } from "../../src/h2/hpack-encoder.ts";
import type { H2Stream, H2StreamSink } from "../../src/h2/stream.ts";
import { type Field, fieldsOf, sectionOf } from "./sections.ts";

/** A frame that the client sent. */
export interface SentFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Uint8Array;
}

/** Bytes one behind the other. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A frame of any kind. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const head = new Uint8Array(9);
  const view = new DataView(head.buffer);
  view.setUint32(0, payload.length << 8);
  head[3] = type;
  head[4] = flags;
  view.setUint32(5, streamId);
  return joined(head, payload);
}

/** Big endian words of 32 bits. */
export function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  values.forEach((value, i) => new DataView(bytes.buffer).setUint32(4 * i, value));
  return bytes;
}

/** SETTINGS with these identifiers and values. */
export function settingsFrame(...pairs: readonly (readonly [number, number])[]): Uint8Array {
  const payload = new Uint8Array(6 * pairs.length);
  pairs.forEach(([id, value], i) => {
    new DataView(payload.buffer).setUint16(6 * i, id);
    new DataView(payload.buffer).setUint32(6 * i + 2, value);
  });
  return frame(FRAME.settings, 0, 0, payload);
}

/** DATA with this text, with padding where it is asked for. */
export function dataFrame(
  streamId: number,
  text: string,
  endStream: boolean = false,
  padding: number = -1,
): Uint8Array {
  const body = new TextEncoder().encode(text);
  const payload = padding < 0 ? body : joined(Uint8Array.of(padding), body, new Uint8Array(padding));
  return frame(FRAME.data, (endStream ? FLAG.endStream : 0) | (padding < 0 ? 0 : FLAG.padded), streamId, payload);
}

/** DATA frames that use up a stream's whole window. */
export function windowFrames(streamId: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let left: number = LIMITS.h2StreamWindowBytesMax; left > 0; left -= 16_384) {
    frames.push(dataFrame(streamId, "x".repeat(Math.min(left, 16_384))));
  }
  return frames;
}

/** Reads the frames of complete bytes. */
export function framesOf(bytes: Uint8Array): SentFrame[] {
  const frames: SentFrame[] = [];
  for (let at = 0; at < bytes.length;) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    const length = view.getUint32(0) >>> 8;
    const payload = bytes.slice(at + 9, at + 9 + length);
    frames.push({ type: view.getUint8(3), flags: view.getUint8(4), streamId: view.getUint32(5), payload });
    at += 9 + length;
  }
  return frames;
}

/** Notes what a stream's sink hears, one line for each call. */
export class NotedStream implements H2StreamSink {
  readonly notes: string[] = [];
  body = "";
  onCall: ((call: string) => void) | null = null;

  onInformational(status: number, section: FieldSection): void {
    this.#note(`informational ${status} ${JSON.stringify(fieldsOf(section))}`);
  }
  onHead(status: number, section: FieldSection, endStream: boolean): void {
    this.#note(`head ${status} ${JSON.stringify(fieldsOf(section))}${endStream ? " end" : ""}`);
  }
  onData(bytes: Uint8Array, at: number, end: number): void {
    const text = new TextDecoder("latin1").decode(bytes.subarray(at, end));
    this.body += text;
    this.#note(text.length > 40 ? `data ${text.length} bytes` : `data ${text}`);
  }
  onTrailers(section: FieldSection): void {
    this.#note(`trailers ${JSON.stringify(fieldsOf(section))}`);
  }
  onEnd(): void {
    this.#note("end");
  }
  onReset(code: number, surelyNotProcessed: boolean): void {
    this.#note(`reset ${code}${surelyNotProcessed ? " not processed" : ""}`);
  }
  onWritable(): void {
    this.#note("writable");
  }

  #note(call: string): void {
    this.notes.push(call);
    this.onCall?.(call);
  }
}

export const GET: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "backend:8080"],
  [":path", "/"],
];

/** A client's connection and the server that the test plays. */
export class H2Peer {
  readonly counters = new Counters();
  /** What the connection's sink heard. */
  readonly notes: string[] = [];
  failure: ConnectionFailure | null = null;
  onOpenable: (() => void) | null = null;
  readonly client: Http2Connection;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder();
  readonly #writer = new FieldWriter();
  nowMs = 1000;

  constructor() {
    this.client = new Http2Connection({
      sink: {
        onReady: () => this.notes.push("ready"),
        onOpenable: () => {
          this.notes.push("openable");
          this.onOpenable?.();
        },
        onGoaway: (code) => this.notes.push(`goaway ${code}`),
        onFailure: (failure) => {
          this.failure = failure;
          this.notes.push(`failure ${failure.fault}`);
        },
      },
      writer: new FieldWriter(),
      counters: this.counters,
      nowMs: this.nowMs,
    });
  }

  /** Past the exchange of settings; what the client said so far is read. */
  static ready(...settings: readonly (readonly [number, number])[]): H2Peer {
    const peer = new H2Peer();
    peer.say(settingsFrame(...settings), frame(FRAME.settings, FLAG.ack, 0));
    peer.output();
    return peer;
  }

  /** Opens a request; it must be granted. */
  request(fields: readonly Field[] = GET, hasBody: boolean = false): { stream: H2Stream; sink: NotedStream } {
    const sink = new NotedStream();
    return { stream: must(this.client.open(sectionOf(fields), hasBody, sink, this.nowMs), "a stream is free"), sink };
  }

  /** Sends bytes to the client, all in one chunk. */
  say(...parts: readonly Uint8Array[]): void {
    this.client.receive(joined(...parts), this.nowMs);
  }

  /** A field block by the server's encoder. */
  block(fields: readonly Field[]): Uint8Array {
    const section = sectionOf(fields);
    const into = new Uint8Array(HpackEncoder.blockBytesMax(section));
    return into.slice(0, this.#encoder.putSection(section, into, this.#encoder.begin(into, 0)));
  }

  /** HEADERS in one frame. */
  headers(streamId: number, fields: readonly Field[], endStream: boolean = false): Uint8Array {
    return frame(FRAME.headers, FLAG.endHeaders | (endStream ? FLAG.endStream : 0), streamId, this.block(fields));
  }

  /** Takes everything that the client has to say. */
  output(): Uint8Array {
    const bytes = this.client.output.pending().slice();
    this.client.flushed(bytes.length);
    return bytes;
  }

  /** The same as frames. */
  frames(): SentFrame[] {
    return framesOf(this.output());
  }

  /** The fields of a block from the client. */
  fields(block: Uint8Array): Field[] {
    this.#writer.begin();
    const fault = this.#decoder.decode(block, 0, block.length, this.#writer);
    if (fault !== null) throw new TypeError(fault);
    return fieldsOf(this.#writer.toSection());
  }
}
