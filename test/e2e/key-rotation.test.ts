/** Keys of a cluster change one node after the other, under load: nobody loses anything, and what an older key made is good for a while. */
import { describe, expect, test } from "bun:test";
import { AIOQUIC_MISSING, aioquicPython, startAioquic } from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram, startQuicGo } from "../interop/quicgo.ts";
import { startBackend } from "../support/backends.ts";
import { clusterKeyFile } from "../support/cluster.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { changeKeys, ClusterNode } from "./cluster-nodes.ts";
import { logLine, stoppedLine } from "./log-lines.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null;
/** Requests a second at each node, and after how many of them a client comes anew. */
const RATE = 100;
const RENEW_EVERY = 4;

describe.skipIf(LACK !== null)(LACK ?? "the keys of two nodes change", () => {
  test("by reloads under load: no request fails, no client is reset, tickets and tokens of both keys are taken meanwhile", async () => {
    const nodes = [await ClusterNode.start("01"), await ClusterNode.start("02")] as const;
    const [one, other] = nodes;
    const loads = await Promise.all(nodes.map(({ port }) => startQuicGo(loadOf(port))));

    await changeKeys(one, other);

    const ended = (await Promise.all(loads.map((load) => load.finish()))).flat().flatMap((client) => client.loads);
    expect(ended.map(({ failed, errors, stateless_resets }) => [failed, errors, stateless_resets])).toEqual([
      [0, [], 0],
      [0, [], 0],
    ]);
    for (const { statuses, sent, connections } of ended) {
      expect(statuses).toEqual({ 200: sent });
      expect(connections).toBeGreaterThan(10);
    }
    for (const node of nodes) await node.expectNoneRefused();
  });

  // One that has forgotten the key would be believed no reset.
  test.each([
    ["reset", { previous: 6, current: 7 }],
    ["timeout", { current: 7 }],
  ] as const)("at a restart, after which clients of the process before end by a %s", async (by, keys) => {
    const node = await ClusterNode.start("01");
    const asked = [{ do: "request", path: "/small" }, { do: "say", text: "here" }, { do: "cue" }] as const;
    const steps = [...asked, { do: "start", path: "/small" }, { do: "wait_closed" }] as const;
    const run = startAioquic({ port: node.port, idle_timeout_ms: 3000, steps });
    await run.event("said");
    await node.kill();
    await ClusterNode.start("01", keys, { port: node.port });
    run.cue();
    expect((await run.connections)[0]?.closed?.by).toBe(by);
  });
});

describe.skipIf(LACK !== null)(LACK ?? "a node whose keys change", () => {
  test("is nobody else on this machine meanwhile", async () => {
    const keys = clusterKeyFile({ current: 31 });
    const backend = await startBackend({ protocol: "http1" });
    const startNode = (file: string, extra: Readonly<Record<string, unknown>>): Promise<RunningProxy> =>
      startProxy({
        pools: [{ prefix: "/", backends: [backend.address] }],
        extra: { cluster: { key_file: file, node_id: "01" }, ...extra },
      });
    const first = await startNode(keys, { supervisor: "off" });
    const next = clusterKeyFile({ previous: 31, current: 32 });
    for (const extra of [{ workers: 2 }, { supervisor: "off" }])
      await expect(startNode(next, extra)).rejects.toThrow("another process on this machine is node 01 of the cluster");
    await stoppedLine(first.process);
    const second = await startNode(next, { workers: 2 });
    // The program that takes its place is the node, too.
    second.process.signal("SIGUSR2");
    await logLine(second, { msg: "the supervisor goes on as another program" });
    await expect(startNode(keys, { workers: 2 })).rejects.toThrow("another process on this machine is node 01");
    await stoppedLine(second.process);
  });
});

function loadOf(port: number): Parameters<typeof startQuicGo>[0] {
  return { port, steps: [{ do: "load", path: "/small", rate: RATE, renew_every: RENEW_EVERY }] };
}
