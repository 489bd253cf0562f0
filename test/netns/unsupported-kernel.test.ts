/** Kernels that cannot steer: one process serves instead of several, and says why. Row 118. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { logLine, stoppedLine } from "../e2e/log-lines.ts";
import { workersOf } from "../e2e/worker-proxies.ts";
import { aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import { runQuicGo } from "../interop/quicgo.ts";
import { startNetwork } from "../support/netns.ts";
import { BOTH_MISSING, localOf } from "./both-clients.ts";
import { startPlacedProxy } from "./placed-proxy.ts";

const FILTER = join(import.meta.dir, "unsupported-kernel.py");
/** What a kernel before Linux 4.5 says, and what a sandbox says. */
const ERRORS = [
  ["does not know it", 92, /kernel/],
  ["does not allow it", 1, /forbidden/],
] as const;

describe.skipIf(BOTH_MISSING !== null)(BOTH_MISSING ?? "a kernel that cannot steer", () => {
  test.each(ERRORS)("because it %s has one process serve, which says so", async (_, errno, says) => {
    const network = await startNetwork();
    const filter = [aioquicPython ?? "", FILTER, `${errno}`];
    const place = { command: (command: readonly string[]) => network.server.command([...filter, ...command]) };
    const { proxy } = await startPlacedProxy(4, { place }, network);
    const warning = await logLine(proxy, { msg: "one process serves, without a supervisor", level: "warn" });
    expect(warning["reason"]).toMatch(says);
    expect(workersOf(proxy)).toEqual({});
    const request = { do: "request", path: "/small", count: 5 } as const;
    const steps = [request, { do: "rebind" }, request] as const;
    const { host, port } = proxy;
    const { bulks } = await runAioquicOnce({ host, port, ...localOf(host, network), steps }, network.client);
    expect(bulks.map(({ statuses }) => statuses["200"])).toEqual([5, 5]);
    const [quicGo] = await runQuicGo({ host, port, local_hosts: network.clientHosts, steps }, network.client);
    expect(quicGo?.requests.map(({ sent, statuses }) => [sent, statuses["200"]])).toEqual(Array(2).fill([5, 5]));
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, requests: 20, native_handles: 0 });
  });
});
