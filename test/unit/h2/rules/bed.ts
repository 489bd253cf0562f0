/**
 * The ground on which every rule of RFC 9113 is tried: one connection with a stream in each state that a client's stream can be
 * in, a bystander that must come to no harm, and one way to say what is expected.
 */
import { expect, test } from "bun:test";
import { must } from "../../../../src/core/assert.ts";
import {
  type ConnectionFault,
  CONNECTION_FAULTS,
  FRAME,
  H2_CODE,
  STREAM_FAULTS,
  type StreamFault,
} from "../../../../src/h2/codes.ts";
import { frame, framesOf, GET, H2Peer, joined, type NotedStream, words } from "../../../support/h2-peer.ts";
import type { Field } from "../../../support/sections.ts";

export const OK: readonly Field[] = [[":status", "200"]];
export const EMPTY = new Uint8Array(0);

/** Our body is not finished, no answer yet (RFC 9113 5.1: open). */
export const OPEN = 1;
/** We have ended, no answer yet: half-closed (local). */
export const ASKED = 3;
/** As `ASKED`; no case touches it, and its answer comes after each of them. */
export const BYSTANDER = 5;
/** As `OPEN`, with the head of the answer. */
export const ANSWERED = 7;
/** The answer is complete, our body is not: half-closed (remote). */
export const REMOTE_ENDED = 9;
/** Both have ended: closed. */
export const ENDED = 11;
/** We reset it. */
export const RESET_BY_US = 13;
/** The peer reset it. */
export const RESET_BY_PEER = 15;
/** An answer to HEAD is due. */
export const HEAD_ASKED = 17;
/** The next one that we would open: idle. */
export const IDLE = 19;

/**
 * What must come of it. `connection`: the connection ends with this fault, its GOAWAY says the fault's code. `stream`: the stream of
 * the case's last frame is reset with this fault's code and everything else goes on. `nothing`: no stream ends, nothing is said
 * but acknowledgements.
 */
export type Outcome = `connection ${ConnectionFault}` | `stream ${StreamFault}` | "nothing";

/** A rule: the section of RFC 9113, what the server does, what must come of it. */
export type Rule = readonly [
  section: string,
  name: string,
  outcome: Outcome,
  make: (peer: H2Peer) => readonly Uint8Array[],
];

/** A connection with a stream in each state. */
export interface Bed {
  readonly peer: H2Peer;
  readonly sinks: ReadonlyMap<number, NotedStream>;
}

export function makeBed(): Bed {
  const peer = H2Peer.ready();
  const sinks = new Map<number, NotedStream>();
  for (let id = OPEN; id < IDLE; id += 2) {
    const head: readonly Field[] = id === HEAD_ASKED ? [[":method", "HEAD"], ...GET.slice(1)] : GET;
    const { stream, sink } = peer.request(head, id === OPEN || id === ANSWERED || id === REMOTE_ENDED);
    expect(stream.id).toBe(id);
    sinks.set(id, sink);
    if (id === RESET_BY_US) peer.client.reset(stream);
  }
  peer.say(peer.headers(ANSWERED, OK), peer.headers(REMOTE_ENDED, OK, true), peer.headers(ENDED, OK, true));
  peer.say(frame(FRAME.resetStream, 0, RESET_BY_PEER, words(H2_CODE.cancel)));
  peer.output();
  return { peer, sinks };
}

/** Tries each rule twice: all bytes in one chunk, and each byte in a chunk of its own. Both must be heard alike. */
export function tryRules(rules: readonly Rule[]): void {
  for (const [section, name, outcome, make] of rules) {
    test(`${section} ${name}: ${outcome}`, () => {
      expect(tryRule(outcome, make, false)).toEqual(tryRule(outcome, make, true));
    });
  }
}

/** What the sinks heard, stream by stream. */
function tryRule(outcome: Outcome, make: (peer: H2Peer) => readonly Uint8Array[], bytewise: boolean): string[] {
  const { peer, sinks } = makeBed();
  const bytes = joined(...make(peer));
  if (bytewise) for (const byte of bytes) peer.client.receive(Uint8Array.of(byte), peer.nowMs);
  else peer.say(bytes);
  const [scope, fault] = outcome.split(" ");
  if (scope === "connection") expectConnectionFault(peer, sinks, fault ?? "");
  else {
    expect(peer.failure).toBeNull();
    const resets = peer.frames().filter(({ type }) => type === FRAME.resetStream || type === FRAME.goaway);
    const streamId = framesOf(bytes).at(-1)?.streamId ?? 0;
    const code = scope === "stream" ? streamCode(fault ?? "") : 0;
    const expected = { type: FRAME.resetStream, flags: 0, streamId: streamId & 0x7fff_ffff, payload: words(code) };
    expect(resets).toEqual(scope === "stream" ? [expected] : []);
    expect(peer.counters.h2StreamFaults).toBe(scope === "stream" ? 1 : 0);
    if (scope === "stream") expect(sinks.get(expected.streamId)?.notes.at(-1)).toBe(`reset ${code}`);
    expectBystander(peer, must(sinks.get(BYSTANDER), "there is a bystander"));
  }
  return [...sinks.values()].map(({ notes, body }) => {
    return [...notes.filter((note) => !note.startsWith("data")), `body ${body}`].join("; ");
  });
}

function expectConnectionFault(peer: H2Peer, sinks: ReadonlyMap<number, NotedStream>, fault: string): void {
  expect(peer.failure?.fault).toBe(fault as ConnectionFault);
  const code = peer.failure?.code ?? -1;
  expect(code).toBe(CONNECTION_FAULTS[fault as ConnectionFault]);
  expect(peer.frames().at(-1)).toEqual({ type: FRAME.goaway, flags: 0, streamId: 0, payload: words(0, code) });
  expect(sinks.get(BYSTANDER)?.notes).toEqual([`reset ${code}`]);
  expect(peer.client.streams.count).toBe(0);
  expect(peer.counters.h2ConnectionFaults).toBe(1);
}

/** Its answer comes whole, with a field that only a table that followed every block can read. */
function expectBystander(peer: H2Peer, sink: NotedStream): void {
  const fields: readonly Field[] = [...OK, ["x-after", "1"]];
  // The second sighting enters the server's table, the third is read from ours.
  peer.block(fields);
  peer.say(peer.headers(BYSTANDER, fields), peer.headers(BYSTANDER, [["x-after", "1"]], true));
  expect(peer.failure).toBeNull();
  expect(sink.notes).toEqual(['head 200 [["x-after","1"]]', 'trailers [["x-after","1"]]', "end"]);
}

function streamCode(fault: string): number {
  const code = Object.entries(STREAM_FAULTS).find(([name]) => name === fault)?.[1];
  return must(code ?? null, "the fault has a name");
}
