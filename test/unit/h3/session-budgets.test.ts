/** What a client may give up, break and send in vain before its connection ends with H3_EXCESSIVE_LOAD, and what never counts. */
import { describe, expect, test } from "bun:test";
import { EVENT } from "../../../src/quic/engine.ts";
import { answer, GET, SessionBed } from "../../support/session-bed.ts";

const RESETS = { resetBurst: 5, resetsPerSecond: 1 };
const GLITCHES = { glitchBurst: 100, glitchesPerSecond: 10 };

/** Requests that end in a given way, until the connection does; how many that took. */
function until(bed: SessionBed, end: (id: number) => void, countMax: number = 50): number {
  for (let i = 0; i < countMax; i++) {
    if (bed.closes.length > 0) return i;
    end(4 * i);
  }
  return countMax;
}

describe("the reset budget", () => {
  const WAYS: readonly (readonly [string, (bed: SessionBed, id: number) => void])[] = [
    [
      "are reset",
      (bed, id) => {
        bed.request(id, true);
        bed.engine.emitReset(id);
        bed.turn();
      },
    ],
    [
      "are given up with STOP_SENDING",
      (bed, id) => {
        bed.request(id);
        bed.engine.stream(id).stopped = true;
        bed.turn();
      },
    ],
    [
      "are reset before their head was read",
      (bed, id) => {
        bed.engine.emitReset(id);
        bed.turn();
      },
    ],
    [
      "end without a head",
      (bed, id) => {
        bed.engine.emitEnd(id);
        bed.turn();
      },
    ],
    ["have a malformed head", (bed, id) => void bed.request(id, false, GET.slice(1))],
    [
      "have a body against their length",
      (bed, id) => {
        const stream = bed.request(id, true, [...GET, ["content-length", "3"]]);
        bed.engine.emitBody(id, "four");
        bed.turn();
        stream.pull();
      },
    ],
    [
      "have forbidden trailers",
      (bed, id) => {
        bed.request(id, true);
        bed.engine.emitFields(id, [[":path", "/"]], false);
        bed.turn();
      },
    ],
  ];

  test.each(WAYS)("ends the connection of a client whose requests %s", (_name, end) => {
    const bed = new SessionBed(RESETS);
    const under = bed.request(4000);
    expect(until(bed, (id) => end(bed, id))).toBe(6);
    expect(bed.closes[0]?.code).toBe(0x107);
    expect(bed.counters.connectionsOverResets).toBe(1);
    // What else ran for that client is over in the same breath.
    expect(bed.heard.at(-1)).toBe(`${under.id} closed`);
    expect(bed.session.openStreams).toBe(0);
  });

  test("is one for all ways", () => {
    const bed = new SessionBed(RESETS);
    const ended = until(bed, (id) => WAYS[(id / 4) % WAYS.length]?.[1](bed, id));
    expect(ended).toBe(6);
  });

  test("holds heads that come too late, too", () => {
    const bed = new SessionBed({ ...RESETS, requestHeadMs: 1000 });
    for (let id = 0; id < 40; id += 4) bed.engine.headless.add(id);
    bed.pass(100);
    bed.engine.counts.readableStreams = 1;
    bed.turn();
    bed.pass(1000);
    expect([bed.closes[0]?.code, bed.counters.requestHeadsLate]).toEqual([0x107, 6]);
  });

  test("fills with time", () => {
    const bed = new SessionBed(RESETS);
    const ended = until(bed, (id) => {
      WAYS[0]?.[1](bed, id);
      bed.nowMs += 1000;
    });
    expect([ended, bed.closes]).toEqual([50, []]);
  });

  test("is not used by what backends break, clients that take nothing and connections that close", () => {
    const bed = new SessionBed(RESETS);
    until(bed, (id) => bed.request(id).reset(0x102));
    expect(bed.closes).toEqual([]);
    for (let id = 1000; id < 1080; id += 4) {
      const stream = bed.request(id);
      bed.engine.stream(id).room = 0;
      answer(stream, false);
      stream.sendBody(new Uint8Array(1));
    }
    bed.pass(200_000);
    expect([bed.counters.clientDeadlines, bed.counters.connectionsOverResets]).toEqual([20, 0]);
    for (let id = 2000; id < 2080; id += 4) bed.request(id);
    bed.session.abandon();
    expect(bed.counters.connectionsOverResets).toBe(0);
  });

  test("is not used by a client that gives up what it has whole", () => {
    const bed = new SessionBed(RESETS);
    until(bed, (id) => {
      answer(bed.request(id, true));
      bed.engine.emitReset(id);
      bed.turn();
    });
    expect(bed.closes).toEqual([]);
  });
});

