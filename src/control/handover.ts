/**
 * What a supervisor leaves to the program that is executed in its place: everything that the process still has but the new program's
 * memory does not. One JSON document with the version of its form, which lies in memory that only this process has. Pure.
 */
import { asciiJson } from "../core/ascii-json.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import type { Counts } from "./counter-sums.ts";
import {
  byName,
  count,
  finite,
  flag,
  list,
  nullable,
  oneOf,
  type Reader,
  record,
  ShapeError,
  text,
} from "./json-shape.ts";
import type { SeatPhase } from "./renewal.ts";

/** Goes up when a program that knows this form only could not go on. Keys may be added that can be done without. */
const HANDOVER_VERSION = 1;

/** A worker's process, and what of its channel was on its way. */
export interface WorkerHandover {
  readonly pid: number;
  readonly channelFd: number;
  /** Read and not yet understood: a line's beginning. */
  readonly unread: string;
  /** Said and not yet sent; ASCII. */
  readonly unsent: string;
}

/** A slot of a crew. */
export interface SeatHandover {
  readonly slot: number;
  readonly phase: SeatPhase;
  readonly worker: WorkerHandover | null;
  /** Since its worker was started; since it serves, null before that. */
  readonly aliveMs: number;
  readonly servingMs: number | null;
  readonly missed: number;
  /** Until it is started again; null when it is not. */
  readonly restartInMs: number | null;
  readonly unread: boolean;
  readonly nativeHandles: number;
  readonly connections: number;
  /** Ends in a row, as `RestartBackoff` counts them. */
  readonly failures: number;
}

/** A crew that serves or has retired. */
export interface CrewHandover {
  readonly generation: number;
  readonly firstSlot: number;
  readonly drainMs: number;
  /** Until all that still live are killed; null when nobody is going to be. */
  readonly killsInMs: number | null;
  readonly seats: readonly SeatHandover[];
}

/** A supervisor's own state. */
export interface SupervisorHandover {
  readonly generation: number;
  readonly active: CrewHandover;
  readonly draining: CrewHandover | null;
  /** Counts of workers by slot, of those that are gone, and of what became of them. */
  readonly alive: Readonly<Record<string, Counts>>;
  readonly gone: Counts;
  readonly own: Counts;
  readonly nativeHandlesGone: number;
}

/** A program's file, held open. */
export interface ProgramHandover {
  readonly name: string;
  readonly fd: number;
}

/** A listener's sockets, one for each slot of both banks. */
export interface ListenerHandover {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly socketFds: readonly number[];
  /** The crews of which banks read it. */
  readonly banks: readonly number[];
}

/** A place where metrics or health are asked for, which listens on. */
export interface DoorHandover {
  readonly id: string;
  readonly fd: number;
  readonly port: number;
}

/** What it takes to go back. The form of this part never changes, so that whoever cannot read the rest can read this. */
export interface WayBack {
  /** The program that wrote the document, and how it was called. */
  readonly programFd: number;
  readonly args: readonly string[];
  /** All descriptors that it needs. */
  readonly fds: readonly number[];
}

/** All of it. */
export interface Handover {
  /** Of the program that wrote it. */
  readonly programVersion: string;
  readonly startedEpochMs: number;
  readonly startedPath: string | null;
  /** What its next workers are made of; null for the file that it runs itself. */
  readonly program: ProgramHandover | null;
  /** Of the messages that its workers understand. */
  readonly linkVersion: number;
  readonly configPath: string;
  /** Of the workers that take new connections. */
  readonly configText: string;
  /** As messages to workers have them. */
  readonly secrets: unknown;
  /** Former configurations and what became of reloads, in a form of their own; may be missing. */
  readonly reloads?: unknown;
  /** How ids are told apart: whoever would do so otherwise cannot go on. */
  readonly steering: string;
  readonly bankSlots: number;
  /** Those of both banks, in the order of their slots: of the first listener, for programs that know no other. */
  readonly socketFds: readonly number[];
  /** Of all, also of those that only finish what they have. Not there from programs that knew one. */
  readonly listeners?: readonly ListenerHandover[];
  readonly supervisor: SupervisorHandover;
  /** Not there from programs that had none. */
  readonly doors?: readonly DoorHandover[];
  readonly back: WayBack;
}

