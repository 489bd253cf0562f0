/** HTTP/2 backends that a test plays frame by frame, and the connections to them. */
import { must } from "../../src/core/assert.ts";
import { FLAG, FRAME } from "../../src/h2/codes.ts";
import { HpackEncoder } from "../../src/h2/hpack-encoder.ts";
import type { StreamTarget, StreamUser } from "../../src/runtime/streams.ts";
import { dataFrame, frame, framesOf, joined, type SentFrame, settingsFrame, words } from "./h2-peer.ts";
import { ScriptedStream } from "./scripted-streams.ts";
import { type Field, sectionOf } from "./sections.ts";

/** Lets everything happen that a turn of the event loop still does after its callbacks. */
export async function turnEnds(): Promise<void> {
  for (let i = 0; i < 4; i++) await Promise.resolve();
}

/** Makes connections and keeps them for the test. */
export class H2Network {
  /** All that were asked for, in order. */
  readonly all: H2Script[] = [];

  readonly connect = (target: StreamTarget, user: StreamUser): H2Script => {
    const stream = new H2Script(target, user);
    this.all.push(stream);
    return stream;
  };

  /** The one asked for at this place. */
  at(index: number): H2Script {
    return must(this.all[index], `connection ${index} was asked for`);
  }

  /** The one asked for last. */
  get last(): H2Script {
    return this.at(this.all.length - 1);
  }
}

/** One connection to such a backend. */
export class H2Script extends ScriptedStream {
  readonly #encoder = new HpackEncoder();
  #prefaceSeen = false;

  /** Sends frames, in one chunk. */
  say(...parts: readonly Uint8Array[]): this {
    return this.send(joined(...parts));
  }

  /** The frames that came since the last call. */
  frames(): SentFrame[] {
    const bytes = this.take();
    const skipped = this.#prefaceSeen ? 0 : PREFACE_BYTES;
    if (bytes.length > 0) this.#prefaceSeen = true;
    return framesOf(bytes.slice(skipped));
  }

  /** Ids of the requests that came since the last call. */
  requests(): number[] {
    return this.frames()
      .filter(({ type }) => type === FRAME.headers)
      .map(({ streamId }) => streamId);
  }

  /** Sends its settings, and the answer to ours. */
  settle(...settings: readonly (readonly [number, number])[]): this {
    return this.say(settingsFrame(...settings), frame(FRAME.settings, FLAG.ack, 0));
  }

  /** HEADERS. */
  headers(streamId: number, fields: readonly Field[], endStream: boolean = false): Uint8Array {
    const section = sectionOf(fields);
    const into = new Uint8Array(HpackEncoder.blockBytesMax(section));
    const block = into.slice(0, this.#encoder.putSection(section, into, this.#encoder.begin(into, 0)));
    return frame(FRAME.headers, FLAG.endHeaders | (endStream ? FLAG.endStream : 0), streamId, block);
  }

  /** Sends a whole answer with this text. */
  answer(streamId: number, text: string = "ok"): void {
    this.say(this.headers(streamId, [[":status", "200"]]), dataFrame(streamId, text, true));
  }

  /** Sends RST_STREAM. */
  reset(streamId: number, code: number): void {
    this.say(frame(FRAME.resetStream, 0, streamId, words(code)));
  }

  /** Sends GOAWAY. */
  goaway(lastId: number, code: number = 0): void {
    this.say(frame(FRAME.goaway, 0, 0, words(lastId, code)));
  }
}

/** `PRI * HTTP/2.0` and what follows it. */
const PREFACE_BYTES = 24;
