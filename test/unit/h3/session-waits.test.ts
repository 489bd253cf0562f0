/** How long a session waits for its client: heads that do not become whole, answers that nobody takes, connections without a request. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { SECTION } from "../../../src/quic/engine.ts";
import { answer, SessionBed } from "../../support/session-bed.ts";

const HEAD_MS = 10_000;
const SEND_MS = 20_000;
const IDLE_MS = 50_000;
const STEP_MS = LIMITS.goawayStepMsMin;
const TIMEOUTS = { requestHeadMs: HEAD_MS, clientSendMs: SEND_MS, connectionIdleMs: IDLE_MS };

/** A stream has come into being of whose head a part was read. */
function beginHead(bed: SessionBed, id: number): void {
  bed.engine.headless.add(id);
  bed.engine.counts.readableStreams = 1;
  bed.turn();
  bed.engine.counts.readableStreams = 0;
}

describe("a request's head", () => {
  test("that is not whole in time is answered 408, and no earlier", () => {
    const bed = new SessionBed(TIMEOUTS);
    bed.pass(1000);
    beginHead(bed, 0);
    bed.pass(HEAD_MS - 1);
    expect(bed.engine.stream(0).sections).toEqual([]);
    bed.pass(1);
    const { status, ended, stops } = bed.engine.stream(0);
    expect([status, ended, stops]).toEqual(["408", true, [0x100]]);
    expect(bed.heard).toEqual(["0 head-late", "0 sent"]);
    expect([bed.counters.requestHeadsLate, bed.session.openStreams]).toEqual([1, 0]);
  });

  test("is late however often a byte of it comes", () => {
    const bed = new SessionBed(TIMEOUTS);
    bed.pass(1000);
    for (let waitedMs = 0; waitedMs <= HEAD_MS; waitedMs += 100) {
      beginHead(bed, 0);
      bed.pass(100);
    }
    expect(bed.engine.stream(0).status).toBe("408");
  });

  test("is looked for among ids that were passed over, and beyond the highest by as many as a client may have", () => {
    const bed = new SessionBed({ ...TIMEOUTS, streamsPerConnectionMax: 10 });
    bed.request(20);
    bed.pass(1000);
    for (const id of [4, 60]) beginHead(bed, id);
    bed.pass(HEAD_MS + 1000);
    expect(bed.heard).toEqual(["4 head-late", "4 sent", "60 head-late", "60 sent"]);
    expect(bed.engine.stream(20).resets).toEqual([]);
  });

  test("that comes in time is a request like any other", () => {
    const bed = new SessionBed(TIMEOUTS);
    bed.pass(1000);
    beginHead(bed, 0);
    bed.pass(HEAD_MS - 1);
    bed.engine.headless.delete(0);
    bed.request(0);
    bed.pass(HEAD_MS);
    expect([bed.heard, bed.counters.requestHeadsLate]).toEqual([[], 0]);
  });

  test("that the client has taken back meanwhile is nothing to answer", () => {
    const bed = new SessionBed(TIMEOUTS);
    bed.pass(1000);
    beginHead(bed, 0);
    bed.engine.headless.delete(0);
    bed.pass(2 * HEAD_MS);
    expect([bed.heard, bed.counters.requestHeadsLate]).toEqual([[], 0]);
  });

  test("is reset with H3_REQUEST_CANCELLED where no answer can be sent", () => {
    const bed = new SessionBed(TIMEOUTS);
    bed.pass(1000);
    bed.engine.stream(0).gone = true;
    beginHead(bed, 0);
    bed.pass(HEAD_MS);
    expect([bed.engine.stream(0).resets, bed.session.openStreams]).toEqual([[0x10c], 0]);
  });

  test("that a stream without readable bytes owes is found by later datagrams", () => {
    const bed = new SessionBed(TIMEOUTS);
    bed.engine.headless.add(0);
    for (let waitedMs = 0; waitedMs < 1.25 * HEAD_MS; waitedMs += 500) {
      bed.pass(500);
      bed.turn();
    }
    expect(bed.engine.stream(0).status).toBe("408");
  });

  test("costs no deadline while all goes well", () => {
    const bed = new SessionBed(TIMEOUTS);
    bed.engine.counts.readableStreams = 1;
    bed.request(0);
    expect(bed.session.deadlineMs).toBe(Infinity);
  });
});

