/** Early data (0-RTT) with a real client: what goes on before the handshake is done, what waits for it, and what a flight that is played again does. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  AIOQUIC_MISSING,
  type AioquicConnection,
  type AioquicPlan,
  aioquicPython,
  type AioquicRun,
  type AioquicStep,
  exchangeOf,
  runAioquicOnce,
  startAioquic,
} from "../interop/aioquic.ts";
import { startBackend, type TestBackend } from "../support/backends.ts";
import { type FlightRelay, startFlightRelay } from "../support/first-flight.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { accessLine, logLine, stoppedLine } from "./log-lines.ts";

const folder = tempFolder("early");
let files = 0;
const newFile = (): string => join(folder, `${files++}`);
const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;
/** A client that never ends its handshake is let go after this. */
const HANDSHAKE_MS = 400;
const TICKETS = 2;

interface World {
  readonly proxy: RunningProxy;
  readonly backend: TestBackend;
  readonly ticket: string;
}

/** A proxy that takes early data, and a ticket of its. */
async function start(
  extra: Readonly<Record<string, unknown>> = {},
  protocol: TestBackend["protocol"] = "http1",
): Promise<World> {
  const backend = await startBackend({ protocol });
  const pools = [{ prefix: "/", backends: [backend.address], extra: { tls: { verify_certificates: false } } }];
  const proxy = await startProxy({ pools, extra: { workers: 1, ...early(), ...extra } });
  return { proxy, backend, ticket: await ticketOf(proxy.port) };
}

function early(protocol: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    resilience: { protocol: { allow_0rtt: true, ...protocol } },
    performance: { handshake_timeout_ms: HANDSHAKE_MS },
  };
}

async function ticketOf(port: number, plan: Partial<AioquicPlan> = {}): Promise<string> {
  const file = newFile();
  const steps = [
    { do: "request", path: "/first" },
    { do: "wait_tickets", count: TICKETS },
  ] as const;
  const connection = await runAioquicOnce({ port, steps, ticket_to: file, ...plan });
  expect(connection.exchanges[0]?.status).toBe(200);
  return file;
}

function resume(port: number, ticket: string, steps: readonly AioquicStep[]): AioquicRun {
  return startAioquic({ port, steps, early: true, ticket_from: ticket });
}

async function end(run: AioquicRun): Promise<AioquicConnection> {
  const [connection] = await run.connections;
  return connection ?? expect.unreachable("one connection was made");
}

/** What the backend got, but for the request that brought the ticket. */
function seen({ backend }: World): unknown[] {
  return backend.seen
    .filter(({ target }) => target !== "/first")
    .map(({ method, target, fields }) => [
      method,
      target,
      ...fields.filter(([name]) => name.toLowerCase() === "early-data").map(([, value]) => value),
    ]);
}

/** A client with these steps behind a relay that has held what the server said so far. */
async function flight(world: World, steps: readonly AioquicStep[]): Promise<{ relay: FlightRelay; run: AioquicRun }> {
  const relay = await startFlightRelay(world.proxy.port);
  return { relay, run: resume(relay.port, world.ticket, steps) };
}

describe.skipIf(LACK !== null)(LACK ?? "early data", () => {
  test("GET goes to the backend before the handshake is done, marked; the answer comes with it", async () => {
    const world = await start();
    const { relay, run } = await flight(world, [
      { do: "start", id: "a", path: "/a" },
      { do: "handshake" },
      { do: "wait" },
    ]);
    await accessLine(world.proxy, "/a");
    expect(seen(world)).toEqual([["GET", "/a", "1"]]);
    relay.release();
    const connection = await end(run);
    expect(connection).toMatchObject({ resumed: true, early_taken: true });
    expect(exchangeOf(connection, "a").status).toBe(200);
    expect(await stoppedLine(world.proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    expect(await logLine(world.proxy, { msg: "counted" })).toMatchObject({ early_connections: 1, early_requests: 1 });
  });
});
