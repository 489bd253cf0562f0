/**
 * Faults of the machine: a disk that is full, a network that goes and comes or takes too little, names that cannot be resolved. The
 * program lives, counts what it could not do, and serves as before once it is over. Row 110, with `test/e2e/descriptors.test.ts` (none is
 * left), `test/e2e/standstill.test.ts` (clocks, processes, memory) and `test/ffi/send-batch.test.ts` (what the kernel says of a send).
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { waitUntil } from "../support/net.ts";
import { NETWORKS_MISSING } from "../support/netns.ts";
import { MOUNTS_MISSING, placeWithMounts, runBeside } from "../support/own-mounts.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, runnerCommand, type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { logLine, stoppedLine } from "../e2e/log-lines.ts";
import { startWorkers } from "../e2e/worker-proxies.ts";
import { startPlacedProxy } from "./placed-proxy.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;
const HANGS_AFTER_MS = 90_000;
const REQUESTS = 40;

async function statuses(port: number, path = "/small", count = REQUESTS): Promise<Readonly<Record<string, number>>> {
  const steps = [{ do: "request", path, count, concurrency: 4 }] as const;
  const { bulks } = await runAioquicOnce({ port, events: false, steps });
  return bulks[0]?.statuses ?? {};
}

/** As the running program says. */
async function counterOf(socket: string, name: string): Promise<number> {
  const command = [...runnerCommand(defaultRunner()), "status", "--json", "--control", socket];
  const status: { counters: Readonly<Record<string, number>> } = JSON.parse((await runProcess({ command })).stdout);
  return status.counters[name] ?? 0;
}

async function expectStops(proxy: RunningProxy): Promise<void> {
  expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
}

