/** Which doors a configuration asks for: what stands at one address is one door. Pure. */
import type { DoorSettings, ObservabilitySettings } from "../config/snapshot.ts";
import type { DoorHandler } from "./door-message.ts";

/** Who answers what; null: nobody yet, and there is no door for it. */
export interface DoorHandlers {
  readonly metrics: DoorHandler | null;
  readonly health: DoorHandler | null;
  readonly ready: DoorHandler | null;
}

/** One door. */
export interface DoorPlan {
  /** The same for as long as it stays where it is, whatever else changes about it. */
  readonly id: string;
  /** The key of the configuration that it is named by, `observability.metrics` or `observability.health`. */
  readonly key: string;
  readonly address: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  readonly required: boolean;
  readonly connectionsMax: number;
  readonly connectionTimeoutMs: number;
  readonly handlers: ReadonlyMap<string, DoorHandler>;
}

/** All of them. */
export function planDoors({ metrics, health }: ObservabilitySettings, handlers: DoorHandlers): readonly DoorPlan[] {
  const plans: DoorPlan[] = [];
  if (metrics !== null) addDoor(plans, "metrics", metrics, [[metrics.path, handlers.metrics]]);
  if (health !== null)
    addDoor(plans, "health", health, [
      [health.healthPath, handlers.health],
      [health.readyPath, handlers.ready],
    ]);
  return plans;
}

function addDoor(
  plans: DoorPlan[],
  part: "metrics" | "health",
  settings: DoorSettings,
  places: readonly (readonly [string, DoorHandler | null])[],
): void {
  const own = places.filter((place): place is [string, DoorHandler] => place[1] !== null);
  if (own.length === 0) return;
  const { address, port, required, connectionsMax, connectionTimeoutMs } = settings;
  const id = port === 0 ? `${part}@${address}:0` : `${address}:${port}`;
  const at = plans.findIndex((plan) => plan.id === id);
  const other = plans[at];
  const plan: DoorPlan = {
    ...{ id, address, port },
    key: other?.key ?? `observability.${part}`,
    required: required || (other?.required ?? false),
    connectionsMax: Math.max(connectionsMax, other?.connectionsMax ?? 0),
    connectionTimeoutMs: Math.max(connectionTimeoutMs, other?.connectionTimeoutMs ?? 0),
    handlers: new Map([...(other?.handlers ?? []), ...own]),
  };
  if (at < 0) plans.push(plan);
  else plans[at] = plan;
}
