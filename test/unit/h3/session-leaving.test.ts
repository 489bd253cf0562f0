/** How a session is left (RFC 9114 5.2): what its client hears, what is still taken, and when the connection is closed. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { flatOf } from "../../support/sections.ts";
import { answer, GET, POST, SessionBed } from "../../support/session-bed.ts";

/** Round trip of the fake engine, times the steps' number of them, is less than the least step. */
const STEP_MS = LIMITS.goawayStepMsMin;

/** Until its program has had time to read the last answer, and not before. */
function read(bed: SessionBed): void {
  bed.pass(LIMITS.lastAnswerReadMs - 1);
  expect(bed.closes).toEqual([]);
  bed.pass(1);
}

/** Until the client has heard all that is said to one who shall leave. */
function left(bed: SessionBed): void {
  bed.session.leave(bed.nowMs);
  bed.pass(STEP_MS);
  expect(bed.engine.goaways.length).toBe(2);
}

describe("a session that is left", () => {
  test("says first that nothing shall begin, and then which requests are taken: one past the highest (RFC 9114 5.2)", () => {
    for (const [ids, goaway] of [
      [[], 0],
      [[0], 4],
      [[0, 4], 8],
      [[8, 4], 12],
    ] as const) {
      const bed = new SessionBed();
      for (const id of ids) bed.request(id);
      bed.session.leave(bed.nowMs + 50);
      bed.session.leave(bed.nowMs + 70);
      expect([bed.session.deadlineMs - bed.nowMs, bed.engine.goaways]).toEqual([50, []]);
      bed.pass(50);
      expect([bed.wakes, bed.engine.goaways]).toEqual([1, [null]]);
      bed.pass(STEP_MS - 1);
      expect(bed.engine.goaways).toEqual([null]);
      bed.pass(1);
      expect([bed.wakes, bed.engine.goaways]).toEqual([2, [null, goaway]]);
    }
  });

  test("takes what was on its way when its client heard of it", () => {
    const bed = new SessionBed();
    bed.session.leave(bed.nowMs);
    bed.pass(0);
    bed.request(0);
    bed.request(8);
    bed.pass(STEP_MS);
    expect(bed.engine.goaways).toEqual([null, 12]);
    expect(bed.counters.requestsRejectedDraining).toBe(0);
  });

  test("gives a far client the time of two round trips, and a very far one a second", () => {
    for (const [roundTrip, stepMs] of [
      [200, 400],
      [60_000, LIMITS.goawayStepMsMax],
    ] as const) {
      const bed = new SessionBed();
      bed.engine.roundTrip = roundTrip;
      bed.session.leave(bed.nowMs);
      bed.pass(stepMs - 1);
      expect(bed.engine.goaways).toEqual([null]);
      bed.pass(1);
      expect(bed.engine.goaways).toEqual([null, 0]);
    }
  });

  test("rejects every later request with H3_REQUEST_REJECTED, and still takes one that is only late", () => {
    const bed = new SessionBed();
    bed.request(8);
    left(bed);
    bed.engine.emitFields(12, POST, true);
    bed.engine.emitBody(12, "body of a rejected request");
    bed.engine.emitEnd(12);
    bed.engine.emitFields(16, GET, false);
    bed.engine.emitFields(4, GET, false);
    bed.turn();
    expect(bed.engine.stream(12).resets).toEqual([0x10b]);
    expect(bed.engine.stream(16).resets).toEqual([0x10b]);
    expect(bed.counters.requestsRejectedDraining).toBe(2);
    expect([...bed.streams.keys()]).toEqual([8, 4]);
    expect(bed.closes).toEqual([]);
  });

  test("closes with H3_NO_ERROR a step after its last word when there is nothing else to wait for", () => {
    const bed = new SessionBed();
    left(bed);
    bed.pass(STEP_MS - 1);
    expect(bed.closes).toEqual([]);
    bed.pass(1);
    expect(bed.closes).toEqual([{ code: 0x100, reason: "" }]);
  });

  test("closes when the last response has reached the client, not when it was written", () => {
    const bed = new SessionBed();
    const stream = bed.request(0);
    left(bed);
    bed.pass(STEP_MS);
    answer(stream);
    bed.turn();
    expect(bed.heard).toEqual(["0 sent"]);
    expect(bed.closes).toEqual([]);
    bed.pass(10 * LIMITS.lastAnswerReadMs);
    expect(bed.closes).toEqual([]);
    // The client has confirmed the end of the stream, and the engine has let go of it.
    bed.engine.stream(0).gone = true;
    bed.turn();
    read(bed);
    expect(bed.closes[0]?.code).toBe(0x100);
  });

  test("waits also for responses that were written before it began", () => {
    const bed = new SessionBed();
    for (let i = 0; i < 500; i++) {
      answer(bed.request(4 * i));
      // All but one have arrived since.
      bed.engine.stream(4 * i).gone = i !== 7;
    }
    left(bed);
    bed.pass(STEP_MS);
    expect(bed.closes).toEqual([]);
    bed.engine.stream(28).gone = true;
    bed.turn();
    read(bed);
    expect(bed.closes[0]?.code).toBe(0x100);
  });

  test("does not wait for a response that the client stopped reading, nor for one that was reset", () => {
    const bed = new SessionBed();
    const [sent, reset, aborted] = [bed.request(0), bed.request(4), bed.request(8)];
    left(bed);
    bed.pass(STEP_MS);
    answer(sent);
    reset.reset(0x102);
    aborted.onAborted("reset");
    expect(bed.closes).toEqual([]);
    bed.engine.stream(0).stopped = true;
    bed.turn();
    read(bed);
    expect(bed.closes[0]?.code).toBe(0x100);
  });

  test("refuses what comes while the last answer is read, and waits no longer for it", () => {
    const bed = new SessionBed();
    const stream = bed.request(0);
    left(bed);
    bed.pass(STEP_MS);
    answer(stream);
    bed.engine.stream(0).gone = true;
    bed.turn();
    expect(bed.session.deadlineMs - bed.nowMs).toBe(LIMITS.lastAnswerReadMs);
    bed.pass(LIMITS.lastAnswerReadMs - 1);
    bed.engine.emitFields(4, GET, false);
    bed.turn();
    expect(bed.engine.stream(4).resets).toEqual([0x10b]);
    bed.pass(1);
    expect(bed.closes).toEqual([{ code: 0x100, reason: "" }]);
  });

  test("says it when there is room for it, and rejects nothing before it was said", () => {
    const bed = new SessionBed();
    const stream = bed.request(0);
    bed.engine.goawayBlocked = true;
    bed.session.leave(bed.nowMs);
    bed.pass(10 * STEP_MS);
    bed.request(4);
    bed.engine.goawayBlocked = false;
    bed.turn();
    expect(bed.engine.goaways).toEqual([null]);
    bed.engine.goawayBlocked = true;
    bed.pass(STEP_MS);
    const late = bed.request(8);
    expect([late.id, bed.engine.goaways]).toEqual([8, [null]]);
    bed.engine.goawayBlocked = false;
    // Nothing comes from the client: it is tried all the same.
    bed.pass(LIMITS.goawayStepMsMax);
    expect(bed.engine.goaways).toEqual([null, 12]);
    expect([stream.headSent, bed.closes]).toEqual([false, []]);
  });

  test("says it before an answer takes the room that a datagram has opened", () => {
    const bed = new SessionBed();
    const stream = bed.request(0);
    bed.engine.stream(0).room = 0;
    stream.sendHead(flatOf([[":status", "200"]]), false);
    stream.sendBody(new Uint8Array(100), true);
    bed.engine.goawayBlocked = true;
    bed.session.leave(bed.nowMs);
    bed.pass(0);
    bed.engine.goawayBlocked = false;
    bed.engine.stream(0).room = 1000;
    let bodyBytes = -1;
    const { sendGoaway } = bed.engine;
    bed.engine.sendGoaway = (id) => {
      bodyBytes = bed.engine.stream(0).body.length;
      return sendGoaway.call(bed.engine, id);
    };
    bed.turn();
    expect([bodyBytes, bed.engine.stream(0).body.length]).toEqual([0, 100]);
  });

  test("of a session whose connection has ended does nothing", () => {
    const bed = new SessionBed();
    bed.session.abandon();
    bed.engine.freed = true;
    bed.session.leave(bed.nowMs);
    expect([bed.session.deadlineMs, bed.engine.goaways]).toEqual([Infinity, []]);
  });
});
