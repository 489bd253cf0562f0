/** Session tickets: a client resumes with any worker and any node that has the keys, and is served all the same by one that has not. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import {
  AIOQUIC_MISSING,
  type AioquicConnection,
  type AioquicPlan,
  aioquicPython,
  runAioquic,
  runAioquicOnce,
  startAioquic,
} from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { certificateFiles, testLeaf } from "../support/certs.ts";
import { clusterKeyFile } from "../support/cluster.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { CONNECTIONS, servesAnew, startWorkers, workerByPort, workersOf } from "./worker-proxies.ts";

/** BoringSSL gives two after each handshake. */
const TICKETS = 2;
/** Changes a byte in the middle of the ticket in a file: the encrypted session. */
const SPOIL = `
import pickle, sys
ticket = pickle.load(open(sys.argv[1], "rb"))
middle = len(ticket.ticket) // 2
ticket.ticket = ticket.ticket[:middle] + bytes([ticket.ticket[middle] ^ 1]) + ticket.ticket[middle + 1 :]
pickle.dump(ticket, open(sys.argv[1], "wb"))
`;

const folder = tempFolder("tickets");
let files = 0;
const newFile = (): string => join(folder, `${files++}`);
const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;

describe.skipIf(LACK !== null)(LACK ?? "a session ticket", () => {
  test("resumes with every worker, whichever gave it", async () => {
    const proxy = await startBehind(2);
    const ticket = await ticketOf(proxy.port);
    const steps = [{ do: "request", path: "/small" }] as const;
    const plan = { port: proxy.port, connections: CONNECTIONS, events: false, ticket_from: ticket, steps };
    const connections = await runAioquic(plan);
    expect(connections.map(({ resumed }) => resumed)).toEqual(connections.map(() => true));
    const workers = workerByPort(proxy.logs());
    expect(new Set(connections.map(({ local_ports: [port = 0] }) => workers.get(port)))).toEqual(new Set([0, 1]));
    expect((await stoppedLine(proxy.process)).code).toBe(0);
    const counted = await logLine(proxy, { msg: "counted" });
    expect(counted).toMatchObject({ connections_established: CONNECTIONS + 1, connections_resumed: CONNECTIONS });
  });

  test("is followed by new ones, which resume as well", async () => {
    const proxy = await startBehind(2);
    let ticket = await ticketOf(proxy.port);
    for (let i = 0; i < 6; i++) {
      const next = newFile();
      expect(await resume(proxy.port, ticket, { ticket_to: next })).toMatchObject({ resumed: true, tickets: TICKETS });
      ticket = next;
    }
  });

  test("resumes under every name that has a certificate of its own, and under one that has none", async () => {
    const names = ["a.test", "*.b.test", "c.test"];
    const leaves = await Promise.all(names.map((name) => testLeaf({ names: [name] })));
    const certificates = leaves.map((leaf) => {
      const { certFile: cert, keyFile: key } = certificateFiles(leaf);
      return { cert, key };
    });
    const listen = { protocol: "http3", address: "127.0.0.1", port: 0, tls: { certificates } };
    const proxy = await startBehind(2, { listen });
    for (const server_name of ["a.test", "x.b.test", "c.test", "unknown.test"]) {
      const ticket = await ticketOf(proxy.port, { server_name });
      const resumed: boolean[] = [];
      for (let i = 0; i < 4; i++) resumed.push((await resume(proxy.port, ticket, { server_name })).resumed);
      expect([server_name, ...resumed]).toEqual([server_name, true, true, true, true]);
    }
  });
});

