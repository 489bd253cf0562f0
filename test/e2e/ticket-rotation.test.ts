/** Keys of session tickets and tokens that nobody has given: others follow by themselves, in all workers, and a ticket is good for one period more. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  AIOQUIC_MISSING,
  type AioquicConnection,
  type AioquicPlan,
  aioquicPython,
  runAioquic,
  runAioquicOnce,
} from "../interop/aioquic.ts";
import { startAioquicLoad } from "../interop/aioquic-load.ts";
import { startBackend } from "../support/backends.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine } from "./log-lines.ts";
import { expectNoLoss, USERS } from "./renewal-loads.ts";
import { servesAnew, startWorkers, workersOf } from "./worker-proxies.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;
const HANGS_AFTER_MS = 60_000;
const PERIOD_MS = 3000;
const CHANGED = "keys of tokens and session tickets have changed";
/** Both workers see some. */
const CONNECTIONS = 8;
const folder = tempFolder("tickets");
const steps = [{ do: "request", path: "/small" }, { do: "wait_tickets" }] as const;

const startRotating = async (workers: number, key_rotation_ms = PERIOD_MS): Promise<RunningProxy> => {
  const backend = await startBackend({ protocol: "http1" });
  const performance = { retry: "always", shutdown_drain_timeout_ms: 10_000 };
  const extra = { cluster: { key_rotation_ms }, performance };
  if (workers > 1) return startWorkers(workers, backend.address, { extra: { ...extra, workers } });
  return startProxy({ pools: [{ prefix: "/", backends: [backend.address] }], supervisor: "off", extra });
};

/** Every worker has the key of that number as its current one. */
async function changed(proxy: RunningProxy, number: number, workers: number): Promise<void> {
  for (let worker = 0; worker < workers; worker++)
    await logLine(proxy, { msg: CHANGED, number, ...(workers > 1 ? { worker } : {}) });
}

/** Of the key that some worker makes tickets with. */
function lastNumber(proxy: RunningProxy): number {
  const numbers = proxy.logs().filter(({ msg }) => msg === CHANGED);
  return Math.max(0, ...numbers.map(({ number }) => Number(number)));
}

async function ask(port: number, plan: Partial<AioquicPlan>): Promise<readonly AioquicConnection[]> {
  const connections = await runAioquic({ port, events: false, steps, ...plan });
  expect(connections.map(({ exchanges }) => exchanges[0]?.status)).toEqual(connections.map(() => 200));
  return connections;
}

const resumed = async (port: number, ticket_from: string): Promise<readonly boolean[]> => [
  ...new Set((await ask(port, { ticket_from, connections: CONNECTIONS })).map((one) => one.resumed)),
];

describe.skipIf(LACK !== null)(LACK ?? "a session ticket of a random key", () => {
  test.each([2, 1])(
    "resumes during the next period, and not after it (workers: %d)",
    async (workers) => {
      const proxy = await startRotating(workers);
      const ticket = join(folder, `ticket-${workers}`);
      await ask(proxy.port, { ticket_to: ticket });
      // Made by this key or by the one after it.
      const number = lastNumber(proxy);
      let taken = 0;
      for (let before = number; before < number + 3; before = lastNumber(proxy)) {
        const answers = await resumed(proxy.port, ticket);
        // Else keys have changed meanwhile, and it may be either.
        if (lastNumber(proxy) > number + 1) continue;
        expect(answers).toEqual([true]);
        taken = Math.max(taken, lastNumber(proxy) - number);
      }
      expect(taken).toBe(1);
      await changed(proxy, number + 3, workers);
      expect(await resumed(proxy.port, ticket)).toEqual([false]);
      expect((await proxy.stop()).code).toBe(0);
    },
    HANGS_AFTER_MS,
  );

  test(
    "changes of keys lose nobody",
    async () => {
      const proxy = await startRotating(2);
      const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS, requests_per_connection: 5 });
      await load.more(100);
      await changed(proxy, 2, 2);
      await load.more(100);
      await expectNoLoss(load, proxy);
    },
    HANGS_AFTER_MS,
  );

  test(
    "is one for all workers, also for one that was started again after a change",
    async () => {
      const proxy = await startRotating(2, 6000);
      await changed(proxy, 1, 2);
      const ticket = join(folder, "ticket-again");
      const pid = workersOf(proxy)["h3-worker-0"] ?? 0;
      await runAioquicOnce({ port: proxy.port, steps, ticket_to: ticket });
      process.kill(pid, "SIGKILL");
      await servesAnew(proxy, 0, pid);
      expect(await resumed(proxy.port, ticket)).toEqual([true]);
      expect((await proxy.stop()).code).toBe(0);
    },
    HANGS_AFTER_MS,
  );
});
