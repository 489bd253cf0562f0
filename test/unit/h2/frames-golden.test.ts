/** Frames by Go's Framer (`test/golden/frames.go`): ours reads them as they were meant, and writes the same bytes. */
import { describe, expect, test } from "bun:test";
import golden from "../../golden/frames.json";
import { must } from "../../../src/core/assert.ts";
import { FLAG, FRAME, FRAME_HEADER_BYTES } from "../../../src/h2/codes.ts";
import { FrameReader, readU31, readU32 } from "../../../src/h2/frame-reader.ts";
import { FrameOutput } from "../../../src/h2/output.ts";
import { PeerSettings } from "../../../src/h2/peer-settings.ts";
import { frame, joined, settingsFrame } from "../../support/h2-peer.ts";

type Golden = (typeof golden)[number];

/** The pattern that the generator fills payloads with. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 31 + length);
}

/** Everything that Go wrote. Long payloads are not in the file; they are DATA without padding. */
function bytesOf({ header, payload, length }: Golden): Uint8Array {
  return joined(Uint8Array.fromHex(header), payload === null ? pattern(length) : Uint8Array.fromHex(payload));
}

/** Past the SETTINGS with which every connection begins. */
function startedReader(): FrameReader {
  const reader = new FrameReader(16_384);
  reader.push(settingsFrame());
  expect(reader.next()).toBe(true);
  expect(reader.next()).toBe(false);
  return reader;
}

/** Reads one frame from pieces of this size and gives its content back, pieces joined. */
function read(reader: FrameReader, bytes: Uint8Array, pieceBytes: number): Uint8Array {
  const content: Uint8Array[] = [];
  let flowBytes = 0;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    reader.push(bytes.slice(at, at + pieceBytes));
    while (reader.next()) {
      content.push(reader.bytes.slice(reader.at, reader.end));
      flowBytes += reader.flowBytes;
      expect(reader.last).toBe(at + pieceBytes >= bytes.length);
    }
  }
  expect(reader.fault).toBeNull();
  expect(flowBytes).toBe(bytes.length - FRAME_HEADER_BYTES);
  return joined(...content);
}

const SPECIAL = new Set<number>([FRAME.settings, FRAME.goaway, FRAME.windowUpdate, FRAME.resetStream]);

describe("the reader reads", () => {
  for (const made of golden)
    test(made.name, () => {
      const bytes = bytesOf(made);
      for (const pieceBytes of [bytes.length, 1, 7]) {
        const reader = startedReader();
        const content = read(reader, bytes, pieceBytes);
        expect([reader.type, reader.flags, reader.streamId]).toEqual([made.type, made.flags, made.stream]);
        expect(reader.payloadBytes).toBe(made.length);
        if (SPECIAL.has(made.type)) expectSpecial(made, content);
        else if (made.content !== undefined) expect(content.toHex()).toBe(made.content);
        else expect(content).toEqual(bytes.slice(FRAME_HEADER_BYTES));
        if (made.type === FRAME.data) expect(reader.bodyBytes).toBe(content.length);
      }
    });
});

/** Frames whose payload is numbers. */
function expectSpecial(made: Golden, content: Uint8Array): void {
  if (made.type === FRAME.settings) {
    const settings = new PeerSettings();
    expect(settings.apply(content, 0, content.length)).toBeNull();
    const told = new Map((made.settings ?? []).map(([id, value]) => [id, value]));
    if (told.has(4)) expect(settings.windowBytes).toBe(must(told.get(4), "it was told"));
    if (told.has(5)) expect(settings.frameBytesMax).toBe(must(told.get(5), "it was told"));
    if (told.has(6)) expect(settings.fieldListBytesMax).toBe(must(told.get(6), "it was told"));
  } else if (made.type === FRAME.goaway) {
    expect(readU31(content, 0)).toBe(must(made.last, "GOAWAY has a last stream"));
    expect(readU32(content, 4)).toBe(must(made.value, "GOAWAY has a code"));
    expect(content.slice(8).toHex()).toBe(must(made.content, "GOAWAY has a text"));
  } else {
    expect(readU32(content, 0)).toBe(must(made.value, "the frame has a number"));
  }
}

/** What our output writes for it; null for what a client never writes: padding, priorities, pushes. */
function written(made: Golden): Uint8Array | null {
  const output = new FrameOutput();
  const content = made.content === undefined ? pattern(made.length) : Uint8Array.fromHex(made.content);
  const end = (made.flags & FLAG.endStream) !== 0;
  if ((made.flags & (FLAG.padded | FLAG.priority)) !== 0) return null;
  switch (made.type) {
    case FRAME.data:
      // From the middle of an array, as bodies are.
      output.data(made.stream, joined(Uint8Array.of(1, 2), content, Uint8Array.of(3)), 2, 2 + content.length, end);
      break;
    case FRAME.headers: {
      if ((made.flags & FLAG.endHeaders) === 0) return null;
      const at = output.reserve(FRAME_HEADER_BYTES + content.length) + FRAME_HEADER_BYTES;
      output.bytes.set(content, at);
      output.commitBlock(made.stream, end, at, at + content.length, 16_384);
      break;
    }
    case FRAME.resetStream:
      output.resetStream(made.stream, must(made.value, "there is a code"));
      break;
    case FRAME.windowUpdate:
      output.windowUpdate(made.stream, must(made.value, "there is credit"));
      break;
    case FRAME.ping:
      output.ping((made.flags & FLAG.ack) !== 0, content, 0);
      break;
    case FRAME.goaway:
      if (made.last !== 0 || made.content !== "") return null;
      output.goaway(must(made.value, "there is a code"));
      break;
    case FRAME.settings:
      if ((made.flags & FLAG.ack) !== 0) output.settingsAck();
      else output.settings((made.settings ?? []).map(([id = 0, value = 0]) => [id, value] as const));
      break;
    default:
      return null;
  }
  return output.pending().slice();
}

describe("our output writes the same bytes for", () => {
  const writable = golden.filter((made) => written(made) !== null);

  for (const made of writable)
    test(made.name, () => {
      expect(written(made)?.toHex()).toBe(bytesOf(made).toHex());
    });

  test("every type of frame that a client sends, but the CONTINUATION below", () => {
    expect([...new Set(writable.map(({ type }) => type))].sort()).toEqual([0, 1, 3, 4, 6, 7, 8]);
    expect(writable.length).toBeGreaterThan(50);
  });

  test("a block in three frames: the first without END_HEADERS, the last with it, END_STREAM on the first", () => {
    const block = pattern(250);
    const output = new FrameOutput();
    const at = output.reserve(3 * FRAME_HEADER_BYTES + block.length) + FRAME_HEADER_BYTES;
    output.bytes.set(block, at);
    output.commitBlock(7, true, at, at + block.length, 100);
    const parts = [
      frame(FRAME.headers, FLAG.endStream, 7, block.slice(0, 100)),
      frame(FRAME.continuation, 0, 7, block.slice(100, 200)),
      frame(FRAME.continuation, FLAG.endHeaders, 7, block.slice(200)),
    ];
    expect(output.pending().toHex()).toBe(joined(...parts).toHex());
    // And the header of such a frame is Go's.
    const theirs = must(golden.find(({ name }) => name === "CONTINUATION, whole true")?.header ?? null, "Go wrote one");
    const ours = output
      .pending()
      .slice(-FRAME_HEADER_BYTES - 50, -50)
      .toHex();
    expect(ours.slice(6)).toBe(theirs.slice(6));
  });
});