describe.skipIf(LACK !== null)(LACK ?? "a session ticket, when what made it goes,", () => {
  test.each(["off", "always"])(
    "outlives the worker that gave it: its client is reset at once, comes back and resumes (retry: %s)",
    async (retry) => {
      const proxy = await startBehind(2, { performance: { retry, shutdown_drain_timeout_ms: 10_000 } });
      const ticket = newFile();
      const steps = [
        { do: "request", path: "/small" },
        ...([{ do: "wait_tickets", count: TICKETS }, { do: "say", text: "ready" }, { do: "cue" }] as const),
        ...([{ do: "start", path: "/small" }, { do: "wait_closed" }] as const),
      ] as const;
      const run = startAioquic({ port: proxy.port, ticket_to: ticket, steps });
      await run.event("said");
      const [[name, pid]] = await servingOne(proxy);
      process.kill(pid, "SIGKILL");
      await servesAnew(proxy, Number(name.at(-1)), pid);
      run.cue();
      const [connection] = await run.connections;
      expect(connection?.closed?.by).toBe("reset");
      for (let i = 0; i < 4; i++)
        expect(await resume(proxy.port, ticket)).toMatchObject({ resumed: true, retried: retry === "always" });
    },
  );

  test("of a key that nobody has, or changed by somebody, is a handshake like any other", async () => {
    const [one, other] = [await startBehind(1), await startBehind(1)];
    const ticket = await ticketOf(one.port);
    expect(await resume(other.port, ticket)).toMatchObject({ resumed: false, tickets: TICKETS });
    expect(await resume(one.port, ticket)).toMatchObject({ resumed: true });
    const { success } = Bun.spawnSync([must(aioquicPython, AIOQUIC_MISSING), "-c", SPOIL, ticket]);
    expect(success).toBe(true);
    expect(await resume(one.port, ticket)).toMatchObject({ resumed: false, tickets: TICKETS });
  });

  test("of one node is good at every other that has its key, also while keys change", async () => {
    const nodeWith = (keys: Parameters<typeof clusterKeyFile>[0], id: string): Promise<RunningProxy> =>
      startBehind(id === "01" ? 2 : 1, { cluster: { key_file: clusterKeyFile(keys), node_id: id } });
    const old = await nodeWith({ current: 6, next: 7 }, "01");
    const changed = await nodeWith({ previous: 6, current: 7 }, "02");
    const done = await nodeWith({ current: 7 }, "03");
    const [ofOld, ofChanged] = [await ticketOf(old.port), await ticketOf(changed.port)];
    // By the key before, by the one to come, by the same one; and not by one that is gone.
    expect(await resume(changed.port, ofOld)).toMatchObject({ resumed: true, tickets: TICKETS });
    expect((await resume(old.port, ofChanged)).resumed).toBe(true);
    expect((await resume(done.port, ofChanged)).resumed).toBe(true);
    expect((await resume(done.port, ofOld)).resumed).toBe(false);
    // What was renewed by the old key's holder is of the new key.
    const renewed = newFile();
    await resume(changed.port, ofOld, { ticket_to: renewed });
    expect((await resume(done.port, renewed)).resumed).toBe(true);
  });
});

async function startBehind(workers: number, extra: Readonly<Record<string, unknown>> = {}): Promise<RunningProxy> {
  const backend = await startBackend({ protocol: "http1" });
  if (workers > 1) return startWorkers(workers, backend.address, { extra });
  const all = { workers: 1, ...extra };
  return startProxy({ pools: [{ prefix: "/", backends: [backend.address] }], extra: all });
}

/** A file with a ticket that the proxy has given. */
async function ticketOf(port: number, plan: Partial<AioquicPlan> = {}): Promise<string> {
  const file = newFile();
  const connection = await ask(port, { ...plan, ticket_to: file });
  expect(connection.resumed).toBe(false);
  expect(existsSync(file)).toBe(true);
  return file;
}

async function resume(port: number, ticket: string, plan: Partial<AioquicPlan> = {}): Promise<AioquicConnection> {
  return ask(port, { ...plan, ticket_from: ticket });
}

/** A request that must be answered, and the tickets that follow. */
async function ask(port: number, plan: Partial<AioquicPlan>): Promise<AioquicConnection> {
  const steps = [
    { do: "request", path: "/small" },
    { do: "wait_tickets", count: TICKETS },
  ] as const;
  const connection = await runAioquicOnce({ port, steps, ...plan });
  expect(connection.exchanges[0]?.status).toBe(200);
  return connection;
}

/** The worker that has answered the only request so far, by its name and process id. */
async function servingOne(proxy: RunningProxy): Promise<readonly [readonly [string, number]]> {
  const line = await logLine(proxy, { msg: "request", path: "/small" });
  const name = `h3-worker-${String(line["worker"])}`;
  return [[name, must(workersOf(proxy)[name], "the worker is there")]];
}
