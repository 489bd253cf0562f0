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
import { must } from "../../src/core/assert.ts";
import { startBackend, type TestBackend } from "../support/backends.ts";
import { replayFromElsewhere, startFlightRelay } from "../support/first-flight.ts";
import type { FlightRelay } from "../support/flight-relay.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { clusterKeyFile } from "../support/cluster.ts";
import { accessLine, type LogLine, logLine, stoppedLine } from "./log-lines.ts";
import { servesAnew, workersOf } from "./worker-proxies.ts";

const folder = tempFolder("early");
let files = 0;
const newFile = (): string => join(folder, `${files++}`);
const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;
/** A client that never ends its handshake is let go after this. */
const HANDSHAKE_MS = 400;
const TICKETS = 2;
/** Its client closes it. */
const GOOD_BYE = { by: "peer", application: true, code: 0x100 };
/** Says when connections end. */
const LOG = { level: "debug", format: "json" };

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
  const proxy = await startProxy({ pools, extra: { workers: 1, log: LOG, ...early(), ...extra } });
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

/** As `flight`, once the server has answered `path`, whose request the client sends last. */
async function answeredFlight(world: World, steps: readonly AioquicStep[], path: string): ReturnType<typeof flight> {
  const begun = await flight(world, [...steps, { do: "handshake" }, { do: "wait" }]);
  await accessLine(world.proxy, path);
  return begun;
}

/** A connection from this port is over in this way. */
async function closing({ proxy }: World, port: number, how: LogLine = GOOD_BYE): Promise<void> {
  await logLine(proxy, { msg: "connection closed", client: `127.0.0.1:${port}`, ...how });
}

/** What was counted, when the proxy has ended well. */
async function counted({ proxy }: World): Promise<LogLine> {
  expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  return logLine(proxy, { msg: "counted" });
}

describe.skipIf(LACK !== null)(LACK ?? "early data", () => {
  test("GET goes to the backend before the handshake is done, marked, and its answer to the client with it", async () => {
    const world = await start();
    const { relay, run } = await answeredFlight(world, [{ do: "start", id: "a", path: "/a" }], "/a");
    expect(seen(world)).toEqual([["GET", "/a", "1"]]);
    relay.release();
    const connection = await end(run);
    expect(connection).toMatchObject({ resumed: true, early_taken: true });
    expect(exchangeOf(connection, "a").status).toBe(200);
    expect(await counted(world)).toMatchObject({ early_connections: 1, early_requests: 1 });
  });

  test("whatever may not be done twice waits for the handshake, and goes unmarked", async () => {
    const world = await start();
    const first: readonly AioquicStep[] = [
      { do: "start", id: "p", method: "POST", path: "/echo/p", body: { text: "once" } },
      { do: "start", id: "d", method: "DELETE", path: "/d" },
      { do: "start", id: "o", method: "OPTIONS", path: "/o" },
      { do: "start", id: "b", method: "GET", path: "/upload/b", body: { text: "a body" } },
      { do: "start", id: "g", path: "/g" },
    ];
    const { relay, run } = await answeredFlight(world, first, "/g");
    expect(seen(world)).toEqual([["GET", "/g", "1"]]);
    relay.release();
    const connection = await end(run);
    expect(connection.exchanges.map(({ id, status }) => `${id} ${status}`)).toEqual(
      [..."pdobg"].map((id) => `${id} 200`),
    );
    expect(exchangeOf(connection, "p").body).toBe("once");
    expect(seen(world).slice(1).sort()).toEqual([
      ["DELETE", "/d"],
      ["GET", "/upload/b"],
      ["OPTIONS", "/o"],
      ["POST", "/echo/p"],
    ]);
    expect(await counted(world)).toMatchObject({ early_requests: 1, early_requests_held: 4 });
  });

  test("the methods that go on are those of the configuration", async () => {
    const world = await start(early({ early_data_safe_methods: ["OPTIONS"] }));
    const first = [
      { do: "start", id: "g", path: "/g" },
      { do: "start", id: "o", method: "OPTIONS", path: "/o" },
    ] as const;
    const { relay, run } = await answeredFlight(world, first, "/o");
    expect(seen(world)).toEqual([["OPTIONS", "/o", "1"]]);
    relay.release();
    await end(run);
    expect(seen(world)).toEqual([
      ["OPTIONS", "/o", "1"],
      ["GET", "/g"],
    ]);
  });
});

