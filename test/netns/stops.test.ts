/** Ends: of a server that is told to stop, of renewals that cannot be, of a supervisor that is killed. Rows 104, 105, 107 and 109. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { logLine, stoppedLine } from "../e2e/log-lines.ts";
import { HIGHEST_ID, TRANSFER_BYTES, TRANSFERS } from "../e2e/transfers.ts";
import { draining, notRenewed, renewed, workersOf } from "../e2e/worker-proxies.ts";
import { exchangeOf, startAioquic } from "../interop/aioquic.ts";
import { startQuicGo } from "../interop/quicgo.ts";
import { startNetwork } from "../support/netns.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, runnerCommand } from "../support/proxy.ts";
import { tempFolder, writeProgram } from "../support/temp.ts";
import { BOTH_MISSING, bothAreServed, localOf, startBothLoads } from "./both-clients.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

const CONNECTIONS = 4;
const HELD_BYTES = TRANSFER_BYTES.body;
const H3_REQUEST_REJECTED = 0x10b;
const CUT_OFF = 3;
const CLOSED_IN_ORDER = { by: "peer", code: 0x100, application: true };
const PERFORMANCE = { shutdown_drain_timeout_ms: 20_000, goaway_spread_ms: 300 };
const network = BOTH_MISSING === null ? await startNetwork() : null;

describe.skipIf(network === null)(BOTH_MISSING ?? "a server that is told to stop", () => {
  test("lets what both clients have begun end whole, refuses what they begin then, and is gone before its time is over", async () => {
    const net = must(network, "there is one");
    const { proxy, backend } = await startPlacedProxy(2, { extra: { performance: PERFORMANCE } }, net);
    const plan = { host: proxy.host, port: proxy.port, connections: CONNECTIONS };
    const aioquic = startAioquic({ ...plan, ...localOf(plan.host, net), steps: TRANSFERS }, net.client);
    const held = { do: "download", path: `/hold-body?bytes=${HELD_BYTES}`, bytes: HELD_BYTES } as const;
    const long = { do: "download", path: "/bytes/3000000?seed=long", bytes: 3_000_000 } as const;
    const quicGo = await startQuicGo(
      { ...plan, local_hosts: net.clientHosts, steps: [long, held, { do: "wait_closed" }] },
      net.client,
    );
    for (let connection = 0; connection < CONNECTIONS; connection++)
      await aioquic.event("said", { connection, text: "here" });
    await backend.holding(3 * CONNECTIONS);
    proxy.process.signal("SIGTERM");
    for (let connection = 0; connection < CONNECTIONS; connection++)
      await aioquic.event("said", { connection, text: "told" });
    await backend.release();
    for (const connection of await aioquic.connections) {
      for (const [id, bytes] of Object.entries(TRANSFER_BYTES))
        expect(exchangeOf(connection, id)).toMatchObject({ status: 200, body_bytes: bytes, ended: true, error: null });
      expect(exchangeOf(connection, "upload")).toMatchObject({ status: 200, ended: true });
      expect(exchangeOf(connection, "late")).toMatchObject({ status: null, reset_code: H3_REQUEST_REJECTED });
      expect(connection.goaways).toEqual([HIGHEST_ID, 20]);
      expect(connection.closed).toMatchObject(CLOSED_IN_ORDER);
    }
    for (const { downloads, closed, error } of await quicGo.connections) {
      expect(downloads.map((one) => [one.status, one.bytes, one.error])).toEqual([
        [200, 3_000_000, ""],
        [200, HELD_BYTES + 8, ""],
      ]);
      // quic-go closes a connection itself when it was told to go and has all that it asked for.
      expect([error, closed]).toEqual(["", expect.stringMatching(/^Application error 0x100 /)]);
    }
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({
      ...{ requests_rejected_draining: CONNECTIONS, requests_completed: 7 * CONNECTIONS },
    });
  });

  test("breaks off what outlives its time, in order, and says so by its exit code", async () => {
    const net = must(network, "there is one");
    const performance = { shutdown_drain_timeout_ms: 700, goaway_spread_ms: 100 };
    const { proxy, backend } = await startPlacedProxy(2, { extra: { performance } }, net);
    const plan = { host: proxy.host, port: proxy.port, connections: CONNECTIONS };
    const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait_closed" }] as const;
    const aioquic = startAioquic({ ...plan, ...localOf(plan.host, net), steps }, net.client);
    const quicGo = await startQuicGo(
      { ...plan, local_hosts: net.clientHosts, steps: [{ do: "request", path: "/hold" }, { do: "wait_closed" }] },
      net.client,
    );
    await backend.holding(2 * CONNECTIONS);
    proxy.process.signal("SIGTERM");
    for (const connection of await aioquic.connections) {
      expect(connection.goaways).toEqual([HIGHEST_ID, 4]);
      expect(connection.closed).toMatchObject(CLOSED_IN_ORDER);
      expect(exchangeOf(connection, "held").ended).toBe(false);
    }
    for (const { requests, closed } of await quicGo.connections) {
      expect(requests.map(({ sent, failed }) => [sent, failed])).toEqual([[1, 1]]);
      expect(closed).toBe("Application error 0x100 (remote)");
    }
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: CUT_OFF, native_handles: 0 });
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({
      ...{ connections_cut_off: 2 * CONNECTIONS, requests_cut_off: 2 * CONNECTIONS },
    });
    await backend.release();
  });
});

/** What a new program may do instead of serving, and what is said of it. */
const BAD_PROGRAMS = [
  ["kill -SEGV $$", "ended by SIGSEGV before it served"],
  ["exit 3", "ended with exit code 3 before it served"],
  ["echo hello >&4; exec sleep 60", "says what nobody understands"],
] as const;