/** As a document. */
export function writeHandover(handover: Handover): string {
  return asciiJson({ v: HANDOVER_VERSION, ...handover });
}

/** From a document. Throws `HANDOVER` when this program cannot go on from it. */
export function readHandover(document: string): Handover {
  try {
    const value: unknown = JSON.parse(document);
    const { v } = readVersion(value, "handover");
    if (v !== HANDOVER_VERSION)
      throw new ShapeError(`its form has number ${v}, this program reads ${HANDOVER_VERSION}`);
    const handover = readBody(value, "handover");
    checkSlots(handover);
    return handover;
  } catch (thrown) {
    throw new ProxyError("HANDOVER", `what the program before has left cannot be taken over: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
}

/** The way back alone; null when there is none. */
export function readWayBack(document: string): WayBack | null {
  try {
    const value: unknown = JSON.parse(document);
    return record<{ readonly back: WayBack }>({ back: readBack })(value, "handover").back;
  } catch {
    return null;
  }
}

const readVersion = record<{ readonly v: number }>({ v: count });

const readWorker = record<WorkerHandover>({ pid: count, channelFd: count, unread: text, unsent: text });

const readSeat = record<SeatHandover>({
  slot: count,
  phase: oneOf("waiting", "starting", "serving", "ended"),
  worker: nullable(readWorker),
  aliveMs: finite,
  servingMs: nullable(finite),
  missed: count,
  restartInMs: nullable(finite),
  unread: flag,
  nativeHandles: count,
  connections: count,
  failures: count,
});

const readCrew = record<CrewHandover>({
  generation: count,
  firstSlot: count,
  drainMs: finite,
  killsInMs: nullable(finite),
  seats: list(readSeat),
});

const readCounts: Reader<Counts> = byName(finite);

const readSupervisor = record<SupervisorHandover>({
  generation: count,
  active: readCrew,
  draining: nullable(readCrew),
  alive: byName(readCounts),
  gone: readCounts,
  own: readCounts,
  nativeHandlesGone: count,
});

const readDoor = record<DoorHandover>({ id: text, fd: count, port: count });

const readDoors: Reader<readonly DoorHandover[]> = (value, place) =>
  value === undefined ? [] : list(readDoor)(value, place);

const readListener = record<ListenerHandover>({
  ...{ name: text, address: text, port: count },
  ...{ socketFds: list(count), banks: list(count) },
});

const readBack = record<WayBack>({ programFd: count, args: list(text), fds: list(count) });

const readBody = record<Handover>({
  programVersion: text,
  startedEpochMs: finite,
  startedPath: nullable(text),
  program: nullable(record<ProgramHandover>({ name: text, fd: count })),
  linkVersion: count,
  configPath: text,
  configText: text,
  secrets: (value) => value,
  reloads: (value) => value,
  steering: text,
  bankSlots: count,
  socketFds: list(count),
  listeners: (value, place) => (value === undefined ? undefined : list(readListener)(value, place)),
  supervisor: readSupervisor,
  doors: readDoors,
  back: readBack,
});

/** Every seat has a socket, and none is somebody else's. */
function checkSlots({ bankSlots, socketFds, listeners = [], supervisor }: Handover): void {
  const counts = [socketFds, ...listeners.map((listener) => listener.socketFds)].map(({ length }) => length);
  if (counts.some((length) => length !== 2 * bankSlots)) throw new ShapeError("there are not as many sockets as slots");
  const slots = new Set<number>();
  for (const crew of [supervisor.active, supervisor.draining]) {
    if (crew?.seats.length === 0) throw new ShapeError("a crew has no seats");
    for (const [i, { slot }] of crew?.seats.entries() ?? []) {
      if (slot !== (crew?.firstSlot ?? 0) + i || slot >= socketFds.length)
        throw new ShapeError(`slot ${slot} is out of order`);
      if (slots.has(slot)) throw new ShapeError(`slot ${slot} has two workers`);
      slots.add(slot);
    }
  }
}
