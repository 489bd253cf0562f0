/** The HTTP/2 connections of one backend: how many, which one, and how one takes the place of another. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { FRAME, H2_CODE, SETTING } from "../../../src/h2/codes.ts";
import { H2Network, turnEnds } from "../../support/h2-network.ts";
import { NativeBench, type NativeChoices } from "../../support/native-bench.ts";
import { begin, type Outcome, type RequestParts } from "../../support/upstream-calls.ts";

interface Bench {
  readonly streams: H2Network;
  readonly native: NativeBench;
  /** Starts a request and lets the turn end. */
  readonly ask: (parts?: RequestParts) => Promise<Outcome>;
}

function make(choices: NativeChoices = {}): Bench {
  const streams = new H2Network();
  const native = new NativeBench(streams.connect, choices);
  const ask = async (parts: RequestParts = {}): Promise<Outcome> => {
    const { outcome } = begin(native.h2, native.request(parts));
    await turnEnds();
    return outcome;
  };
  return { streams, native, ask };
}

const AGE_MS = LIMITS.h2ConnectionAgeMsMax;
const YOUNGEST_AGED_MS = (AGE_MS * (100 - LIMITS.h2ConnectionAgeJitterPercentMax)) / 100;

describe("how many connections", () => {
  test("one, for as many requests as it takes; the rest go on a second, whose maximum counts for itself", async () => {
    const { streams, ask } = make();
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => ask()));
    expect(streams.all.length).toBe(1);
    streams.at(0).open("h2");
    await turnEnds();
    streams.at(0).settle([SETTING.maxConcurrentStreams, 5]);
    await turnEnds();
    expect(streams.at(0).requests()).toEqual([1, 3, 5, 7, 9]);
    expect(streams.all.length).toBe(1);
    const sixth = await ask();
    expect(streams.all.length).toBe(2);
    streams.at(1).open("h2").settle([SETTING.maxConcurrentStreams, 1]);
    await turnEnds();
    expect(streams.at(1).requests()).toEqual([1]);
    streams.at(1).answer(1);
    for (const id of [1, 3, 5, 7, 9]) streams.at(0).answer(id);
    expect([...outcomes, sixth].map(({ text }) => text)).toEqual(Array(6).fill("ok"));
  });

  test("no second one before the first has said how many requests it takes", async () => {
    const { streams, ask } = make();
    const burst = LIMITS.h2StreamsBeforeSettingsMax + 20;
    await Promise.all(Array.from({ length: burst }, () => ask()));
    streams.at(0).open("h2");
    await turnEnds();
    expect(streams.at(0).requests().length).toBe(LIMITS.h2StreamsBeforeSettingsMax);
    streams.at(0).settle();
    await turnEnds();
    expect(streams.at(0).requests().length).toBe(20);
    expect(streams.all.length).toBe(1);
  });

  test("as many at once as we allow, where the backend allows more", async () => {
    const { streams, ask } = make({ linksMax: 1 });
    await ask();
    streams.at(0).open("h2").settle([SETTING.maxConcurrentStreams, 100_000]);
    await Promise.all(Array.from({ length: LIMITS.h2StreamsMax + 5 }, () => ask()));
    expect(streams.at(0).requests().length).toBe(LIMITS.h2StreamsMax);
  });

  test("no more than the pool may have; what is too much waits for a stream that becomes free", async () => {
    const { streams, ask } = make({ linksMax: 1 });
    const [first, second] = [await ask(), await ask()];
    streams.at(0).open("h2").settle([SETTING.maxConcurrentStreams, 1]);
    await turnEnds();
    expect(streams.at(0).requests()).toEqual([1]);
    const third = await ask();
    expect(streams.at(0).requests()).toEqual([]);
    streams.at(0).answer(1);
    await turnEnds();
    expect(streams.at(0).requests()).toEqual([3]);
    streams.at(0).answer(3);
    await turnEnds();
    expect(streams.at(0).requests()).toEqual([5]);
    streams.at(0).answer(5);
    expect([first, second, third].every(({ ended }) => ended)).toBe(true);
    expect(streams.all.length).toBe(1);
  });

  test("further ones while requests wait, one after the other", async () => {
    const { streams, ask } = make({ linksMax: 3 });
    await Promise.all(Array.from({ length: 6 }, () => ask()));
    for (let i = 0; i < 3; i++) {
      expect(streams.all.length).toBe(i + 1);
      streams.at(i).settle([SETTING.maxConcurrentStreams, 2]).open("h2");
      await turnEnds();
      expect(streams.at(i).requests()).toEqual([1, 3]);
    }
    expect(streams.all.length).toBe(3);
  });

  test("too many that wait are refused", async () => {
    const { streams, native, ask } = make({ linksMax: 1 });
    for (let i = 0; i < LIMITS.h2WaitingMax; i++) begin(native.h2, native.request());
    const refused = await ask();
    expect([refused.failure?.code, refused.failure?.processed]).toEqual(["OVERLOADED", "no"]);
    expect([native.counters.upstreamOverflows, streams.all.length]).toEqual([1, 1]);
  });
});

