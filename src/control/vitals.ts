/** What is answered to those who ask whether the program lives, and whether it may be sent clients: balancers, containers, people. Pure. */
import type { DoorAnswer } from "./door-message.ts";
import { unhealthyName } from "../observe/metrics/scene-table.ts";
import type { CrewStatus, SeatPhase, SeatStatus, Vitals, WorkerStatus } from "./renewal.ts";

/** Why a program may not be sent clients. */
type NotReady =
  { readonly reason: "starting" | "stopping" } | { readonly reason: "no usable backend"; readonly pool: string };

/**
 * Pools that are needed (`upstream.<pool>.required`) and none of whose backends is healthy, for a process of which these gauges are. The same
 * that `backend_healthy` is made of, so that the two cannot say different things.
 */
export function unusablePools(pools: readonly PoolNeed[], gauges: ReadonlyMap<string, number>): readonly string[] {
  const isDown = ({ name, backends }: PoolNeed): boolean =>
    backends.every(({ id }) => gauges.has(unhealthyName(name, id)));
  return pools.filter((pool) => pool.required && isDown(pool)).map(({ name }) => name);
}

/** A pool as far as it matters here. */
interface PoolNeed {
  readonly name: string;
  readonly required: boolean;
  readonly backends: readonly { readonly id: string }[];
}

/** Crews of workers, and how things are with each worker. */
interface Crews {
  readonly crews: readonly CrewStatus<SeatStatus>[];
  readonly sums: { gaugesOf(slot: number): ReadonlyMap<string, number> };
}

/** Crews with what their workers say of backends, by the configuration in force. */
export function withUnusablePools(
  { crews, sums }: Crews,
  { snapshot: { pools } }: { readonly snapshot: { readonly pools: readonly PoolNeed[] } },
): readonly CrewStatus[] {
  const withPools = (worker: SeatStatus): WorkerStatus => ({
    ...worker,
    unusablePools: unusablePools(pools, sums.gaugesOf(worker.slot)),
  });
  return crews.map((crew) => ({ ...crew, workers: crew.workers.map(withPools) }));
}

/** Those of crews of workers. */
export function vitalsOf(crews: readonly CrewStatus[], isStopping: boolean): Vitals {
  const workers = crews.flatMap((crew) => (crew.role === "draining" ? [] : crew.workers));
  const count = (phase: SeatPhase): number => workers.filter((worker) => worker.phase === phase).length;
  const unusablePools = unusableForAll(workers.filter(({ phase }) => phase === "serving"));
  return { serving: count("serving"), starting: count("starting"), isStopping, unusablePools };
}

/**
 * Each worker checks the backends for itself, at times of its own. One that still or already finds none is not the whole program: where any
 * can use a pool, most clients are served, and taking the program out for the rest would cost more than it saves.
 */
function unusableForAll([first, ...others]: readonly WorkerStatus[]): readonly string[] {
  if (first === undefined) return [];
  return first.unusablePools.filter((pool) => others.every(({ unusablePools }) => unusablePools.includes(pool)));
}

/** 200 while somebody serves or is about to, until the very end; 503 for a program whose workers end as they are started. */
export function healthAnswer({ serving, starting }: Vitals): DoorAnswer {
  const isAlive = serving + starting > 0;
  return jsonAnswer(isAlive ? 200 : 503, { alive: isAlive, workers: { serving, starting } });
}

/** 200 while it may be sent clients; else 503 with the reasons. */
export function readyAnswer(vitals: Vitals): DoorAnswer {
  const reasons = reasonsOf(vitals);
  return jsonAnswer(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
}

/** Why it may not be sent clients; none when it may. */
function reasonsOf({ serving, isStopping, unusablePools }: Vitals): readonly NotReady[] {
  const reasons: NotReady[] = [];
  if (isStopping) reasons.push({ reason: "stopping" });
  else if (serving === 0) reasons.push({ reason: "starting" });
  for (const pool of unusablePools) reasons.push({ reason: "no usable backend", pool });
  return reasons;
}

function jsonAnswer(status: number, value: object): DoorAnswer {
  return { status, type: "application/json", body: `${JSON.stringify(value)}\n` };
}
