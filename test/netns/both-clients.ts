/** What tests in network namespaces ask of both clients that nobody here wrote. What counts is what the clients say they have sent. */
import { expect } from "bun:test";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import { type MovingLoad, startMovingLoad } from "../interop/moving-load.ts";
import { QUICGO_MISSING, quicGoProgram, type QuicGoLoad, runQuicGo, startQuicGo } from "../interop/quicgo.ts";
import { BEFORE, NETWORKS_MISSING, type TestNetwork } from "../support/netns.ts";

/** Why such tests cannot be played here; null when they can. */
export const BOTH_MISSING: string | null =
  NETWORKS_MISSING ?? (aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null);

/** Where a server is reached from the client's side. */
export interface Reached {
  readonly host: string;
  readonly port: number;
}

const REQUESTS = 5;

/** Fresh connections, one of each client: all that they ask is answered. */
export async function bothAreServed({ host, port }: Reached, network: TestNetwork): Promise<void> {
  const steps = [{ do: "request", path: "/small", count: REQUESTS }] as const;
  const local_hosts = network.clientHosts;
  const [goes, [quicGo]] = await Promise.all([
    runAioquicOnce({ host, port, ...localOf(host, network), steps }, network.client),
    runQuicGo({ host, port, ...(isDirect(host, network) ? { local_hosts } : {}), steps }, network.client),
  ]);
  expect(goes.bulks[0]).toMatchObject({ count: REQUESTS, statuses: { "200": REQUESTS } });
  expect(quicGo?.requests[0]).toMatchObject({ sent: REQUESTS, statuses: { "200": REQUESTS }, failed: 0 });
}

/** aioquic's own address: of the line that leads to `host`. */
export function localOf(host: string, network: TestNetwork): { readonly local_host: string } {
  return { local_host: (isDirect(host, network) ? network.clientHosts[0] : null) ?? BEFORE };
}

function isDirect(host: string, network: TestNetwork): boolean {
  return network.serverHosts.some((one) => one === host);
}

/** How many connections ask how often, until they are told to end. Both kinds make new connections all the time. */
export interface BothLoadsPlan extends Reached {
  readonly connections?: number;
  /** Requests a second of each. */
  readonly rate?: number;
}

/** Loads of both clients that go on until they are told to end. */
export interface BothLoads {
  /** Ends them; fails when one of them has sent nothing, when a request failed, or when a connection was reset. Gives what was sent. */
  expectNoLoss(): Promise<{ readonly sent: number; readonly connections: number }>;
}

/** A connection of quic-go's pools is given up after so many requests. */
const RENEW_EVERY = 10;
/** Another port of aioquic's after so many. */
const MOVE_EVERY = 20;

/** Starts them. */
export async function startBothLoads(plan: BothLoadsPlan, network: TestNetwork): Promise<BothLoads> {
  const { host, port, connections = 4, rate = 25 } = plan;
  const step = { do: "load", path: "/small", rate, renew_every: RENEW_EVERY } as const;
  const local_hosts = network.clientHosts;
  const quicGo = await startQuicGo({ host, port, local_hosts, connections, steps: [step] }, network.client);
  const aioquic = startMovingLoad(
    { host, port, local_hosts, path: "/small", connections, rate, move_every: MOVE_EVERY },
    network.client,
  );
  // Each of quic-go's has begun.
  for (let connection = 0; connection < connections; connection++)
    await quicGo.process.waitForLine((line) => line.includes(`"begun":1,"connection":${connection},`));
  return {
    expectNoLoss: async () => {
      const [pools, moving] = await Promise.all([quicGo.finish(), aioquic()]);
      return noLoss(
        pools.flatMap(({ loads }) => loads),
        moving,
      );
    },
  };
}

function noLoss(pools: readonly QuicGoLoad[], { counts, failures }: MovingLoad): { sent: number; connections: number } {
  const sum = (of: (load: QuicGoLoad) => number): number => pools.reduce((total, load) => total + of(load), 0);
  const [fromGo, fromAioquic] = [sum(({ sent }) => sent), counts.sent ?? 0];
  expect([...pools.flatMap(({ errors }) => errors), ...failures]).toEqual([]);
  expect([fromGo > 0, fromAioquic > 0]).toEqual([true, true]);
  expect([sum(({ statuses }) => statuses["200"] ?? 0), counts.answered]).toEqual([fromGo, fromAioquic]);
  expect([sum(({ stateless_resets }) => stateless_resets), counts.stateless_resets ?? 0]).toEqual([0, 0]);
  return { sent: fromGo + fromAioquic, connections: sum((load) => load.connections) + (counts.connections ?? 0) };
}