describe("a connection that cannot be made", () => {
  test("fails what waits for it, as surely not sent; the next request tries again at once", async () => {
    const { streams, ask } = make();
    const waiting = [await ask(), await ask()];
    streams.at(0).refuse();
    for (const { failure } of waiting) {
      expect([failure?.code, failure?.processed, failure?.requestSent]).toEqual(["UPSTREAM_REFUSED", "no", false]);
    }
    const next = await ask();
    streams.at(1).open("h2").settle();
    await turnEnds();
    streams.at(1).answer(1);
    expect(next.text).toBe("ok");
  });

  test("beside one that works is not tried again for a while, and nobody fails for it", async () => {
    const { streams, native, ask } = make();
    await ask();
    streams.at(0).open("h2").settle([SETTING.maxConcurrentStreams, 1]);
    const waiting = await ask();
    streams.at(1).refuse();
    native.timers.advance(LIMITS.h2ReopenMsMin - LIMITS.upstreamSweepMsMax);
    await ask();
    expect([streams.all.length, waiting.failure]).toEqual([2, null]);
    native.timers.advance(2 * LIMITS.upstreamSweepMsMax);
    expect(streams.all.length).toBe(3);
  });

  test("beside one that works is tried again at once when that one is lost", async () => {
    const { streams, ask } = make();
    await ask();
    streams.at(0).open("h2").settle([SETTING.maxConcurrentStreams, 1]);
    const waiting = await ask();
    streams.at(1).refuse();
    streams.at(0).end();
    expect(streams.all.length).toBe(3);
    streams.at(2).open("h2").settle();
    await turnEnds();
    streams.at(2).answer(1);
    expect(waiting.text).toBe("ok");
  });
});

describe("a connection that the backend gives up", () => {
  test("finishes what runs on it, while another takes its place even where one is the maximum", async () => {
    const { streams, ask } = make({ linksMax: 1 });
    const [served, unseen] = [await ask(), await ask()];
    streams.at(0).open("h2").settle();
    await turnEnds();
    expect(streams.at(0).requests()).toEqual([1, 3]);
    streams.at(0).goaway(1);
    await turnEnds();
    // What the backend says it did not look at goes to the new one by itself.
    streams.at(1).open("h2").settle();
    await turnEnds();
    expect(streams.at(1).requests()).toEqual([1]);
    const later = await ask();
    expect(streams.at(1).requests()).toEqual([3]);
    streams.at(1).answer(1, "moved");
    streams.at(1).answer(3, "later");
    streams.at(0).answer(1, "served");
    expect([served.text, unseen.text, later.text]).toEqual(["served", "moved", "later"]);
    await turnEnds();
    expect([streams.at(0).abandoned, streams.at(1).abandoned, streams.all.length]).toEqual([true, false, 2]);
  });

  test("many that never finish: requests wait rather than open ever more", async () => {
    const { streams, ask } = make({ linksMax: 1 });
    for (let i = 0; i < LIMITS.h2ConnectionsDrainingMax; i++) {
      await ask();
      streams.at(i).open("h2").settle();
      await turnEnds();
      streams.at(i).goaway(1);
    }
    const waiting = await ask();
    expect(streams.all.length).toBe(LIMITS.h2ConnectionsDrainingMax);
    streams.at(3).answer(1);
    await turnEnds();
    streams.last.open("h2").settle();
    await turnEnds();
    streams.last.answer(1);
    expect([waiting.text, streams.all.length]).toEqual(["ok", LIMITS.h2ConnectionsDrainingMax + 1]);
  });

  test("by closing it when nothing runs: the next request opens another", async () => {
    const { streams, ask } = make();
    await ask();
    streams.at(0).open("h2").settle();
    await turnEnds();
    streams.at(0).answer(1);
    streams.at(0).end();
    expect(streams.all.length).toBe(1);
    await ask();
    expect(streams.all.length).toBe(2);
  });
});

