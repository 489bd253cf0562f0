import { RememberingLog } from "../../support/remembering-log.ts";
import { describe, expect, test } from "bun:test";
import { Availability, BackendState } from "../../../src/balance/availability.ts";
import type { BackendSettings, HealthCheckSettings, PoolSettings } from "../../../src/config/snapshot.ts";
import { must } from "../../../src/core/assert.ts";
import { Counters } from "../../../src/core/counters.ts";
import { ProxyError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { HealthMonitor, type HealthWay, type WatchedBackend } from "../../../src/control/health.ts";
import type { ProbeResult } from "../../../src/upstream/probe.ts";
import { ManualTimers } from "../../support/manual-timers.ts";
import { backendOf, poolOf } from "../../support/upstream-calls.ts";

const CHECK: HealthCheckSettings = {
  path: "/health",
  intervalMs: 1000,
  timeoutMs: 500,
  failureThreshold: 2,
  successThreshold: 2,
  cooldownMs: 0,
};

/** Probes whose answers the test gives. */
class HeldProbes {
  readonly asked: string[] = [];
  readonly open: { readonly id: string; readonly resolve: (result: ProbeResult) => void }[] = [];
  readonly probe = (_pool: unknown, backend: BackendSettings): Promise<ProbeResult> => {
    this.asked.push(backend.id);
    return new Promise((resolve) => this.open.push({ id: backend.id, resolve }));
  };

  /** Answers the oldest probe. */
  async answer(ok: boolean, reason: string = ok ? "status 200" : "10.0.0.1:80: connection refused"): Promise<void> {
    await this.end({ ok, reason });
  }

  async end(result: ProbeResult): Promise<void> {
    must(this.open.shift(), "a probe is under way").resolve(result);
    await Promise.resolve();
    await Promise.resolve();
  }
}

/** Watches pools of which nothing is known yet. */
function watchAll(monitor: HealthMonitor, pools: readonly PoolSettings[], way: HealthWay) {
  const watched = pools.map((pool) =>
    pool.backends.map((backend) => ({ pool, backend, reach: backend, state: new BackendState(), way })),
  );
  monitor.watch(watched.flat());
  const availability = watched.map((backends) => new Availability(backends.map(({ state }) => state)));
  const who = (pool: number, index: number): WatchedBackend =>
    must(watched[pool]?.[index], "the backend is one of those");
  return { watched: watched.flat(), availability, who };
}

function make(backends: number = 1, check: Partial<HealthCheckSettings> = {}) {
  const timers = new ManualTimers();
  const log = new RememberingLog();
  const counters = new Counters();
  const probes = new HeldProbes();
  const transitions: string[] = [];
  const list = Array.from({ length: backends }, (_, i) => ({
    ...backendOf("http://10.0.0.1:80", `b${i}`),
    healthCheck: { ...CHECK, ...check },
  }));
  const pool = poolOf([...list, backendOf("http://10.0.0.2:80", "unchecked")]);
  const monitor = new HealthMonitor({ timers, random: Random.fromEntropy([1, 2]), log, counters });
  const way = { probe: probes.probe, relearn: (backend: BackendSettings) => void transitions.push(backend.id) };
  const { watched, availability, who } = watchAll(monitor, [pool], way);
  const usable = must(availability[0], "the pool is watched").usable;
  return { timers, log, counters, probes, monitor, usable, transitions, watched, who };
}

const refused = new ProxyError("UPSTREAM_REFUSED", "10.0.0.1:80: connection refused");

describe("HealthMonitor", () => {
  test("asks within the first interval and about once each after it, one probe at a time", async () => {
    const { timers, probes, monitor } = make();
    monitor.start();
    timers.advance(1000);
    expect(probes.asked).toEqual(["b0"]);
    timers.advance(5000);
    expect(probes.asked.length).toBe(1);
    for (let round = 2; round < 12; round++) {
      await probes.answer(true);
      timers.advance(1100);
      expect(probes.asked.length).toBe(round);
    }
  });

  test("what this program could not even ask says nothing of a backend", async () => {
    const { timers, probes, monitor, usable, counters } = make();
    monitor.start();
    for (let round = 0; round < 5; round++) {
      timers.advance(1100);
      await probes.end({ ok: false, reason: "no descriptor is left", isOurs: true });
    }
    expect([usable[0], counters.probesFailed, counters.healthTransitions]).toEqual([1, 5, 0]);
  });

  test("failures in a row take a backend out, successes bring it back, and both are told", async () => {
    const { timers, probes, monitor, usable, log, counters, transitions } = make();
    monitor.start();
    for (const [ok, byte] of [
      [false, 1],
      [true, 1],
      [false, 1],
      [false, 0],
      [true, 0],
      [true, 1],
    ] as const) {
      timers.advance(1100);
      await probes.answer(ok);
      expect(usable[0]).toBe(byte);
    }
    const what = { upstream: "test", backend: "b0", address: "http://10.0.0.1:80", path: "/health" };
    expect(log.lines).toEqual([
      {
        level: "warn",
        msg: "health check: backend is unhealthy",
        fields: { ...what, from: "healthy", to: "unhealthy", reason: "10.0.0.1:80: connection refused" },
      },
      {
        level: "info",
        msg: "health check: backend is healthy again",
        fields: { ...what, from: "unhealthy", to: "healthy", reason: "status 200" },
      },
    ]);
    expect([counters.probesSent, counters.probesFailed, counters.healthTransitions]).toEqual([6, 3, 2]);
    expect(transitions).toEqual(["b0", "b0"]);
  });

  test("a backend that is out stays out for its cooldown, however well it answers", async () => {
    const { timers, probes, monitor, usable } = make(1, { failureThreshold: 1, successThreshold: 1, cooldownMs: 5000 });
    monitor.start();
    timers.advance(1100);
    await probes.answer(false);
    const outSinceMs = timers.nowMs();
    let asked = 0;
    while (usable[0] === 0) {
      expect((asked += 1)).toBeLessThan(20);
      timers.advance(1100);
      await probes.answer(true);
    }
    expect(timers.nowMs() - outSinceMs).toBeGreaterThanOrEqual(5000);
    expect(timers.nowMs() - outSinceMs).toBeLessThan(5000 + 1100);
  });

  test("each backend of each pool has its own verdict, in the byte that the pool's balancer reads", async () => {
    const timers = new ManualTimers();
    const probes = new HeldProbes();
    const named = (...ids: string[]) =>
      poolOf(
        ids.map((id) => ({ ...backendOf("http://10.0.0.1:80", id), healthCheck: { ...CHECK, failureThreshold: 1 } })),
      );
    const monitor = new HealthMonitor({
      ...{ timers, random: Random.fromEntropy([3]), log: new RememberingLog() },
      counters: new Counters(),
    });
    const way = { probe: probes.probe, relearn: () => undefined };
    const { availability, who } = watchAll(monitor, [named("a0", "a1"), named("b0", "b1", "b2")], way);
    monitor.start();
    timers.advance(1100);
    expect([...probes.asked].sort()).toEqual(["a0", "a1", "b0", "b1", "b2"]);
    while (probes.open.length > 0) await probes.answer(!["a1", "b0"].includes(probes.open[0]?.id ?? ""));
    expect(availability.map(({ usable }) => [...usable])).toEqual([
      [1, 0],
      [0, 1, 1],
    ]);
    monitor.onUnreachable(who(1, 2), refused);
    expect(availability.map(({ usable }) => [...usable])).toEqual([
      [1, 0],
      [0, 1, 0],
    ]);
  });

  test("a backend without a check is never asked and always usable", () => {
    const { timers, probes, monitor, usable, who } = make();
    monitor.start();
    monitor.onUnreachable(who(0, 1), refused);
    timers.advance(1100);
    expect([probes.asked, usable[1]]).toEqual([["b0"], 1]);
  });

  test("a request that could not connect is evidence, and brings the next probe forward", async () => {
    const { timers, probes, monitor, usable, log, who } = make(1, { intervalMs: 10_000 });
    monitor.start();
    timers.advance(10_000);
    await probes.answer(true);
    timers.advance(500);
    monitor.onUnreachable(who(0, 0), refused);
    monitor.onUnreachable(who(0, 0), refused);
    expect([probes.asked.length, usable[0]]).toEqual([1, 1]);
    timers.advance(1000);
    expect(probes.asked.length).toBe(2);
    await probes.answer(false);
    expect(usable[0]).toBe(0);
    expect(log.lines.at(-1)?.fields["reason"]).toContain("connection refused");
  });

  test("a backend out of reach is told of at once, whether it is checked or not, and once a second at most", () => {
    const { timers, monitor, log, who } = make(1);
    const told = (): number => log.lines.filter(({ msg }) => msg.includes("connection refused")).length;
    monitor.onUnreachable(who(0, 1), refused);
    monitor.onUnreachable(who(0, 1), refused);
    expect([told(), log.lines[0]?.level, log.lines[0]?.fields["backend"]]).toEqual([1, "warn", "unchecked"]);
    timers.advance(LIMITS.unreachableLineMsMin);
    monitor.onUnreachable(who(0, 1), refused);
    expect(told()).toBe(2);
  });

  test("requests that cannot connect while a probe runs or waits start no second one", async () => {
    const { timers, probes, monitor, who } = make(LIMITS.probesAtOnceMax + 2);
    monitor.start();
    timers.advance(1100);
    expect(probes.asked.length).toBe(LIMITS.probesAtOnceMax);
    for (let i = 0; i < LIMITS.probesAtOnceMax + 2; i++) monitor.onUnreachable(who(0, i), refused);
    timers.advance(100);
    while (probes.open.length > 0) await probes.answer(true);
    expect([...probes.asked].sort()).toEqual([...new Set(probes.asked)].sort());
    expect(probes.asked.length).toBe(LIMITS.probesAtOnceMax + 2);
  });

  test("probes at once are bounded, and those beyond come when one has ended", async () => {
    const { timers, probes, monitor, counters } = make(100);
    monitor.start();
    timers.advance(1100);
    expect([probes.open.length, counters.probesDelayed]).toEqual([
      LIMITS.probesAtOnceMax,
      100 - LIMITS.probesAtOnceMax,
    ]);
    await probes.answer(true);
    expect(probes.open.length).toBe(LIMITS.probesAtOnceMax);
    while (probes.open.length > 0) await probes.answer(true);
    expect(new Set(probes.asked).size).toBe(100);
  });

  test("stopped, it asks no more and believes no late answer", async () => {
    const { timers, probes, monitor, usable, log, who } = make(2, { failureThreshold: 1 });
    monitor.start();
    timers.advance(1100);
    monitor.stop();
    await probes.answer(false);
    await probes.answer(false);
    monitor.onUnreachable(who(0, 0), refused);
    timers.advance(10_000);
    expect([probes.asked.length, timers.waiting]).toEqual([2, 0]);
    expect([usable[0], log.lines.length]).toEqual([1, 0]);
  });

  test("a backend that stays keeps its verdict from one configuration to the next, with the probe under way", async () => {
    const { timers, probes, monitor, usable, watched } = make(2, { failureThreshold: 2 });
    monitor.start();
    timers.advance(1100);
    await probes.answer(false);
    await probes.answer(false);
    timers.advance(1100);
    expect(probes.open.length).toBe(2);
    const [first, second] = watched;
    const stays = { ...must(first, "there is one"), backend: { ...must(first, "there is one").backend, weight: 7 } };
    monitor.watch([stays]);
    // The second failure in a row came by a probe that began under the configuration before.
    await probes.answer(false);
    expect([...usable]).toEqual([0, 1, 1]);
    // Nobody believes the one that was asked for a backend that is gone.
    await probes.answer(false);
    expect([...usable]).toEqual([0, 1, 1]);
    monitor.watch([stays, must(second, "there are two")]);
    expect([...usable]).toEqual([0, 1, 1]);
  });

  test("a backend with another check begins anew, and one without any is healthy", async () => {
    const { timers, probes, monitor, usable, watched } = make(2, { failureThreshold: 1 });
    monitor.start();
    timers.advance(1100);
    await probes.answer(false);
    await probes.answer(false);
    expect([...usable]).toEqual([0, 0, 1]);
    const [first, second] = watched.map((one) => must(one, "there is one"));
    const other = { ...must(first, "there is one"), backend: { ...must(first, "one").backend } };
    const check = { ...CHECK, failureThreshold: 5 };
    const unchecked = { ...must(second, "two"), backend: { ...must(second, "two").backend, healthCheck: null } };
    monitor.watch([{ ...other, backend: { ...other.backend, healthCheck: check } }, unchecked]);
    expect([...usable]).toEqual([1, 1, 1]);
    const asked = probes.asked.length;
    timers.advance(1100);
    expect(probes.asked.slice(asked)).toEqual(["b0"]);
  });
});