describe.skipIf(LACK !== null)(LACK ?? "a client that sends early data", () => {
  test("and never ends its handshake has nothing done but what may be done twice", async () => {
    const world = await start();
    const first = [
      { do: "start", id: "p", method: "POST", path: "/p" },
      { do: "start", id: "g", path: "/g" },
    ] as const;
    const { run } = await answeredFlight(world, first, "/g");
    // Its handshake's time is over.
    expect(await accessLine(world.proxy, "/p")).toMatchObject({ status: 499, attempts: 0 });
    expect(seen(world)).toEqual([["GET", "/g", "1"]]);
    await run.process.stop();
    expect(await counted(world)).toMatchObject({ handshakes_timed_out: 1 });
  });

  test("and is gone when its handshake is done is gone at once", async () => {
    const world = await start();
    const { relay, run } = await answeredFlight(world, [{ do: "start", id: "g", path: "/g" }], "/g");
    // It takes its answer and says good-bye in one datagram under the handshake's keys and the later ones; the first are dropped by then.
    relay.keep();
    relay.release();
    expect(exchangeOf(await end(run), "g").status).toBe(200);
    relay.keep();
    await closing(world, relay.farPort);
  });

  test("and is asked for its address sends it once more", async () => {
    const world = await start({ performance: { handshake_timeout_ms: HANDSHAKE_MS, retry: "always" } });
    const steps = [{ do: "start", id: "g", path: "/g" }, { do: "handshake" }, { do: "wait" }] as const;
    const connection = await end(resume(world.proxy.port, world.ticket, steps));
    expect(connection).toMatchObject({ retried: true, resumed: true, early_taken: true });
    expect(exchangeOf(connection, "g").status).toBe(200);
  });
});

describe.skipIf(LACK !== null)(LACK ?? "early data that is not taken", () => {
  const steps = [{ do: "start", id: "g", path: "/g" }, { do: "handshake" }, { do: "wait" }] as const;

  test("is not announced by default, and a ticket resumes all the same", async () => {
    const world = await start({ resilience: {} });
    const connection = await end(resume(world.proxy.port, world.ticket, steps));
    expect(connection).toMatchObject({ resumed: true, early_taken: false });
    expect(seen(world)).toEqual([["GET", "/g"]]);
  });

  test("since it is off by now, or since limits are other ones by now, is sent again after the handshake", async () => {
    const cluster = (id: string): Record<string, unknown> => ({ cluster: { key_file: KEYS, node_id: id } });
    const KEYS = clusterKeyFile({ current: 3 });
    const before = await start(cluster("01"));
    const off = await start({ ...cluster("02"), resilience: {} });
    const lower = await start({ ...cluster("03"), performance: { quic_initial_max_streams_bidi: 50 } });
    for (const world of [off, lower]) {
      const connection = await end(resume(world.proxy.port, before.ticket, steps));
      expect(connection).toMatchObject({ resumed: true, early_taken: false });
      expect(exchangeOf(connection, "g").status).toBe(200);
      expect(seen(world)).toEqual([["GET", "/g"]]);
    }
    expect(await counted(lower)).toMatchObject({ "early_rejected.other-limits": 1 });
    expect((await counted(off))["early_connections"]).toBeUndefined();
  });
});