describe("a client that takes nothing", () => {
  test("loses the stream with 0x102 after the time allowed, and its bytes are free", () => {
    const bed = new SessionBed(TIMEOUTS);
    const stream = bed.request(0);
    bed.engine.stream(0).room = 3;
    answer(stream, false);
    stream.sendBody(new Uint8Array(10), true);
    expect(bed.buffers.bytes).toBe(7);
    bed.pass(SEND_MS);
    expect(bed.heard).toEqual([]);
    bed.pass(SEND_MS / 4);
    expect([bed.heard, bed.engine.stream(0).resets]).toEqual([["0 stalled"], [0x102]]);
    expect([bed.buffers.bytes, bed.counters.clientDeadlines, bed.session.openStreams]).toEqual([0, 1, 0]);
  });

  test("is offered nothing again by packets that open no window", () => {
    const bed = new SessionBed(TIMEOUTS);
    const [full, headless] = [bed.request(0), bed.request(4)];
    bed.engine.stream(0).room = 3;
    bed.engine.stream(4).sectionsPass = false;
    for (const stream of [full, headless]) {
      answer(stream, false);
      stream.sendBody(new Uint8Array(10), true);
    }
    for (let turn = 0; turn < 10; turn++) bed.turn();
    const offers = [0, 4].map((id) => bed.engine.stream(id).offers);
    for (let turn = 0; turn < 100; turn++) bed.turn();
    expect([0, 4].map((id) => bed.engine.stream(id).offers)).toEqual(offers);
    bed.engine.stream(0).room = 7;
    bed.engine.stream(4).sectionsPass = true;
    bed.turn();
    expect([0, 4].map((id) => bed.engine.stream(id).body.length)).toEqual([10, 10]);
    expect([bed.buffers.bytes, bed.session.openStreams]).toEqual([0, 0]);
  });

  test("may be slow: a byte in time is progress", () => {
    const bed = new SessionBed(TIMEOUTS);
    const stream = bed.request(0);
    bed.engine.stream(0).room = 1;
    answer(stream, false);
    stream.sendBody(new Uint8Array(10), true);
    for (let i = 0; i < 8; i++) {
      bed.pass(SEND_MS * 0.9);
      bed.engine.stream(0).room = 1;
      bed.turn();
    }
    expect([bed.heard, bed.engine.stream(0).body.length]).toEqual([[], 9]);
  });

  test("is not the one whose backend has nothing to send", () => {
    const bed = new SessionBed(TIMEOUTS);
    answer(bed.request(0), false);
    bed.pass(10 * SEND_MS);
    expect([bed.heard, bed.engine.stream(0).resets]).toEqual([[], []]);
  });

  test("and confirms nothing of what the engine holds loses that, too", () => {
    const bed = new SessionBed(TIMEOUTS);
    for (const id of [0, 4]) answer(bed.request(id));
    bed.pass(SEND_MS * 1.5);
    expect([bed.engine.stream(0).resets, bed.engine.stream(4).resets]).toEqual([[0x102], [0x102]]);
    expect([bed.heard, bed.counters.clientDeadlines]).toEqual([["0 sent", "4 sent"], 2]);
  });

  test("is not one that confirms something, nor one that has all", () => {
    const bed = new SessionBed(TIMEOUTS);
    for (const id of [0, 4]) answer(bed.request(id));
    bed.engine.stream(4).gone = true;
    for (let i = 0; i < 10; i++) {
      bed.pass(SEND_MS / 2);
      bed.engine.counts.bytesAcknowledged += 1;
      bed.turn();
    }
    expect([bed.engine.stream(0).resets, bed.engine.stream(4).resets]).toEqual([[], []]);
  });
});

describe("a connection without a request", () => {
  test("gets GOAWAY after the time allowed and ends with H3_NO_ERROR, whatever its client does to keep it", () => {
    const bed = new SessionBed(TIMEOUTS);
    for (let waitedMs = 0; waitedMs < IDLE_MS - 1000; waitedMs += 1000) {
      bed.pass(1000);
      bed.turn();
    }
    expect(bed.engine.goaways).toEqual([]);
    bed.pass(1000);
    expect([bed.engine.goaways, bed.closes]).toEqual([[null], []]);
    bed.pass(STEP_MS);
    expect([bed.engine.goaways, bed.closes]).toEqual([[null, 0], []]);
    bed.pass(STEP_MS);
    expect(bed.closes).toEqual([{ code: 0x100, reason: "" }]);
    expect(bed.counters.connectionsIdle).toBe(1);
  });

  test("takes what its client sent before it heard of that, and refuses what comes later, so that nothing is lost", () => {
    const bed = new SessionBed(TIMEOUTS);
    bed.pass(IDLE_MS);
    answer(bed.request(0));
    bed.pass(STEP_MS);
    expect(bed.engine.goaways).toEqual([null, 4]);
    bed.engine.emitFields(4, [[":method", "GET"]], false);
    bed.turn();
    expect([bed.engine.stream(4).resets, bed.streams.size]).toEqual([[0x10b], 1]);
  });

  test("is one only when the last request has ended, and only so long after that", () => {
    const bed = new SessionBed(TIMEOUTS);
    const stream = bed.request(0);
    bed.pass(3 * IDLE_MS);
    expect(bed.engine.goaways).toEqual([]);
    answer(stream);
    bed.engine.stream(0).gone = true;
    bed.turn();
    bed.pass(IDLE_MS - 1);
    expect(bed.engine.goaways).toEqual([]);
    bed.pass(1);
    expect(bed.engine.goaways).toEqual([null]);
  });

  test("is none while a response is on its way", () => {
    const bed = new SessionBed({ ...TIMEOUTS, clientSendMs: 10 * IDLE_MS });
    answer(bed.request(0));
    bed.pass(1.5 * IDLE_MS);
    expect(bed.engine.goaways).toEqual([]);
  });
});

describe("a connection with as many requests as it may have", () => {
  test("gets GOAWAY, finishes them, refuses what is begun afterwards with 0x10b, and ends", () => {
    const bed = new SessionBed({ requestsPerConnectionMax: 2 });
    const streams = [bed.request(0), bed.request(4)];
    expect(bed.engine.goaways).toEqual([null]);
    // Its client had sent it already.
    streams.push(bed.request(8));
    bed.pass(STEP_MS);
    expect(bed.engine.goaways).toEqual([null, 12]);
    bed.engine.emitFields(12, [], false);
    bed.turn();
    expect([bed.engine.stream(12).resets, bed.counters.requestsRejectedDraining]).toEqual([[0x10b], 1]);
    for (const stream of streams) answer(stream);
    expect(bed.engine.stream(4).sections[0]?.kind).toBe(SECTION.head);
    bed.pass(STEP_MS);
    expect(bed.closes).toEqual([]);
    for (const id of [0, 4, 8]) bed.engine.stream(id).gone = true;
    bed.turn();
    bed.pass(LIMITS.lastAnswerReadMs);
    expect(bed.closes[0]).toEqual({ code: 0x100, reason: "" });
    expect([bed.counters.connectionsOverRequests, bed.counters.requestsRejectedDraining]).toEqual([1, 1]);
  });
});