describe("age", () => {
  /** A connection that was used twice a minute until another is opened to take its place. */
  async function grownOld(choices: NativeChoices = {}): Promise<Bench> {
    const bench = make(choices);
    const { streams, native, ask } = bench;
    await ask();
    streams.at(0).open("h2").settle();
    await turnEnds();
    while (streams.all.length === 1 && native.timers.nowMs() < 2 * AGE_MS) {
      for (const id of streams.at(0).requests()) streams.at(0).answer(id);
      native.timers.advance(LIMITS.upstreamIdleMsMax / 2);
      if (streams.all.length === 1) await ask();
    }
    expect(streams.all.length).toBe(2);
    streams.at(0).frames();
    return bench;
  }

  test("an old connection is used until a new one is ready; then it finishes what runs on it, and nobody has waited", async () => {
    const { streams, native, ask } = await grownOld({ linksMax: 1 });
    const before = await ask();
    const [id = 0] = streams.at(0).requests();
    streams.at(1).open("h2");
    await turnEnds();
    native.timers.advance(LIMITS.upstreamSweepMsMax);
    expect([id > 1, native.counters.h2ConnectionsAged]).toEqual([true, 0]);
    streams.at(1).settle();
    native.timers.advance(LIMITS.upstreamSweepMsMax);
    await turnEnds();
    expect(native.counters.h2ConnectionsAged).toBe(1);
    expect(streams.at(0).frames().at(-1)?.type).toBe(FRAME.goaway);
    await ask();
    expect(streams.at(1).requests()).toEqual([1]);
    streams.at(0).answer(id);
    await turnEnds();
    expect([before.text, streams.at(0).abandoned, streams.all.length]).toEqual(["ok", true, 2]);
  });

  test("a new one that has not room for all that runs on the old takes what comes, until it has", async () => {
    const { streams, native, ask } = await grownOld({ linksMax: 1 });
    await Promise.all([ask(), ask()]);
    const [first = 0, second = 0] = streams.at(0).requests();
    streams.at(1).open("h2").settle([SETTING.maxConcurrentStreams, 1]);
    await ask();
    native.timers.advance(LIMITS.upstreamSweepMsMax);
    expect([native.counters.h2ConnectionsAged, streams.all.length]).toEqual([0, 2]);
    expect(streams.at(1).requests()).toEqual([1]);
    streams.at(1).answer(1);
    streams.at(0).answer(first);
    native.timers.advance(LIMITS.upstreamSweepMsMax);
    expect([native.counters.h2ConnectionsAged, second > first]).toEqual([1, true]);
  });

  test("where no new one can be made, the old one stays and another is tried later", async () => {
    const { streams, native, ask } = await grownOld();
    streams.at(1).refuse();
    native.timers.advance(LIMITS.h2ReopenMsMin - LIMITS.upstreamSweepMsMax);
    expect(streams.all.length).toBe(2);
    await ask();
    expect(streams.at(0).requests().length).toBe(1);
    native.timers.advance(2 * LIMITS.upstreamSweepMsMax);
    expect(streams.all.length).toBe(3);
  });

  test("differs from one to the next, within what is said of it", async () => {
    const ages = new Set<number>();
    for (let seed = 1; seed <= 6; seed++) {
      const { native } = await grownOld({ seed });
      const ageMs = native.timers.nowMs();
      expect(ageMs).toBeGreaterThanOrEqual(YOUNGEST_AGED_MS);
      expect(ageMs).toBeLessThanOrEqual(AGE_MS + LIMITS.upstreamIdleMsMax);
      ages.add(ageMs);
    }
    expect(ages.size).toBeGreaterThan(3);
  });
});

describe("what nobody needs", () => {
  test("is closed after its idle time, with a GOAWAY", async () => {
    const { streams, native, ask } = make();
    await ask();
    streams.at(0).open("h2").settle();
    await turnEnds();
    streams.at(0).answer(1);
    streams.at(0).frames();
    native.timers.advance(LIMITS.upstreamIdleMsMax);
    expect(streams.at(0).abandoned).toBe(false);
    native.timers.advance(2 * LIMITS.upstreamSweepMsMax);
    await turnEnds();
    expect(streams.at(0).frames().at(-1)?.type).toBe(FRAME.goaway);
    expect(streams.at(0).abandoned).toBe(true);
  });

  test("after the transport's end: connections close with their last call, deadlines hold until then", async () => {
    const { streams, native, ask } = make({ timeouts: { backendResponseHeadMs: 3000 } });
    const running = await ask();
    streams.at(0).open("h2").settle();
    await turnEnds();
    native.h2.close();
    native.h1.close();
    expect((await ask()).failure?.code).toBe("DRAINING");
    expect(native.timers.waiting).toBe(1);
    native.timers.advance(3100);
    expect(running.failure?.code).toBe("UPSTREAM_HEAD_TIMEOUT");
    await turnEnds();
    native.timers.advance(LIMITS.upstreamSweepMsMax);
    expect([streams.at(0).abandoned, native.timers.waiting]).toEqual([true, 0]);
  });

  test("after the transport's end: what waits is served, and no connection stays", async () => {
    const { streams, native, ask } = make();
    const waiting = await ask();
    native.h2.close();
    streams.at(0).open("h2").settle();
    await turnEnds();
    streams.at(0).answer(1);
    native.timers.advance(2 * LIMITS.upstreamSweepMsMax);
    await turnEnds();
    expect([waiting.text, streams.at(0).abandoned, streams.all.length]).toEqual(["ok", true, 1]);
  });
});

