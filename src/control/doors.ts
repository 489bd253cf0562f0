/**
 * All doors of a running program: opened with it, changed with its configuration (the new ones open before the old ones close), and handed
 * on to a program that goes on in its place, so that whoever knocks meanwhile waits and is not refused.
 */
import type { ObservabilitySettings } from "../config/snapshot.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { listenTcp, type TcpListener } from "../runtime/tcp-sockets.ts";
import { Door, type DoorParts } from "./door.ts";
import { type DoorHandlers, type DoorPlan, planDoors } from "./door-plan.ts";
import { codeOf } from "./control-place.ts";
import type { DoorHandover } from "./handover.ts";

/** Sockets that listen, whose descriptors this process keeps. */
export interface DoorSockets {
  /** Its descriptor and its port; or the system's code for why not. */
  open(address: string, port: number): { readonly fd: number; readonly port: number } | { readonly refusal: string };
  /** Another descriptor of the same socket. */
  duplicate(fd: number): number;
  close(fd: number): void;
}

/** What doors are made of. */
export interface DoorsParts extends DoorParts {
  readonly handlers: DoorHandlers;
  /** Null where nobody can go on in this program's place: the runtime opens the sockets. */
  readonly sockets: DoorSockets | null;
  /** Those of the program before. */
  readonly before?: readonly DoorHandover[];
}

/** Doors as they will be, open already; nobody has been told. */
export interface PreparedDoors {
  /** They are the program's from now on; those that are no longer wanted close. */
  commit(): void;
  /** All stays as it was. */
  abandon(): void;
}

/** A door that is open. */
interface OpenDoor {
  readonly id: string;
  readonly door: Door;
  readonly port: number;
  /** Ours beside the listener's own; -1 where there is none. */
  readonly fd: number;
  listener: TcpListener;
}

/** The doors. */
export class Doors {
  readonly #parts: DoorsParts;
  readonly #before: Map<string, DoorHandover>;
  #open: readonly OpenDoor[] = [];
  #paused = false;

