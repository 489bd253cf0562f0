/** How things are in a process that serves, by names with labels. What is zero is left out, so that it costs only what there is. */
import type { Availability } from "../balance/availability.ts";
import type { PoolSettings } from "../config/snapshot.ts";
import { GAUGES, inFlightName, unhealthyName } from "../observe/metrics/scene-table.ts";
import { descriptorUse, heapBytes } from "../runtime/process-facts.ts";

/** A pool as far as it is looked at here. */
export interface ObservedPool {
  readonly settings: Pick<PoolSettings, "name"> & { readonly backends: readonly { readonly id: string }[] };
  readonly availability: Availability;
}

/** Adds how the backends of pools are. */
export function addBackendGauges(into: Map<string, number>, pools: readonly ObservedPool[]): void {
  for (const { settings, availability } of pools) {
    for (const [index, { id }] of settings.backends.entries()) {
      if (!availability.isHealthy(index)) into.set(unhealthyName(settings.name, id), 1);
      const count = availability.inFlight(index);
      if (count > 0) into.set(inFlightName(settings.name, id), count);
    }
  }
}

/** Of this process. */
export function processGauges(): ReadonlyMap<string, number> {
  const gauges = new Map<string, number>();
  const fds = descriptorUse();
  const maxFds = fds === null || fds.max === Infinity ? 0 : fds.max;
  addGauges(gauges, {
    [GAUGES.openFds]: fds?.open ?? 0,
    [GAUGES.maxFds]: maxFds,
    [GAUGES.heapBytes]: heapBytes(),
  });
  return gauges;
}

/** Adds what is not zero. */
export function addGauges(into: Map<string, number>, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) if (value !== 0) into.set(name, value);
}