describe("the glitch budget", () => {
  test("ends the connection of a client whose packets bring nothing", () => {
    const bed = new SessionBed(GLITCHES);
    bed.turn(100);
    expect([bed.closes, bed.counters.glitchesHighest]).toEqual([[], 100]);
    bed.turn(1);
    expect([bed.closes[0]?.code, bed.counters.connectionsOverGlitches]).toEqual([0x107, 1]);
  });

  test("fills with time: a packet now and then keeps a connection alive for ever", () => {
    const bed = new SessionBed(GLITCHES);
    for (let i = 0; i < 10_000; i++) {
      bed.nowMs += 100;
      bed.turn(1);
    }
    expect(bed.closes).toEqual([]);
  });

  test("is used by each PRIORITY_UPDATE and each frame without a byte, whatever comes with them", () => {
    const bed = new SessionBed(GLITCHES);
    for (let i = 0; i < 60; i++) bed.engine.emit(EVENT.other, 4);
    bed.request(0, true);
    bed.engine.emptyFrames += 40;
    expect(bed.closes).toEqual([]);
    bed.request(4);
    bed.engine.emptyFrames += 1;
    bed.request(8);
    expect(bed.closes[0]?.code).toBe(0x107);
  });

  test("costs nothing for batches with a head, body bytes or an end in them", () => {
    const bed = new SessionBed(GLITCHES);
    const upload = bed.request(0, true);
    for (let id = 4; id < 400; id += 4) {
      bed.engine.emitBody(0, "x");
      bed.turn(64);
      upload.pull();
      bed.engine.emitFields(id, GET, false);
      bed.turn(64);
    }
    expect([bed.closes, bed.counters.glitchesHighest]).toEqual([[], 0]);
  });

  test("costs nothing while our side does not read what the client sends", () => {
    const bed = new SessionBed(GLITCHES);
    bed.request(0, true);
    bed.engine.emitBody(0, "waits");
    bed.turn(1);
    bed.engine.counts.readableStreams = 1;
    for (let i = 0; i < 100; i++) bed.turn(64);
    expect(bed.closes).toEqual([]);
  });

  test("is paid back by acknowledgements of what we send, in full packets and in small pieces", () => {
    const bed = new SessionBed(GLITCHES);
    const download = bed.request(0);
    answer(download, false);
    for (let i = 0; i < 1000; i++) {
      // One acknowledgement for each packet: nobody sends more.
      bed.engine.counts.bytesAcknowledged += 40 * 1200;
      bed.turn(40);
    }
    for (let i = 0; i < 1000; i++) {
      download.sendBody(new Uint8Array(10));
      bed.engine.counts.bytesAcknowledged += 60;
      bed.turn(1);
    }
    expect(bed.closes).toEqual([]);
    expect(bed.counters.glitchesHighest).toBeLessThan(50);
  });

  test("takes full packets behind a loss for body, up to what windows hold", () => {
    const bed = new SessionBed(GLITCHES);
    bed.request(0, true);
    bed.turn(390, 1200);
    expect(bed.closes).toEqual([]);
    bed.turn(20, 1200);
    expect(bed.closes[0]?.code).toBe(0x107);
  });
});