describe.skipIf(LACK !== null)(LACK ?? "425 of a backend", () => {
  test.each(["http1", "h2c", "https1", "h2"] as const)(
    "over %s is followed by another try after the handshake",
    async (protocol) => {
      const world = await start({}, protocol);
      const { relay, run } = await flight(world, [
        { do: "start", id: "t", path: "/too-early" },
        { do: "start", id: "g", path: "/g" },
        { do: "handshake" },
        { do: "wait" },
      ]);
      await accessLine(world.proxy, "/g");
      expect(seen(world).slice().sort()).toEqual([
        ["GET", "/g", "1"],
        ["GET", "/too-early", "1"],
      ]);
      relay.release();
      const connection = await end(run);
      expect(exchangeOf(connection, "t")).toMatchObject({ status: 200, body: "in time\n" });
      expect(seen(world).at(-1)).toEqual(["GET", "/too-early"]);
      expect(await counted(world)).toMatchObject({ early_requests: 2, early_requests_repeated: 1 });
    },
  );

  test("goes to a client that has sent the field itself, in early data or not", async () => {
    const world = await start();
    const request = { path: "/too-early", headers: [["early-data", "1"]] } as const;
    const steps = [
      { do: "start", id: "e", ...request },
      { do: "handshake" },
      { do: "request", id: "l", ...request },
    ] as const;
    const connection = await end(resume(world.proxy.port, world.ticket, steps));
    expect(connection.early_taken).toBe(true);
    expect(connection.exchanges.map(({ status }) => status)).toEqual([425, 425]);
    expect(seen(world)).toEqual([
      ["GET", "/too-early", "1"],
      ["GET", "/too-early", "1"],
    ]);
  });
});

describe.skipIf(LACK !== null)(LACK ?? "a first flight that is played again", () => {
  const first = [
    { do: "start", id: "p", method: "POST", path: "/p" },
    { do: "start", id: "g", path: "/g" },
  ] as const;

  test("does nothing, while the connection lives and after, from its own address and from another", async () => {
    const world = await start();
    const { relay, run } = await answeredFlight(world, first, "/g");
    const recorded = [...relay.flight];
    relay.replay(recorded);
    await replayFromElsewhere(recorded, world.proxy.port);
    relay.release();
    await end(run);
    await closing(world, relay.farPort);
    relay.hold();
    relay.replay(recorded);
    await relay.answers(1);
    // To the server it is one connection while the first repetition lasts, and that is until its handshake's time is over.
    await closing(world, relay.farPort, { by: "local", application: false, code: 0 });
    const elsewhere = await replayFromElsewhere(recorded, world.proxy.port, 1);
    await closing(world, elsewhere, { by: "local", application: false, code: 0 });
    expect(seen(world)).toEqual([
      ["GET", "/g", "1"],
      ["POST", "/p"],
    ]);
    expect(await counted(world)).toMatchObject({ "early_doubts.seen": 2, early_requests: 1 });
  });

  test("does nothing at a worker that is new in the place of the one that had it", async () => {
    const world = await start({ workers: 2 });
    const { relay, run } = await answeredFlight(world, first, "/g");
    const recorded = [...relay.flight];
    relay.release();
    await end(run);
    await closing(world, relay.farPort);
    const { worker } = await accessLine(world.proxy, "/g");
    const name = `h3-worker-${String(worker)}`;
    const before = must(workersOf(world.proxy)[name], "the worker is there");
    process.kill(before, "SIGKILL");
    await servesAnew(world.proxy, Number(worker), before);
    const port = await replayFromElsewhere(recorded, world.proxy.port, 1);
    await closing(world, port, { by: "local", application: false, code: 0 });
    // Nor does it take a client's early data for new yet; its requests wait.
    const later = await flight(world, [{ do: "start", id: "l", path: "/later" }, { do: "handshake" }, { do: "wait" }]);
    await later.relay.answers(1);
    later.relay.release();
    expect(exchangeOf(await end(later.run), "l").status).toBe(200);
    expect(seen(world)).toEqual([
      ["GET", "/g", "1"],
      ["POST", "/p"],
      ["GET", "/later", "1"],
    ]);
  });
});
