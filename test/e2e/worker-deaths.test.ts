/** What it costs when a process of several dies or hangs: its own connections, for a moment its slot, and nothing else. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, type AioquicRun, aioquicPython, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { Mark } from "../support/marked-processes.ts";
import { startProcess } from "../support/process.ts";
import { startProxy } from "../support/proxy.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import {
  answered,
  askAll,
  CONNECTIONS,
  draining,
  servesAnew,
  startWorkers,
  workerByPort,
  workersOf,
} from "./worker-proxies.ts";

const CLIENTS = 12;
const BEFORE = 20;
const AFTER = 200;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "the death", () => {
  test("of a worker under load harms no connection of the others, and its slot serves again", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address);
    const victim = must(workersOf(proxy)["h3-worker-0"], "there is a first worker");
    const run = startLoad(proxy.port);
    for (let connection = 0; connection < CLIENTS; connection++) await run.event("said", { connection });
    process.kill(victim, "SIGKILL");
    const ended = { msg: "worker ended: started again", slot: 0, pid: victim, signal: "SIGKILL", after_ms: 0 };
    await logLine(proxy, ended);
    await servesAnew(proxy, 0, victim);
    const connections = await run.connections;
    const byPort = workerByPort(proxy.logs());
    const sides = Map.groupBy(connections, ({ local_ports: [port = 0] }) => byPort.get(port));
    const unharmed = sides.get(1) ?? [];
    expect(unharmed.length).toBeGreaterThan(0);
    expect(unharmed.length).toBeLessThan(CLIENTS);
    expect(answered(unharmed)).toBe(unharmed.length * (BEFORE + AFTER));

    expect(Object.keys(workersOf(proxy)).toSorted()).toEqual(["h3-worker-0", "h3-worker-1"]);
    const later = await askAll(proxy, 5);
    const now = workerByPort(proxy.logs());
    expect(new Set(later.map(({ local_ports: [port = 0] }) => now.get(port)))).toEqual(new Set([0, 1]));
    const stopped = await stoppedLine(proxy.process);
    expect(stopped.code).toBe(0);
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ worker_restarts: 1 });
    // Nothing that the living have counted is lost.
    expect(Number(stopped["requests"])).toBeGreaterThanOrEqual(answered(unharmed) + CONNECTIONS * 5);
  });

  test("comes to a worker that says nothing, and another takes its place", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address);
    const victim = must(workersOf(proxy)["h3-worker-1"], "there is a second worker");
    process.kill(victim, "SIGSTOP");
    await logLine(proxy, { msg: "worker says nothing: killed", slot: 1, pid: victim });
    await servesAnew(proxy, 1, victim);
    await askAll(proxy, 2);
    expect((await stoppedLine(proxy.process)).code).toBe(0);
  });

  test.each([1, 2])(
    "of the supervisor lets %i workers finish what runs, and the address is free afterwards",
    async (workers) => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startWorkers(workers, backend.address);
      const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }, { do: "wait_closed" }] as const;
      const run = startAioquic({ port: proxy.port, connections: 8, steps });
      await backend.holding(8);
      proxy.process.signal("SIGKILL");
      await draining(proxy, workers);
      backend.release();
      const statuses = (await run.connections).map(({ exchanges }) => exchanges[0]?.status);
      expect(statuses).toEqual(Array.from({ length: 8 }, () => 200));
      // Its output ends when nobody is left that could write to it.
      expect(await proxy.process.ended).toMatchObject({ signal: "SIGKILL" });
      const pools = [{ prefix: "/", backends: [backend.address] }];
      const next = await startProxy({ port: proxy.port, pools, extra: { workers } });
      await askAll(next, 2);
      expect((await stoppedLine(next.process)).code).toBe(0);
    },
  );
});

test("the death of the supervisor is noticed also while another process holds its channels", async () => {
  const mark = new Mark();
  const proxy = await startWorkers(2, "127.0.0.1:9", { env: mark.env });
  const holder = startProcess({ command: ["python3", "-c", HOLDER, String(proxy.process.pid)] });
  await holder.waitForLine((line) => line === "held");
  proxy.process.signal("SIGKILL");
  await draining(proxy, 2);
  await mark.gone();
  await holder.kill();
});

/** Gets hold of all sockets of another process (pidfd_getfd), says so, and waits. */
const HOLDER = `
import ctypes, os, sys
pid = int(sys.argv[1])
place = f"/proc/{pid}/fd"
handle = os.pidfd_open(pid)
libc = ctypes.CDLL(None)
sockets = [fd for fd in os.listdir(place) if os.readlink(f"{place}/{fd}").startswith("socket:")]
held = [libc.syscall(438, handle, int(fd), 0) for fd in sockets]
assert all(fd >= 0 for fd in held)
print("held", flush=True)
sys.stdin.read()
`;

/** Connections that say when they are in the middle of it. */
function startLoad(port: number): AioquicRun {
  const load = { path: "/small", concurrency: 2 } as const;
  return startAioquic({
    port,
    connections: CLIENTS,
    idle_timeout_ms: 2000,
    steps: [
      { do: "request", id: "before", count: BEFORE, ...load },
      { do: "say", text: "half" },
      { do: "request", id: "after", count: AFTER, ...load },
    ],
  });
}
