/** What a node leaves to the program that is executed in its place. */
import { listenerNames } from "../config/listeners.ts";
import type { Doors } from "../control/doors.ts";
import type { Handover, WayBack } from "../control/handover.ts";
import type { Supervisor } from "../control/supervisor.ts";
import { LINK_VERSION, writeSecrets } from "../control/worker-link.ts";
import { buildInfo } from "./build-info.ts";
import { steeringText } from "./handover-check.ts";
import type { ListenerSockets } from "./listener-sockets.ts";
import type { NodeGeneration } from "./node-parts.ts";

/** What it has. */
export interface NodeState extends Pick<Handover, "startedEpochMs" | "startedPath" | "bankSlots" | "reloads"> {
  readonly supervisor: Supervisor;
  /** Of the workers that take new connections. */
  readonly generation: NodeGeneration;
  readonly sockets: ListenerSockets;
  readonly doors: Doors | null;
  readonly back: Omit<WayBack, "fds">;
}

/** The document; null while crews are on their way. */
export function handoverOf({ generation, sockets, back, ...state }: NodeState): Handover | null {
  const supervisor = state.supervisor.handOver();
  if (supervisor === null) return null;
  const { configuration, program, secrets } = generation;
  const { held } = program;
  const listeners = sockets.handOver();
  const [firstName] = listenerNames(configuration.snapshot.listeners);
  const socketFds = listeners.find(({ name }) => name === firstName)?.socketFds ?? [];
  const seats = [...supervisor.active.seats, ...(supervisor.draining?.seats ?? [])];
  const channelFds = seats.flatMap(({ worker }) => (worker === null ? [] : [worker.channelFd]));
  const doors = state.doors?.handOver() ?? [];
  const fds = [
    ...listeners.flatMap((listener) => listener.socketFds),
    ...doors.map(({ fd }) => fd),
    ...channelFds,
    back.programFd,
    ...(held === null ? [] : [held.fd]),
  ];
  return {
    programVersion: buildInfo().version,
    startedEpochMs: state.startedEpochMs,
    startedPath: state.startedPath,
    program: held,
    linkVersion: LINK_VERSION,
    configPath: configuration.path,
    configText: configuration.text,
    secrets: writeSecrets(secrets),
    reloads: state.reloads,
    steering: steeringText(secrets, configuration),
    bankSlots: state.bankSlots,
    ...{ socketFds, listeners, supervisor, doors, back: { ...back, fds } },
  };
}
