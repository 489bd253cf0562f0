/** Health probes over fetch, against real servers on loopback. */
import { describe, expect, test } from "bun:test";
import type { HealthCheckSettings } from "../../src/config/snapshot.ts";
import { must } from "../../src/core/assert.ts";
import { makeDevCertificate } from "../../src/control/dev-cert.ts";
import { PLAIN_TRUST, runtimeFetch } from "../../src/runtime/fetch-options.ts";
import { FetchProbe } from "../../src/upstream/probe.ts";
import { startBackend, type BackendProtocol } from "../support/backends.ts";
import { testAuthority } from "../support/certs.ts";
import { freePort, waitUntil } from "../support/net.ts";
import { backendOf, poolOf } from "../support/upstream-calls.ts";

async function make(address: string, check: Partial<HealthCheckSettings> = {}, verify: boolean = true) {
  const thresholds = { failureThreshold: 1, successThreshold: 1, cooldownMs: 0 };
  const healthCheck = { path: "/health", intervalMs: 1000, timeoutMs: 60_000, ...thresholds, ...check };
  const backend = { ...backendOf(address), healthCheck };
  const pool = poolOf([backend]);
  const { certPem } = await testAuthority();
  const trust = { ...PLAIN_TRUST, verify, roots: verify ? [certPem] : null };
  const probes = new FetchProbe(must(runtimeFetch(globalThis), "the runtime has a fetch"), () => trust);
  return { ask: () => probes.probe(pool, backend), probes };
}

describe.each<BackendProtocol>(["http1", "https1", "h2", "h3"])("probes of a backend on %s", (protocol) => {
  test("ask for the path and take 200 to 399 as healthy", async () => {
    const backend = await startBackend({ protocol });
    const { ask } = await make(backend.address, {}, protocol !== "h3");
    for (const [status, ok] of [
      [200, true],
      [204, true],
      [302, true],
      [399, true],
      [400, false],
      [404, false],
      [503, false],
    ] as const) {
      backend.health = status;
      expect(await ask()).toEqual({ ok, reason: `status ${status}` });
    }
    expect(backend.seen.every(({ method, target }) => method === "GET" && target === "/health")).toBe(true);
  });

  test("give up after their time, and the backend is told", async () => {
    const backend = await startBackend({ protocol });
    const { ask } = await make(backend.address, { path: "/hold", timeoutMs: 300 }, protocol !== "h3");
    expect(await ask()).toEqual({ ok: false, reason: "no answer within 300 ms" });
    if (protocol !== "h3") await waitUntil(() => backend.counts.aborted === 1);
  });
});

describe("probes", () => {
  test("say what is wrong with a backend that cannot be reached", async () => {
    const port = await freePort();
    expect((await (await make(`http://127.0.0.1:${port}`)).ask()).reason).toBe(
      `http://127.0.0.1:${port}: connection refused`,
    );
    const stranger = await startBackend({ protocol: "h2", certificate: await makeDevCertificate() });
    const { ask } = await make(stranger.address);
    expect(await ask()).toEqual({
      ok: false,
      reason: `${stranger.address}: unable to verify the first certificate`,
      isOurs: false,
    });
    expect(stranger.counts.requests).toBe(0);
  });

  test("do not wait for a body that hangs", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const { ask } = await make(backend.address, { path: "/hold-body" });
    expect(await ask()).toEqual({ ok: true, reason: "status 200" });
    await waitUntil(() => backend.counts.aborted === 1);
  });

  test("ask for HTTP/2 again when the backend was away", async () => {
    const first = await startBackend({ protocol: "https1" });
    const { ask } = await make(first.address);
    expect((await ask()).ok).toBe(true);
    await first.stop();
    expect((await ask()).reason).toContain("connection refused");
    await startBackend({ protocol: "h2", port: first.port });
    expect((await ask()).ok).toBe(true);
  });
});
