/** What a node leaves to the program that goes on in its place. */
import type { Doors } from "../control/doors.ts";
import type { Handover, WayBack } from "../control/handover.ts";
import type { Supervisor } from "../control/supervisor.ts";
import { LINK_VERSION, writeSecrets } from "../control/worker-link.ts";
import type { BoundSocket } from "../../ffi/udp-open.ts";
import { buildInfo } from "./build-info.ts";
import { steeringText } from "./handover-check.ts";
import type { NodeGeneration } from "./node-parts.ts";
import type { ReloadLedger } from "./reload-ledger.ts";

/** All that it has. */
interface NodeEstate {
  readonly supervisor: Supervisor;
  readonly generation: NodeGeneration;
  readonly sockets: readonly BoundSocket[];
  readonly bankSlots: number;
  readonly doors: Doors | null;
  readonly reloads: ReloadLedger;
  readonly startedEpochMs: number;
  readonly startedPath: string | null;
  readonly back: Omit<WayBack, "fds">;
}

/** The document; null while workers come and go. */
export function handoverOf(estate: NodeEstate): Handover | null {
  const supervisor = estate.supervisor.handOver();
  if (supervisor === null) return null;
  const { configuration, program, secrets } = estate.generation;
  const { held } = program;
  const socketFds = estate.sockets.map(({ fd }) => fd);
  const seats = [...supervisor.active.seats, ...(supervisor.draining?.seats ?? [])];
  const channelFds = seats.flatMap(({ worker }) => (worker === null ? [] : [worker.channelFd]));
  const doors = estate.doors?.handOver() ?? [];
  const fds = [
    ...[...socketFds, ...doors.map(({ fd }) => fd), ...channelFds, estate.back.programFd],
    ...(held === null ? [] : [held.fd]),
  ];
  return {
    programVersion: buildInfo().version,
    startedEpochMs: estate.startedEpochMs,
    startedPath: estate.startedPath,
    program: held,
    linkVersion: LINK_VERSION,
    configPath: configuration.path,
    configText: configuration.text,
    secrets: writeSecrets(secrets),
    reloads: estate.reloads,
    steering: steeringText(secrets, configuration),
    ...{ bankSlots: estate.bankSlots, socketFds, supervisor, doors, back: { ...estate.back, fds } },
  };
}