describe.skipIf((LACK ?? MOUNTS_MISSING) !== null)(LACK ?? MOUNTS_MISSING ?? "a disk for logs", () => {
  test(
    "that is full costs lines, which are counted, and no request; with room again there are lines again",
    async () => {
      const folder = tempFolder("disk");
      const [access, pages] = [join(folder, "access.log"), 4];
      const backend = await startBackend({ protocol: "http1" });
      const place = placeWithMounts(`mount -t tmpfs -o size=${pages * 4}k tmpfs ${folder}`);
      const proxy = await startWorkers(2, backend.address, {
        place,
        extra: { workers: 2, log: { level: "info", format: "json", access: { file: access } } },
      });
      const { pid } = proxy.process;
      const lines = async (): Promise<number> => Number(await runBeside(pid, `wc -l < ${access}`));
      for (let round = 0; round < 4; round++) expect(await statuses(proxy.port)).toEqual({ 200: REQUESTS });
      expect(await lines()).toBeLessThan(4 * REQUESTS);
      await runBeside(pid, `: > ${access}`);
      // Asked again after a second at the earliest.
      let rounds = 0;
      while ((await lines()) === 0) {
        expect(await statuses(proxy.port, "/small", 2)).toEqual({ 200: 2 });
        rounds += 1;
      }
      expect(rounds).toBeGreaterThan(0);
      await expectStops(proxy);
      const counted = await logLine(proxy, { msg: "counted" });
      expect(Number(counted["log_lines_dropped"])).toBeGreaterThan(0);
      expect(Number(counted["log_write_errors"])).toBeGreaterThan(0);
    },
    HANGS_AFTER_MS,
  );

  test.each(["auto", "off"] as const)(
    "and everything else that nobody can write to is no reason not to serve, nor is the lack of /sys (supervisor: %s)",
    async (supervisor) => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startProxy({
        pools: [{ prefix: "/", backends: [backend.address] }],
        supervisor,
        place: placeWithMounts(
          "mount -o remount,ro,bind /",
          "mount -t tmpfs -o ro tmpfs /run",
          "mount -t tmpfs -o ro tmpfs /sys",
        ),
        extra: { ...(supervisor === "auto" ? { workers: 2 } : {}), control: { socket: "auto", watch: "off" } },
      });
      expect(await statuses(proxy.port)).toEqual({ 200: REQUESTS });
      await expectStops(proxy);
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf((LACK ?? MOUNTS_MISSING) !== null)(LACK ?? MOUNTS_MISSING ?? "names", () => {
  test(
    "of backends that cannot be resolved are 502, and can be resolved later",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const hosts = writeTemp(tempFolder("names"), "hosts", "127.0.0.1 localhost\n");
      const proxy = await startProxy({
        pools: [{ prefix: "/", backends: [`http://backend.test:${backend.port}`] }],
        supervisor: "off",
        place: placeWithMounts(`mount --bind ${hosts} /etc/hosts`),
      });
      expect(await statuses(proxy.port, "/small", 2)).toEqual({ 502: 2 });
      expect(await logLine(proxy, { msg: "request", status: 502 })).toMatchObject({ error: "UPSTREAM_NAME" });
      await Bun.write(hosts, "127.0.0.1 localhost backend.test\n");
      let last = {};
      while (JSON.stringify(last) !== JSON.stringify({ 200: 2 })) last = await statuses(proxy.port, "/small", 2);
      await expectStops(proxy);
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf((LACK ?? NETWORKS_MISSING) !== null)(LACK ?? NETWORKS_MISSING ?? "a network", () => {
  test(
    "that goes and comes: the connection goes on, and others come",
    async () => {
      const socket = join(tempFolder("control"), "control.sock");
      const { network, backend, proxy } = await startPlacedProxy(2, { extra: { control: { socket, watch: "off" } } });
      const [host, local_host] = [network.serverHosts[0], must(network.clientHosts[0], "there is a client")];
      const link = async (state: "up" | "down"): Promise<void> => {
        const { code } = await runProcess({
          command: network.server.command(["ip", "link", "set", "direct", state]),
        });
        expect(code).toBe(0);
      };
      const steps = [
        { do: "start", id: "held", path: "/hold" },
        { do: "say", text: "asked" },
        { do: "cue" },
        { do: "wait" },
        { do: "request", id: "after", path: "/small" },
      ] as const;
      const run = startAioquic({ host, local_host, port: proxy.port, idle_timeout_ms: 60_000, steps }, network.client);
      await run.event("said", { text: "asked" });
      await backend.holding(1);
      await link("down");
      await backend.release();
      await waitUntil(async () => (await counterOf(socket, "send_errors")) > 0);
      await link("up");
      run.cue();
      const connection = must((await run.connections)[0], "there is one connection");
      for (const id of ["held", "after"])
        expect(exchangeOf(connection, id)).toMatchObject({ status: 200, ended: true });
      const fresh = await runAioquicOnce(
        { host, local_host, port: proxy.port, steps: [{ do: "request", path: "/small" }] },
        network.client,
      );
      expect(fresh.exchanges[0]?.status).toBe(200);
      await expectStops(proxy);
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf((LACK ?? NETWORKS_MISSING) !== null)(LACK ?? NETWORKS_MISSING ?? "a network", () => {
  test(
    "that takes less than is sent: the kernel refuses, and the download comes whole",
    async () => {
      const performance = { udp_send_buffer_bytes: 16_384 };
      const { network, proxy } = await startPlacedProxy(1, { extra: { performance } });
      const [host, local_host] = [network.serverHosts[0], must(network.clientHosts[0], "there is a client")];
      const slow = [
        "tc",
        "qdisc",
        "add",
        "dev",
        "direct",
        "root",
        "tbf",
        "rate",
        "16mbit",
        "burst",
        "64kb",
        "limit",
        "4mb",
      ];
      expect((await runProcess({ command: network.server.command(slow) })).code).toBe(0);
      const steps = [{ do: "request", id: "big", path: "/bytes/1000000" }] as const;
      const connection = await runAioquicOnce({ host, local_host, port: proxy.port, steps }, network.client);
      expect(exchangeOf(connection, "big")).toMatchObject({ status: 200, ended: true });
      await expectStops(proxy);
      expect(Number((await logLine(proxy, { msg: "counted" }))["send_blocked"])).toBeGreaterThan(0);
    },
    HANGS_AFTER_MS,
  );
});