  /** Throws `ADDRESS_IN_USE` or `ADDRESS_UNAVAILABLE`, with nothing left open, for a door that is required and cannot be had. */
  static async open(settings: ObservabilitySettings, parts: DoorsParts): Promise<Doors> {
    const doors = new Doors(parts);
    const prepared = await doors.prepare(settings);
    prepared.commit();
    for (const { fd } of doors.#before.values()) parts.sockets?.close(fd);
    doors.#before.clear();
    return doors;
  }

  private constructor(parts: DoorsParts) {
    this.#parts = parts;
    this.#before = new Map((parts.before ?? []).map((door) => [door.id, door]));
  }

  /** Ports by the configuration's addresses. */
  get ports(): readonly number[] {
    return this.#open.map(({ port }) => port);
  }

  /** Opens what another configuration asks for beside what is open. Throws as `open`, with all as before. */
  async prepare(settings: ObservabilitySettings): Promise<PreparedDoors> {
    const plans = planDoors(settings, this.#parts.handlers);
    const opened: OpenDoor[] = [];
    const next: { readonly plan: DoorPlan; readonly open: OpenDoor }[] = [];
    try {
      for (const plan of plans) {
        const there = this.#open.find(({ id }) => id === plan.id) ?? null;
        const open = there ?? (await this.#openDoor(plan));
        if (open === null) continue;
        if (there === null) opened.push(open);
        next.push({ plan, open });
      }
    } catch (thrown) {
      for (const door of opened) this.#closeDoor(door);
      throw thrown;
    }
    return { commit: () => this.#commit(next), abandon: () => opened.forEach((door) => this.#closeDoor(door)) };
  }

  /**
   * Another program is about to go on in this one's place: who is being answered gets the answer, and whoever comes from now on waits for that
   * program. Resolves when nobody is left, soon in any case.
   */
  async pause(): Promise<void> {
    this.#paused = true;
    for (const { listener, door } of this.#open) {
      listener.close();
      door.retire();
    }
    const { timers } = this.#parts;
    const untilMs = timers.nowMs() + LIMITS.doorPauseMsMax;
    while (this.#open.some(({ door }) => door.connectionCount > 0) && timers.nowMs() < untilMs)
      await new Promise<void>((resolve) => void timers.after(PAUSE_STEP_MS, resolve));
  }

  /** There is no other program after all. Idempotent. Never rejects: what serves goes on without them. */
  async goOn(): Promise<void> {
    if (!this.#paused) return;
    this.#paused = false;
    for (const open of this.#open) {
      open.door.goOn();
      try {
        open.listener = await this.#listen(open.door, { fd: this.#duplicate(open.fd) });
      } catch (thrown) {
        this.#parts.log.error("nobody answers at a door any more", { door: open.id, reason: messageOf(thrown) });
      }
    }
  }

  /** What the next program needs; their descriptors are among those that it keeps. */
  handOver(): readonly DoorHandover[] {
    return this.#open.flatMap(({ id, fd, port }) => (fd < 0 ? [] : [{ id, fd, port }]));
  }

  /** Idempotent. */
  close(): void {
    for (const open of this.#open) this.#closeDoor(open);
    this.#open = [];
  }

  #commit(next: readonly { readonly plan: DoorPlan; readonly open: OpenDoor }[]): void {
    for (const before of this.#open) if (!next.some(({ open }) => open === before)) this.#closeDoor(before);
    for (const { plan, open } of next) {
      open.door.rules = plan;
      if (!this.#open.includes(open))
        this.#parts.log.info("metrics or health listen", {
          address: addressText(plan.address, open.port),
          paths: [...plan.handlers.keys()].join(),
        });
    }
    this.#open = next.map(({ open }) => open);
  }

  /** Null for one that can be done without and cannot be had. */
  async #openDoor(plan: DoorPlan): Promise<OpenDoor | null> {
    const door = new Door(plan, this.#parts);
    const { sockets, log } = this.#parts;
    try {
      if (sockets === null) {
        const listener = await this.#listen(door, { host: plan.address, port: plan.port });
        return { id: plan.id, door, listener, port: listener.port, fd: -1 };
      }
      const before = this.#before.get(plan.id);
      this.#before.delete(plan.id);
      const held = before ?? sockets.open(plan.address, plan.port);
      if ("refusal" in held) throw new Refused(held.refusal);
      const { fd, port } = held;
      return { id: plan.id, door, port, fd, listener: await this.#listen(door, { fd: this.#duplicate(fd) }) };
    } catch (thrown) {
      const error = this.#errorOf(plan, thrown);
      if (plan.required) throw error;
      log.warn("the program goes on without this door", { reason: error.message });
      return null;
    }
  }

  #listen(
    door: Door,
    place: { readonly host: string; readonly port: number } | { readonly fd: number },
  ): Promise<TcpListener> {
    return listenTcp(place, (stream) => door.enter(stream));
  }

  #duplicate(fd: number): number {
    return this.#parts.sockets?.duplicate(fd) ?? -1;
  }

  #closeDoor({ listener, door, fd }: OpenDoor): void {
    listener.close();
    door.close();
    if (fd >= 0) this.#parts.sockets?.close(fd);
  }

  #errorOf({ key, address, port, id }: DoorPlan, thrown: unknown): ProxyError {
    const code = thrown instanceof Refused ? thrown.message : codeOf(thrown);
    const where = addressText(address, port);
    const remedies = `choose another ${key}.port, or set ${key}.enabled: false`;
    switch (code) {
      case "EADDRINUSE": {
        const own = this.#open.find((open) => open.port === port && open.id !== id);
        const by = own === undefined ? "another process" : `this program itself, as ${own.id}`;
        const remedy =
          own === undefined ? `stop that process, ${remedies}` : `change the port with the address, or restart`;
        return new ProxyError("ADDRESS_IN_USE", `${key}.port: ${where} is taken by ${by}`, { remedy });
      }
      case "EADDRNOTAVAIL":
      case "EAFNOSUPPORT":
        return new ProxyError("ADDRESS_UNAVAILABLE", `${key}.address: this machine has no address ${address}`, {
          remedy: `set ${key}.address to an address of this machine, such as 127.0.0.1`,
        });
      case "EACCES":
        return new ProxyError("ADDRESS_UNAVAILABLE", `${key}.port: ${where} may not be served by this user`, {
          remedy: `give the process CAP_NET_BIND_SERVICE, ${remedies}`,
        });
      default:
        return new ProxyError(
          "SYSTEM_CALL",
          `${key}: ${where} could not be opened: ${code === "" ? messageOf(thrown) : code}`,
        );
    }
  }
}

/** How long between two looks at whether all have been answered, milliseconds. */
const PAUSE_STEP_MS = 5;

/** The system's code for why a socket does not listen. */
class Refused extends Error {}

function addressText(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
