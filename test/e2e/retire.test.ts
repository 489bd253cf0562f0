/** Workers that others replace: what they have ends whole, whoever still comes to them is served, and both are sent to the others. */
import { afterAll, describe, expect, test } from "bun:test";
import { Server } from "../../src/cli/server.ts";
import { loadConfig } from "../../src/config/load.ts";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { Log } from "../../src/observe/log.ts";
import { bunRuntime } from "../../src/runtime/bun.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { startBackend } from "../support/backends.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram, startQuicGo } from "../interop/quicgo.ts";
import { accessLine, logLine, stoppedLine } from "./log-lines.ts";
import { HIGHEST_ID, TRANSFERS, TRANSFER_BYTES } from "./transfers.ts";
import { changeBoundKey, startWorkers } from "./worker-proxies.ts";

const H3_NO_ERROR = 0x100;
const H3_REQUEST_REJECTED = 0x10b;
const CONNECTIONS = 10;

/** A reload, up to where the new crew takes what is new and the old one has heard of it. */
async function reload(proxy: RunningProxy): Promise<void> {
  changeBoundKey(proxy);
  proxy.process.signal("SIGHUP");
  await logLine(proxy, { msg: "crew has taken over", generation: 2 });
  await logLine(proxy, { msg: "retiring" });
}

function retireTests(title: string, tests: () => void): void {
  describe.skipIf(aioquicPython === null)(aioquicPython === null ? `${title}: ${AIOQUIC_MISSING}` : title, tests);
}

retireTests("workers that are replaced", () => {
  test.each([1, 2])("end 50 transfers whole, uploads too (%i workers)", async (workers) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(workers, backend.address);
    const run = startAioquic({ port: proxy.port, connections: CONNECTIONS, steps: TRANSFERS });
    for (let connection = 0; connection < CONNECTIONS; connection++)
      await run.event("said", { connection, text: "here" });
    await reload(proxy);
    // New ones are others' from now on.
    const { exchanges } = await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path: "/new" }] });
    expect(exchanges).toMatchObject([{ status: 200 }]);
    for (let connection = 0; connection < CONNECTIONS; connection++)
      await run.event("said", { connection, text: "told" });
    backend.release();
    for (const connection of await run.connections) {
      for (const [id, bytes] of Object.entries(TRANSFER_BYTES))
        expect(exchangeOf(connection, id)).toMatchObject({ status: 200, body_bytes: bytes, ended: true, error: null });
      expect(exchangeOf(connection, "upload")).toMatchObject({ status: 200, ended: true });
      expect(exchangeOf(connection, "late")).toMatchObject({ status: null, reset_code: H3_REQUEST_REJECTED });
      expect(connection.goaways).toEqual([HIGHEST_ID, 20]);
      expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
    }
    await logLine(proxy, { msg: "crew is gone", generation: 1 });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    const counted = await logLine(proxy, { msg: "counted" });
    expect(counted).toMatchObject({ requests_rejected_draining: CONNECTIONS, requests_completed: 5 * CONNECTIONS + 1 });
    for (const name of ["requests_cut_off", "connections_refused", "resets_sent"])
      expect(counted[name]).toBeUndefined();
  });

  test.each([
    ["with the token of a Retry", "always"],
    ["in the middle of its handshake", "off"],
  ])("serve a client that comes late, %s, and send it on", async (_, retry) => {
    const backend = await startBackend({ protocol: "http1" });
    const performance = { retry, shutdown_drain_timeout_ms: 20_000 };
    const proxy = await startWorkers(1, backend.address, { extra: { performance } });
    const holding = startAioquic({ port: proxy.port, steps: [{ do: "start", path: "/hold" }, { do: "wait" }] });
    await backend.holding(1);
    const gate = await startGate(proxy.port);
    const steps = [{ do: "request", id: "r", path: "/late" }, { do: "wait_closed" }] as const;
    const late = startAioquic({ port: gate.port, steps });
    await gate.closed;
    await reload(proxy);
    gate.open();
    const connection = must((await late.connections)[0], "one connection");
    expect(exchangeOf(connection, "r")).toMatchObject({ status: 200, ended: true });
    expect(connection.goaways).toEqual([HIGHEST_ID, 4]);
    expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
    // By the one that had begun with it.
    expect((await accessLine(proxy, "/late"))["worker"]).toBe(0);
    backend.release();
    await holding.connections;
    await logLine(proxy, { msg: "crew is gone", generation: 1 });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    const counted = await logLine(proxy, { msg: "counted" });
    expect(counted["tokens_valid"]).toBe(retry === "always" ? 2 : undefined);
    expect(counted["connections_refused"]).toBeUndefined();
  });
});

