/** Which requests fetch cannot carry whole, and over whose client they go then. */
import { describe, expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { Malformed, readRequestHead, type RequestHead } from "../../../src/h3/head.ts";
import { connectBunStream } from "../../../src/runtime/bun-streams.ts";
import type { FetchLane } from "../../../src/runtime/fetch-options.ts";
import { fetchGap, type FetchGap } from "../../../src/upstream/fetch-gap.ts";
import { Transports } from "../../../src/upstream/transports.ts";
import { hereFetch } from "../../support/fetch-upstream.ts";
import { ManualTimers } from "../../support/manual-timers.ts";
import { type Field, sectionOf } from "../../support/sections.ts";
import { backendOf, begin, PATIENT, poolOf, requestTo } from "../../support/upstream-calls.ts";

function headOf(method: string, path: string, fields: readonly Field[] = []): RequestHead {
  const pseudo = [
    [":method", method],
    [":scheme", "https"],
    [":authority", "a.test"],
    [":path", path],
  ] as const;
  const head = readRequestHead(sectionOf([...pseudo, ...fields]));
  return must(head instanceof Malformed ? null : head, "the head is well formed");
}

const PLAIN = headOf("GET", "/a?b=c", [
  ["accept", "*/*"],
  ["content-type", "application/json"],
]);
const BROWSER = "/a/b.css?v=1&x='";

/** What is asked, whether a body follows, and what fetch lacks for it. */
const CASES: readonly (readonly [string, RequestHead, boolean, FetchGap | null])[] = [
  ["a plain request", PLAIN, false, null],
  ["an upload", headOf("POST", "/up", [["content-type", "text/plain"]]), true, null],
  ["OPTIONS of a path", headOf("OPTIONS", "/"), false, null],
  ["te: trailers", headOf("GET", "/", [["te", "trailers"]]), false, "lossy"],
  ["gRPC", headOf("POST", "/pkg.S/M", [["content-type", "application/grpc"]]), true, "lossy"],
  ["gRPC with a coding", headOf("POST", "/pkg.S/M", [["content-type", "application/grpc+proto"]]), true, "lossy"],
  ["expect: 100-continue", headOf("PUT", "/", [["expect", "100-continue"]]), true, "lossy"],
  ["OPTIONS *", headOf("OPTIONS", "*"), false, "altered"],
  ["a method that fetch does not know", headOf("BREW", "/"), false, "altered"],
  ["a method in lower case", headOf("get", "/"), false, "altered"],
  ["dot segments", headOf("GET", "/a/../b"), false, "altered"],
  ["two slashes at the beginning", headOf("GET", "//a"), false, "altered"],
  ["a character that fetch would encode", headOf("GET", "/{a}"), false, "altered"],
  ["a quote in the query", headOf("GET", BROWSER), false, "altered"],
  ["GET with a body", PLAIN, true, "altered"],
  ["HEAD with a body", headOf("HEAD", "/"), true, "altered"],
];

test.each([...CASES])("%s", (_what, head, hasBody, gap) => expect(fetchGap(head, hasBody)).toBe(gap));

test("a quote in the path is carried as it is", () => {
  expect(fetchGap(headOf("GET", "/it's?a"), false)).toBeNull();
  expect(fetchGap(headOf("GET", "/it's?a'"), false)).toBe("altered");
});

describe("a request goes", () => {
  const world = (address: string, chosen: boolean, protocol: "auto" | "http1" | "h2" = "auto") => {
    const backend = { ...backendOf(address), transportIsChosen: chosen, ...(protocol === "auto" ? {} : { protocol }) };
    const counters = new Counters();
    const snapshot = { pools: [poolOf([backend])], timeouts: PATIENT };
    const transports = new Transports({
      ...{ snapshot, fetch: hereFetch(), connect: connectBunStream, timers: new ManualTimers(), counters },
      ...{ random: Random.fromEntropy([1]), onLearned: () => undefined },
    });
    const way = (head: RequestHead, hasBody: boolean = false): string =>
      transports.forRequest(backend, head, hasBody).constructor.name;
    return { way, counters, transports };
  };
  const grpc = headOf("POST", "/", [["content-type", "application/grpc"]]);
  const dots = headOf("GET", "/a/../b");

  test("over fetch where its backend has fetch and nothing is lost, over ours where it would", () => {
    const { way, counters, transports } = world("https://127.0.0.1:1", false);
    expect([way(PLAIN), way(grpc, true), way(dots)]).toEqual(["FetchUpstream", "H2Upstream", "H2Upstream"]);
    expect([counters.fetchAvoided, counters.fetchLossy]).toEqual([2, 0]);
    transports.close();
  });

  test("over our HTTP/1.1 where the pool says that its backends speak that", () => {
    const { way, transports } = world("https://127.0.0.1:1", false, "http1");
    expect([way(PLAIN), way(grpc, true)]).toEqual(["FetchUpstream", "H1Upstream"]);
    transports.close();
  });

  test("over fetch all the same where that was chosen, or there is no other, and what is lost is counted", () => {
    for (const [address, chosen] of [
      ["https://127.0.0.1:1", true],
      ["h3://127.0.0.1:1", false],
    ] as const) {
      const { way, counters, transports } = world(address, chosen);
      expect([way(PLAIN), way(grpc, true), way(dots)]).toEqual(["FetchUpstream", "FetchUpstream", "FetchUpstream"]);
      expect([counters.fetchAvoided, counters.fetchLossy]).toEqual([0, 1]);
      transports.close();
    }
  });

  test("as ever where its backend has a client of ours", () => {
    const { way, counters, transports } = world("http://127.0.0.1:1", false);
    expect([way(PLAIN), way(grpc, true)]).toEqual(["H1Upstream", "H1Upstream"]);
    expect(counters.fetchAvoided).toBe(0);
    transports.close();
  });
});

describe("others go around the one connection of fetch while a receiver takes nothing", () => {
  const world = (address: string, chosen: boolean, protocol: "auto" | "http1" = "auto") => {
    const backend = { ...backendOf(address), transportIsChosen: chosen, protocol };
    const pool = poolOf([backend]);
    const [counters, timers] = [new Counters(), new ManualTimers()];
    // A body without an end.
    const body = (): ReadableStream<Uint8Array<ArrayBuffer>> =>
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1024)) });
    const lane: FetchLane = { send: () => Promise.resolve(new Response(body())), close: () => undefined };
    const transports = new Transports({
      ...{ snapshot: { pools: [pool], timeouts: PATIENT }, fetch: { ...hereFetch(), open: () => lane } },
      ...{ connect: connectBunStream, timers, counters, random: Random.fromEntropy([1]), onLearned: () => undefined },
    });
    const way = (): string => transports.forRequest(backend, PLAIN, false).constructor.name;
    const stall = async () => {
      const { outcome, call } = begin(transports.of(backend), requestTo(pool));
      outcome.hasRoom = false;
      await outcome.received(1);
      // The piece was delivered before its reader has said that it is full.
      await Promise.resolve();
      return { outcome, call };
    };
    return { way, stall, timers, counters, transports };
  };

  test("until it takes again, or is given up", async () => {
    const { way, stall, timers, counters, transports } = world("https://127.0.0.1:1", false);
    const { outcome, call } = await stall();
    timers.advance(LIMITS.fetchStallMsMin - 1);
    expect(way()).toBe("FetchUpstream");
    timers.advance(2 * LIMITS.upstreamSweepMsMax);
    expect([way(), counters.fetchCrowded, counters.fetchAvoided]).toEqual(["H2Upstream", 1, 0]);
    call.resume();
    expect(way()).toBe("FetchUpstream");
    await outcome.received(2 * 1024);
    await Promise.resolve();
    const other = await stall();
    timers.advance(2 * LIMITS.fetchStallMsMin);
    call.cancel();
    expect(way()).toBe("H2Upstream");
    other.call.cancel();
    expect([way(), counters.fetchCrowded]).toEqual(["FetchUpstream", 2]);
    transports.close();
  });

  test("and while as many as may are under way by fetch", async () => {
    const { way, stall, counters, transports } = world("https://127.0.0.1:1", false);
    const calls = [];
    for (let i = 1; i < LIMITS.fetchHttp2CallsMax; i++) calls.push((await stall()).call);
    expect(way()).toBe("FetchUpstream");
    calls.push((await stall()).call);
    expect([way(), counters.fetchCrowded]).toEqual(["H2Upstream", 1]);
    calls.pop()?.cancel();
    expect(way()).toBe("FetchUpstream");
    for (const call of calls) call.cancel();
    transports.close();
  });

  test("but not where fetch was chosen, nor over HTTP/1.1, where nothing is shared", async () => {
    for (const [chosen, protocol] of [
      [true, "auto"],
      [false, "http1"],
    ] as const) {
      const { way, stall, timers, counters, transports } = world("https://127.0.0.1:1", chosen, protocol);
      const { call } = await stall();
      timers.advance(2 * LIMITS.fetchStallMsMin);
      expect([way(), counters.fetchCrowded]).toEqual(["FetchUpstream", 0]);
      call.cancel();
      transports.close();
    }
  });
});