describe("a backend that is gone without a word", () => {
  test("is found by a PING within seconds; what was on it fails, and what comes goes elsewhere", async () => {
    const { streams, native, ask } = make();
    const lost = await ask();
    streams.at(0).open("h2").settle();
    await turnEnds();
    streams.at(0).frames();
    native.timers.advance(LIMITS.h2PingAfterMs);
    await turnEnds();
    expect(
      streams
        .at(0)
        .frames()
        .map(({ type }) => type),
    ).toEqual([FRAME.ping]);
    native.timers.advance(LIMITS.h2PingAnswerMsMax);
    await turnEnds();
    expect([lost.failure?.code, lost.failure?.processed]).toEqual(["UPSTREAM_RESET", "maybe"]);
    expect(lost.failure?.message).toContain("ping-timeout");
    expect([native.counters.h2PingTimeouts, streams.at(0).abandoned]).toEqual([1, true]);
    await ask();
    expect(streams.all.length).toBe(2);
  });
});

describe("a backend that speaks HTTP/1.1", () => {
  const ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

  async function fallenBack(): Promise<Bench> {
    const bench = make();
    const first = await bench.ask();
    bench.streams.at(0).open("http/1.1");
    await turnEnds();
    bench.streams.at(1).open("http/1.1");
    bench.streams.at(1).send(ANSWER);
    expect(first.text).toBe("ok");
    expect(bench.native.counters.upstreamFallbacks).toBe(1);
    return bench;
  }

  test("is remembered: requests go over HTTP/1.1 at once", async () => {
    const { streams, ask } = await fallenBack();
    expect(streams.at(0).abandoned).toBe(true);
    const second = await ask();
    expect(String.fromCharCode(...streams.at(1).take())).toContain("GET / HTTP/1.1\r\n");
    streams.at(1).send(ANSWER);
    expect([second.text, streams.all.length]).toEqual(["ok", 2]);
  });

  test("is asked again when told to, and remembered anew; not with each failure", async () => {
    const { streams, native, ask } = await fallenBack();
    native.timers.advance(LIMITS.protocolRelearnMsMin - LIMITS.upstreamSweepMsMax);
    native.relearn();
    await ask();
    streams.at(1).send(ANSWER);
    expect(streams.all.length).toBe(2);
    native.timers.advance(LIMITS.upstreamSweepMsMax);
    native.relearn();
    const next = await ask();
    streams.at(2).open("http/1.1");
    await turnEnds();
    streams.at(1).send(ANSWER);
    expect([next.text, native.counters.upstreamFallbacks, streams.all.length]).toEqual(["ok", 2, 3]);
  });

  test("may have become one of HTTP/2", async () => {
    const { streams, native, ask } = await fallenBack();
    native.timers.advance(LIMITS.protocolRelearnMsMin);
    native.relearn();
    const next = await ask();
    streams.at(2).open("h2").settle();
    await turnEnds();
    streams.at(2).answer(1);
    await ask();
    expect([next.text, streams.at(2).requests(), native.counters.upstreamFallbacks]).toEqual(["ok", [1, 3], 1]);
  });

  test("is an error where HTTP/2 alone was asked for", async () => {
    const { streams, ask } = make({ alpn: ["h2"] });
    const outcome = await ask();
    streams.at(0).open("http/1.1");
    expect([outcome.failure?.code, outcome.failure?.processed]).toEqual(["UPSTREAM_PROTOCOL", "no"]);
    expect([streams.at(0).abandoned, streams.all.length]).toEqual([true, 1]);
  });
});

test("a refused stream goes to a connection again, once", async () => {
  const { streams, native, ask } = make();
  const outcome = await ask();
  streams.at(0).open("h2").settle();
  await turnEnds();
  streams.at(0).reset(1, H2_CODE.refusedStream);
  await turnEnds();
  expect(streams.at(0).requests()).toEqual([1, 3]);
  streams.at(0).reset(3, H2_CODE.refusedStream);
  expect([outcome.failure?.processed, native.counters.h2StreamsRefused]).toEqual(["no", 2]);
});