retireTests("workers that are replaced", () => {
  test("break off what outlives the drain time, and the program goes on", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const performance = { shutdown_drain_timeout_ms: 700 };
    const proxy = await startWorkers(1, backend.address, { extra: { performance } });
    const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait_closed" }] as const;
    const run = startAioquic({ port: proxy.port, steps });
    await backend.holding(1);
    await reload(proxy);
    const connection = must((await run.connections)[0], "one connection");
    expect(connection.goaways).toEqual([HIGHEST_ID, 4]);
    expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
    await logLine(proxy, { msg: "requests under way are broken off", worker: 0, connections: 1, requests: 1 });
    await logLine(proxy, { msg: "crew is gone", generation: 1 });
    backend.release();
    const { exchanges } = await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path: "/small" }] });
    expect(exchanges).toMatchObject([{ status: 200 }]);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ connections_cut_off: 1, requests_cut_off: 1 });
  });
});

describe.skipIf(quicGoProgram === null)(quicGoProgram === null ? QUICGO_MISSING : "clients of quic-go", () => {
  test("that never stop asking lose nothing by three reloads in a row, and go over to each new crew", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address);
    const steps = [{ do: "load", path: "/small", rate: 100 }] as const;
    const run = await startQuicGo({ port: proxy.port, connections: 4, steps });
    for (let generation = 2; generation <= 4; generation++) {
      changeBoundKey(proxy);
      proxy.process.signal("SIGHUP");
      await logLine(proxy, { msg: "crew is gone", generation: generation - 1 });
    }
    const loads = (await run.finish()).flatMap(({ loads }) => loads);
    for (const { sent, statuses, failed, errors, connections, stateless_resets } of loads) {
      expect({ failed, errors, stateless_resets }).toEqual({ failed: 0, errors: [], stateless_resets: 0 });
      expect(statuses).toEqual({ "200": sent });
      expect(connections).toBeGreaterThanOrEqual(4);
    }
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    const counted = await logLine(proxy, { msg: "counted" });
    for (const name of ["requests_cut_off", "requests_rejected_draining"]) expect(counted[name]).toBeUndefined();
  });
});

retireTests("a server that is retired", () => {
  test("asks its backends how they are for as long as it has requests", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const { server, closed } = await startServer(backend.address);
    const run = startAioquic({ port: server.port, steps: [{ do: "start", path: "/hold" }, { do: "wait" }] });
    await backend.holding(1);
    const probes = (): number => backend.seen.filter(({ target }) => target === "/health").length;
    const retired = server.retire([]);
    const before = probes();
    while (probes() < before + 5) await new Promise((resolve) => setImmediate(resolve));
    backend.release();
    await retired;
    expect((await run.connections)[0]?.exchanges).toMatchObject([{ status: 200, ended: true }]);
    closed();
  });
});

/** A server in this process, with health checks. */
async function startServer(address: string): Promise<{ readonly server: Server; readonly closed: () => void }> {
  const { certFile, keyFile } = await testCertificateFiles();
  const health_check = { path: "/health", interval: 20, timeout_ms: 1000 };
  const text = JSON.stringify({
    listen: { address: "127.0.0.1", port: 0, tls: { cert: certFile, key: keyFile } },
    upstream: { a: { route: { path_prefix: "/" }, backends: [{ id: "b", address, health_check }] } },
    log: { level: "off" },
  });
  const loaded = loadConfig(text, "retire.yaml");
  const snapshot = must("snapshot" in loaded ? loaded.snapshot : null, "the configuration is right");
  const counters = new Counters();
  const log = new Log(snapshot.log, { counters, epochMs: () => Date.now(), terminal: false });
  const library = openTestLibrary();
  const server = new Server(snapshot, { runtime: bunRuntime, library, log, counters });
  await server.start();
  const closed = (): void => expect(server.close()).toEqual({ connections: 0, requests: 0 });
  return { server, closed };
}

/** A way to the proxy for one client that lets its first datagram through, and the rest when it is opened. */
interface Gate {
  readonly port: number;
  /** Resolves when something waits. */
  readonly closed: Promise<void>;
  open(): void;
}

async function startGate(toPort: number): Promise<Gate> {
  const closed = Promise.withResolvers<void>();
  const waiting: Uint8Array[] = [];
  let passes = 1;
  let clientPort = 0;
  const far = await Bun.udpSocket({
    hostname: "127.0.0.1",
    connect: { hostname: "127.0.0.1", port: toPort },
    socket: { data: (_, bytes) => void near.send(Uint8Array.from(bytes), clientPort, "127.0.0.1") },
  });
  const near = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data: (_, bytes, port) => {
        clientPort = port;
        if (passes > 0) {
          passes -= 1;
          far.send(Uint8Array.from(bytes));
        } else {
          waiting.push(Uint8Array.from(bytes));
          closed.resolve();
        }
      },
    },
  });
  afterAll(() => [near, far].forEach((socket) => socket.close()));
  const open = (): void => {
    passes = Infinity;
    for (const datagram of waiting) far.send(datagram);
  };
  return { port: near.port, closed: closed.promise, open };
}
