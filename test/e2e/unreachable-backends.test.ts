/** Backends that are not there, or not well: another one answers, the log says it, and health checks follow. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { freePort } from "../support/net.ts";
import { startProxy } from "../support/proxy.ts";
import type { ProxyBackend } from "../support/proxy.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import { accessLine, logLine } from "./log-lines.ts";
import { trustOf } from "./pairs.ts";

/** So often that no test waits for it. */
const OFTEN = {
  path: "/health",
  interval: 10,
  timeout_ms: 5000,
  failure_threshold: 2,
  success_threshold: 2,
  cooldown_ms: 1,
};

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "an unreachable backend", () => {
  test("costs no client anything: what it refuses goes once to another, with and without a body", async () => {
    const backend = await startBackend({ protocol: "http1", id: "up" });
    const proxy = await startProxy({ pools: [{ prefix: "/", backends: [await refusing("gone"), backend.address] }] });
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [
        { do: "request", id: "get", path: "/get", count: 10 },
        { do: "request", id: "post", path: "/echo", count: 10, body: { bytes: 1000 } },
      ],
    });
    const all = { statuses: { "200": 10 }, backends: { up: 10 }, failures: [] };
    expect(connection.bulks).toMatchObject([all, { ...all, body_bytes: 10_000 }]);
    expect(backend.counts.requests).toBe(20);
    const attemptsSeen = (): unknown[] =>
      proxy.logs().flatMap((line) => (line["msg"] === "request" ? [line["attempts"]] : []));
    // Lines are written in batches, after the answers that they tell of.
    await proxy.process.waitForLine(() => attemptsSeen().length >= 20);
    expect(attemptsSeen().sort()).toEqual([...Array(10).fill(1), ...Array(10).fill(2)]);
  });

  test("without another one is 502 and says `connection refused` in the log", async () => {
    const proxy = await startProxy({
      pools: [{ prefix: "/", backends: [await refusing("gone"), await refusing("too")] }],
    });
    const connection = await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", id: "r", path: "/r" }] });
    expect(exchangeOf(connection, "r")).toMatchObject({ status: 502, body: "502 Bad Gateway\n", ended: true });
    const line = await accessLine(proxy, "/r");
    expect(line).toMatchObject({ level: "warn", status: 502, error: "UPSTREAM_REFUSED", attempts: 2 });
    expect(line["reason"]).toContain("connection refused");
  });

  test("and all others too: the pool answers 503 with Retry-After once the checks have found out", async () => {
    const backends = [await refusing("one", OFTEN), await refusing("two", OFTEN)];
    const proxy = await startProxy({ pools: [{ prefix: "/", backends }] });
    for (const backend of ["one", "two"]) {
      const line = await logLine(proxy, { backend, msg: "health check: backend is unhealthy" });
      expect(line).toMatchObject({ level: "warn", upstream: "pool_0", path: "/health" });
      expect(line["reason"]).toContain("connection refused");
    }
    const connection = await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", id: "r", path: "/r" }] });
    expect(exchangeOf(connection, "r")).toMatchObject({ status: 503, body: "503 Service Unavailable\n" });
    expect(exchangeOf(connection, "r").headers).toContainEqual(["retry-after", "1"]);
    expect(await accessLine(proxy, "/r")).toMatchObject({ level: "warn", error: "NO_HEALTHY_BACKEND", attempts: 0 });
  });

  test("is found by requests before any check: refused connections are evidence too", async () => {
    const seldom = { ...OFTEN, interval: 86_400_000, failure_threshold: 1 };
    const backend = await startBackend({ protocol: "http1", id: "up" });
    const backends = [await refusing("gone", seldom), { id: "up", address: backend.address }];
    const proxy = await startProxy({ pools: [{ prefix: "/", backends }] });
    const steps = [{ do: "request", id: "r", path: "/r", count: 20 }] as const;
    const connection = await runAioquicOnce({ port: proxy.port, steps });
    expect(connection.bulks[0]?.statuses).toEqual({ "200": 20 });
    await logLine(proxy, { backend: "gone", msg: "health check: backend is unhealthy" });
    const retried = proxy.logs().filter((line) => line["attempts"] === 2);
    expect(retried).toHaveLength(1);
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "health checks", () => {
  test.each(["http1", "https1", "h2", "h3"] as const)(
    "take a backend of %s out that answers 500, and bring it back",
    async (protocol) => {
      const [sick, well] = await Promise.all(["sick", "well"].map((id) => startBackend({ protocol, id })));
      if (sick === undefined || well === undefined) return;
      const backends = [sick, well].map(({ id, address }) => ({ id, address, health_check: OFTEN }));
      const proxy = await startProxy({ pools: [{ prefix: "/", backends, extra: trustOf(protocol) }] });
      sick.health = 500;
      const found = await logLine(proxy, { backend: "sick", msg: "health check: backend is unhealthy" });
      expect(found).toMatchObject({ level: "warn", reason: "status 500", path: "/health", address: sick.address });
      const steps = [{ do: "request", id: "r", path: "/small", count: 10 }] as const;
      const without = await runAioquicOnce({ port: proxy.port, steps });
      expect(without.bulks[0]).toMatchObject({ statuses: { "200": 10 }, backends: { well: 10 } });
      sick.health = 200;
      await logLine(proxy, { backend: "sick", msg: "health check: backend is healthy again", level: "info" });
      const again = await runAioquicOnce({ port: proxy.port, steps });
      expect(again.bulks[0]).toMatchObject({ statuses: { "200": 10 }, backends: { well: 5, sick: 5 } });
    },
  );
});

/** A backend where nothing listens. */
async function refusing(id: string, check?: ProxyBackend["health_check"]): Promise<ProxyBackend> {
  const address = `127.0.0.1:${await freePort()}`;
  return check === undefined ? { id, address } : { id, address, health_check: check };
}
