/** What a backend in clear speaks: found out, remembered, found out again. */
import { describe, expect, test } from "bun:test";
import type { BackendSettings } from "../../../src/config/snapshot.ts";
import { must } from "../../../src/core/assert.ts";
import { Counters } from "../../../src/core/counters.ts";
import { ProxyError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { AutoUpstream } from "../../../src/upstream/native/auto-upstream.ts";
import { FakeUpstream } from "../../support/fake-upstream.ts";
import { ManualTimers } from "../../support/manual-timers.ts";
import { ScriptedNetwork } from "../../support/scripted-streams.ts";
import { backendOf, begin, PATIENT, poolOf, requestTo } from "../../support/upstream-calls.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** SETTINGS without entries, then with one entry. */
const SETTINGS = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const CONNECT_MS = 5000;

function make() {
  const network = new ScriptedNetwork();
  const timers = new ManualTimers();
  const counters = new Counters();
  const http1 = new FakeUpstream();
  const h2c = new FakeUpstream();
  const learned: string[] = [];
  const pool = poolOf([backendOf("10.0.0.1:80")]);
  const backend = must(pool.backends[0], "the pool has a backend");
  const upstream = new AutoUpstream({
    ...{ timers, counters, http1, h2c, connect: network.connect },
    timeouts: { ...PATIENT, backendConnectMs: CONNECT_MS },
    targetOf: ({ host, port }: BackendSettings) => ({ host, port, tls: null, connectTimeoutMs: CONNECT_MS }),
    onLearned: (_: BackendSettings, protocol) => void learned.push(protocol),
  });
  const ask = () => begin(upstream, requestTo(pool));
  return { network, timers, counters, http1, h2c, learned, upstream, backend, ask };
}

describe("a backend that has not been asked", () => {
  test("gets the preface of HTTP/2 with SETTINGS, and no request", () => {
    const { network, ask, http1, h2c } = make();
    ask();
    const stream = network.last.open();
    expect(String.fromCharCode(...stream.written)).toBe(`${PREFACE}${String.fromCharCode(...SETTINGS)}`);
    expect([http1.calls.length, h2c.calls.length]).toEqual([0, 0]);
  });

  test("speaks HTTP/2 when it answers with SETTINGS, however they are cut and whatever they hold", () => {
    for (const answer of [SETTINGS, [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]]) {
      for (const cut of [answer.length, 1, 3, 8]) {
        const { network, ask, h2c, learned } = make();
        ask();
        const stream = network.last.open();
        for (let at = 0; at < answer.length && !stream.abandoned; at += cut) stream.send(answer.slice(at, at + cut));
        expect([h2c.calls.length, learned, stream.abandoned]).toEqual([1, ["h2c"], true]);
      }
    }
  });

  test.each<[string, string | number[]]>([
    ["an answer of HTTP/1.1", "HTTP/1.1 400 Bad Request\r\n"],
    ["one letter", "H"],
    ["another frame", [0, 0, 4, 3, 0, 0, 0, 0, 1]],
    ["SETTINGS that acknowledge", [0, 0, 0, 4, 1, 0, 0, 0, 0]],
    ["SETTINGS of a stream", [0, 0, 0, 4, 0, 0, 0, 0, 1]],
    ["SETTINGS of odd length", [0, 0, 7, 4, 0, 0, 0, 0, 0]],
    ["zeros", [0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])("speaks HTTP/1.1 when it sends %s", (_, answer) => {
    const { network, ask, http1, learned } = make();
    ask();
    network.last.open().send(answer);
    expect([http1.calls.length, learned]).toEqual([1, ["http1"]]);
  });

  test("speaks HTTP/1.1 when it closes, in order or not", () => {
    for (const error of [null, new ProxyError("UPSTREAM_RESET", "reset")]) {
      const { network, ask, http1 } = make();
      ask();
      network.last.open().end(error);
      expect(http1.calls.length).toBe(1);
    }
  });

  test("speaks HTTP/1.1 when it stays silent; with the connection that takes no longer than one may", () => {
    const { network, timers, ask, http1 } = make();
    ask();
    expect(network.last.target.connectTimeoutMs).toBe(CONNECT_MS);
    network.last.open();
    timers.advance(LIMITS.protocolSilenceMsMax - 1);
    expect(http1.calls.length).toBe(0);
    timers.advance(1);
    expect([http1.calls.length, network.last.abandoned]).toEqual([1, true]);
  });

  test("speaks HTTP/1.1 when the time for a connection ends in its silence", () => {
    const { network, timers, ask, http1 } = make();
    ask();
    timers.advance(CONNECT_MS - 10);
    network.last.open();
    timers.advance(9);
    expect(http1.calls.length).toBe(0);
    timers.advance(1);
    expect(http1.calls.length).toBe(1);
  });

  test("that cannot be reached fails what waits as not sent, and the next request asks again", () => {
    const { network, ask, learned } = make();
    const { outcome } = ask();
    network.last.refuse();
    expect(outcome.failure).toMatchObject({ code: "UPSTREAM_REFUSED", requestSent: false, processed: "no" });
    ask();
    expect([network.streams.length, learned]).toEqual([2, []]);
  });

  test("is asked once for all requests that wait, and they go on in their order", () => {
    const { network, ask, h2c, counters } = make();
    const calls = [ask(), ask(), ask()];
    calls[1]?.call.cancel();
    expect(counters.protocolInquiries).toBe(1);
    network.last.open().send(SETTINGS);
    expect(h2c.calls.length).toBe(2);
    h2c.calls[0]?.head(200);
    expect([calls[0]?.outcome.status, calls[1]?.outcome.status, calls[2]?.outcome.status]).toEqual([200, 0, 0]);
    calls[2]?.call.resume();
    calls[2]?.call.cancel();
    expect([h2c.calls[1]?.resumes, h2c.calls[1]?.state]).toEqual([1, "cancelled"]);
  });

  test("lets no more than a bounded number of requests wait", () => {
    const { ask, counters } = make();
    for (let i = 0; i < LIMITS.h2WaitingMax; i++) ask();
    const { outcome } = ask();
    expect(outcome.failure).toMatchObject({ code: "OVERLOADED", processed: "no" });
    expect(counters.upstreamOverflows).toBe(1);
  });
});

describe("what was learned", () => {
  test("is remembered", () => {
    const { network, ask, h2c } = make();
    ask();
    network.last.open().send(SETTINGS);
    ask();
    expect([network.streams.length, h2c.calls.length]).toEqual([1, 2]);
  });

  test("is asked again after a failure, and told when it is another", () => {
    const { network, timers, ask, http1, learned, upstream, backend } = make();
    ask();
    network.last.open().send(SETTINGS);
    timers.advance(LIMITS.protocolRelearnMsMin);
    upstream.relearn(backend);
    expect(upstream.protocolOf(backend)).toBeNull();
    ask();
    network.last.open().send("HTTP/1.1 400");
    expect([network.streams.length, http1.calls.length, learned]).toEqual([2, 1, ["h2c", "http1"]]);
    timers.advance(LIMITS.protocolRelearnMsMin);
    upstream.relearn(backend);
    ask();
    network.last.open().send("HTTP/1.1 400");
    expect(learned).toEqual(["h2c", "http1"]);
  });

  test("is not asked again with each failure of a backend that fails often", () => {
    const { network, timers, ask, upstream, backend } = make();
    ask();
    network.last.open().send(SETTINGS);
    timers.advance(LIMITS.protocolRelearnMsMin - 1);
    upstream.relearn(backend);
    expect(upstream.protocolOf(backend)).toBe("h2c");
  });

  test("is of no use once the transport is closed: what waits fails, and what comes as well", () => {
    const { network, ask, upstream } = make();
    const waiting = ask();
    upstream.close();
    expect(waiting.outcome.failure).toMatchObject({ code: "DRAINING", processed: "no" });
    expect(network.last.abandoned).toBe(true);
    expect(ask().outcome.failure?.code).toBe("DRAINING");
  });
});