describe.skipIf(network === null)(BOTH_MISSING ?? "a renewal that cannot be", () => {
  test("is felt by no client of either kind, the ones that come meanwhile included", async () => {
    const net = must(network, "there is one");
    const socket = join(tempFolder("control"), "control.sock");
    const extra = { control: { socket }, performance: PERFORMANCE };
    const { proxy } = await startPlacedProxy(2, { supervisor: "auto", extra }, net);
    const loads = await startBothLoads({ host: proxy.host, port: proxy.port }, net);
    const workers = workersOf(proxy);
    for (const [lines, reason] of BAD_PROGRAMS) {
      const program = writeProgram(tempFolder("bad"), "spooky", `#!/bin/sh\n${lines}\n`);
      const command = [...runnerCommand(defaultRunner()), "upgrade", "--binary", program, "--control", socket];
      const { code, stderr } = await runProcess({ command });
      expect([code, stderr]).toEqual([1, expect.stringContaining(reason)]);
    }
    const good = readFileSync(proxy.configFile, "utf8");
    writeFileSync(proxy.configFile, good.replace('"upstream"', '"upstraem"'));
    expect(await notRenewed(proxy, "SIGHUP")).toContain("unknown key");
    expect(workersOf(proxy)).toEqual(workers);
    writeFileSync(proxy.configFile, good);
    await renewed(proxy, "SIGHUP");
    await logLine(proxy, { msg: "crew is gone", generation: 1 });
    const { sent, connections } = await loads.expectNoLoss();
    const counted = await stoppedCounts(proxy);
    expect(counted).toMatchObject({ requests: sent, renewals: 1 });
    expect([counted["resets_sent"], counted["worker_restarts"]]).toEqual([undefined, undefined]);
    expect(connections).toBeGreaterThan(8);
  });
});

describe.skipIf(network === null)(BOTH_MISSING ?? "a supervisor that is killed", () => {
  test("leaves workers that finish what both clients have begun, and its address to the next one", async () => {
    const net = must(network, "there is one");
    const { proxy, backend } = await startPlacedProxy(2, { supervisor: "auto" }, net);
    const { host, port } = proxy;
    const plan = { host, port, connections: CONNECTIONS };
    const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }, { do: "wait_closed" }] as const;
    const aioquic = startAioquic({ ...plan, ...localOf(host, net), steps }, net.client);
    const quicGo = await startQuicGo(
      { ...plan, local_hosts: net.clientHosts, steps: [{ do: "request", path: "/hold" }, { do: "wait_closed" }] },
      net.client,
    );
    await backend.holding(2 * CONNECTIONS);
    proxy.process.signal("SIGKILL");
    await draining(proxy, 2);
    await backend.release();
    for (const connection of await aioquic.connections) {
      expect(exchangeOf(connection, "held")).toMatchObject({ status: 200, ended: true });
      expect(connection.closed).toMatchObject(CLOSED_IN_ORDER);
    }
    for (const { requests, closed } of await quicGo.connections) {
      expect(requests.map(({ sent, statuses }) => [sent, statuses])).toEqual([[1, { "200": 1 }]]);
      expect(closed).toMatch(/^Application error 0x100 /);
    }
    // Its output ends when nobody is left that could write to it.
    expect(await proxy.process.ended).toMatchObject({ signal: "SIGKILL" });
    const next = await startPlacedProxy(2, { supervisor: "auto", port }, net);
    await bothAreServed({ host, port }, net);
    expect(await stoppedCounts(next.proxy)).toMatchObject({ requests: 10, connections_accepted: 2 });
  });
});
