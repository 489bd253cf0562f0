/** Early data (0-RTT): what whoever has recorded a first flight can do with it, and what may be asked for in one. Row 100. */
import { expect } from "bun:test";
import { join } from "node:path";
import { type AioquicConnection, type AioquicStep, runAioquicOnce, startAioquic } from "../../interop/aioquic.ts";
import { startBackend, type TestBackend } from "../../support/backends.ts";
import { replayFromElsewhere, startFlightRelay } from "../../support/first-flight.ts";
import type { RunningProxy } from "../../support/proxy.ts";
import { tempFolder } from "../../support/temp.ts";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";

const HANDSHAKE_MS = 400;
const REPLAYS = 20;

interface World {
  readonly backend: TestBackend;
  readonly proxy: RunningProxy;
  /** File with a ticket of the proxy's. */
  readonly ticket: string;
}

/** The rows of this file. */
export const EARLY_DATA_CASES: readonly Case[] = [
  {
    row: 100,
    name: "off, which is the default: requests come after the handshake",
    needs: ["aioquic"],
    run: async (bed) => {
      const world = await begin(bed, false);
      const connection = await resume(world, world.proxy.port, [{ do: "start", id: "g", path: "/get" }]);
      expect(connection).toMatchObject({ resumed: true, early_taken: false });
      expect(seen(world)).toEqual([["GET", "/get"]]);
    },
  },
  {
    row: 100,
    name: "a recorded flight is played again: POST is done once, GET once, and neither by the repetitions",
    needs: ["aioquic"],
    run: async (bed) => {
      const world = await begin(bed, true);
      const relay = await startFlightRelay(world.proxy.port);
      const client = resume(world, relay.port, [
        { do: "start", id: "p", method: "POST", path: "/post" },
        { do: "start", id: "g", path: "/get" },
      ]);
      await bed.logLine({ msg: "request", path: "/get" });
      // The handshake is not done, so the server cannot know that the flight is no repetition.
      expect(seen(world)).toEqual([["GET", "/get", "1"]]);
      const flight = [...relay.flight];
      await replayFromElsewhere(flight, world.proxy.port);
      relay.release();
      const { exchanges } = await client;
      expect(exchanges.map(({ status }) => status)).toEqual([200, 200]);
      const original = `127.0.0.1:${relay.farPort}`;
      await bed.logLine({ msg: "connection closed", client: original });
      for (let i = 0; i < REPLAYS; i++) {
        const port = await replayFromElsewhere(flight, world.proxy.port, 1);
        await bed.logLine({ msg: "connection closed", client: `127.0.0.1:${port}` });
      }
      expect(seen(world)).toEqual([
        ["GET", "/get", "1"],
        ["POST", "/post"],
      ]);
      bed.expectCounters({ "early_doubts.seen": REPLAYS, early_requests: 1, handshakes_timed_out: REPLAYS });
    },
  },
  {
    row: 100,
    name: "425 of a backend: asked again after the handshake, and passed on to whoever has sent the field itself",
    needs: ["aioquic"],
    run: async (bed) => {
      const world = await begin(bed, true);
      const { exchanges, early_taken } = await resume(world, world.proxy.port, [
        { do: "start", id: "again", path: "/too-early" },
        { do: "start", id: "passed", path: "/too-early", headers: [["early-data", "1"]] },
      ]);
      expect(early_taken).toBe(true);
      expect(exchanges.map(({ id, status }) => [id, status])).toEqual([
        ["again", 200],
        ["passed", 425],
      ]);
    },
  },
];

async function begin(bed: Bed, isOn: boolean): Promise<World> {
  const backend = await startBackend({ protocol: "http1" });
  const proxy = await bed.start({
    pools: [{ prefix: "/", backends: [backend.address] }],
    extra: {
      log: { level: "debug", format: "json" },
      performance: { handshake_timeout_ms: HANDSHAKE_MS },
      ...(isOn ? { resilience: { protocol: { allow_0rtt: true } } } : {}),
    },
  });
  const ticket = join(tempFolder("row-100"), "ticket");
  const steps = [
    { do: "request", path: "/first" },
    { do: "wait_tickets", count: 2 },
  ] as const;
  await runAioquicOnce({ port: proxy.port, ticket_to: ticket, steps });
  return { backend, proxy, ticket };
}

/** A client with these steps in its first flight. */
async function resume({ ticket }: World, port: number, first: readonly AioquicStep[]): Promise<AioquicConnection> {
  const steps = [...first, { do: "handshake" }, { do: "wait" }] as const;
  const [connection] = await startAioquic({ port, steps, early: true, ticket_from: ticket }).connections;
  return connection ?? expect.unreachable("one connection was made");
}

/** Method, path and Early-Data of what the backend got, but for the request that brought the ticket. */
function seen({ backend }: World): unknown[] {
  const requests = backend.seen.filter(({ target }) => target !== "/first");
  return requests.map(({ method, target, fields }) => [
    ...[method, target],
    ...fields.filter(([name]) => name.toLowerCase() === "early-data").map(([, value]) => value),
  ]);
}
