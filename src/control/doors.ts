/**
 * All doors of a running program: opened with it, changed with its configuration (the new ones open before the old ones close), and handed
 * on to a program that goes on in its place, so that whoever knocks meanwhile waits and is not refused.
 */
import type { ObservabilitySettings } from "../config/snapshot.ts";
import { must } from "../core/assert.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { listenTcp, type TcpListener, type TcpPlace } from "../runtime/tcp-sockets.ts";
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
  plan: DoorPlan;
  readonly door: Door;
  readonly port: number;
  /** Ours beside the listener's own; -1 where there is none. */
  readonly fd: number;
  /** Null while whoever knocks waits in the kernel. */
  listener: TcpListener | null;
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
    (await doors.prepare(settings)).commit();
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
    if (this.#parts.sockets !== null) return this.prepareHeld(settings);
    const opened: (OpenDoor | null)[] = [];
    try {
      for (const plan of this.#missing(settings)) opened.push(await this.#openDoor(plan));
    } catch (thrown) {
      for (const open of opened) if (open !== null) this.#closeDoor(open);
      throw thrown;
    }
    return this.#prepared(settings, opened);
  }

  /** The same at once, where the sockets are the program's own. */
  prepareHeld(settings: ObservabilitySettings): PreparedDoors {
    const opened: (OpenDoor | null)[] = [];
    try {
      for (const plan of this.#missing(settings)) opened.push(this.#holdDoor(plan));
    } catch (thrown) {
      for (const open of opened) if (open !== null) this.#closeDoor(open);
      throw thrown;
    }
    return this.#prepared(settings, opened);
  }

  /**
   * Another program is about to go on in this one's place: who is being answered gets the answer, and whoever comes from now on waits for that
   * program. Resolves when nobody is left, soon in any case.
   */
  async pause(): Promise<void> {
    this.#paused = true;
    for (const open of this.#open) {
      const { listener, door } = open;
      open.listener = null;
      listener?.close();
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
    for (const { door } of this.#open) door.goOn();
    await Promise.all(this.#open.map((open) => this.#attach(open)));
  }

  /** What the next program needs; their descriptors are among those that it keeps. */
  handOver(): readonly DoorHandover[] {
    return this.#open.flatMap(({ plan, fd, port }) => (fd < 0 ? [] : [{ id: plan.id, fd, port }]));
  }

  /** Idempotent. */
  close(): void {
    for (const open of this.#open) this.#closeDoor(open);
    this.#open = [];
  }

  /** Doors that a configuration asks for and that are not open. */
  #missing(settings: ObservabilitySettings): readonly DoorPlan[] {
    const plans = planDoors(settings, this.#parts.handlers);
    return plans.filter((plan) => !this.#open.some((open) => open.plan.id === plan.id));
  }

  #prepared(settings: ObservabilitySettings, maybe: readonly (OpenDoor | null)[]): PreparedDoors {
    const opened = maybe.filter((open) => open !== null);
    return {
      commit: () => this.#commit(planDoors(settings, this.#parts.handlers), opened),
      abandon: () => opened.forEach((open) => this.#closeDoor(open)),
    };
  }

  #commit(plans: readonly DoorPlan[], opened: readonly OpenDoor[]): void {
    for (const before of this.#open) if (!plans.some(({ id }) => id === before.plan.id)) this.#closeDoor(before);
    const all = [...this.#open, ...opened];
    this.#open = plans.flatMap((plan) => {
      const open = all.find((one) => one.plan.id === plan.id);
      if (open === undefined) return [];
      open.door.rules = open.plan = plan;
      return [open];
    });
    for (const open of this.#open) {
      const { plan, port } = open;
      if (!opened.some(({ door }) => door === open.door)) continue;
      const paths = [...plan.handlers.keys()].join();
      this.#parts.log.info("metrics or health listen", { address: addressText(plan.address, port), paths });
      void this.#attach(open);
    }
  }

  /** Lets in whoever knocks. Never rejects: what serves goes on without. */
  async #attach(open: OpenDoor): Promise<void> {
    if (open.listener !== null) return;
    try {
      open.listener = await this.#listen(open.door, { fd: this.#duplicate(open.fd) });
    } catch (thrown) {
      this.#parts.log.error("nobody answers at a door", { door: open.plan.id, reason: messageOf(thrown) });
    }
  }

  /** Null for one that can be done without and cannot be had. */
  async #openDoor(plan: DoorPlan): Promise<OpenDoor | null> {
    const door = new Door(plan, this.#parts);
    try {
      const listener = await this.#listen(door, { host: plan.address, port: plan.port });
      return { plan, door, listener, port: listener.port, fd: -1 };
    } catch (thrown) {
      return this.#without(plan, this.#errorOf(plan, codeOf(thrown) || messageOf(thrown)));
    }
  }

  #holdDoor(plan: DoorPlan): OpenDoor | null {
    const sockets = must(this.#parts.sockets, "there are sockets of our own");
    const before = this.#before.get(plan.id);
    this.#before.delete(plan.id);
    const held = before ?? sockets.open(plan.address, plan.port);
    if ("refusal" in held) return this.#without(plan, this.#errorOf(plan, held.refusal));
    return { plan, door: new Door(plan, this.#parts), port: held.port, fd: held.fd, listener: null };
  }

  #without({ required }: DoorPlan, error: ProxyError): null {
    if (required) throw error;
    this.#parts.log.warn("the program goes on without this", { reason: error.message });
    return null;
  }

  #listen(door: Door, place: TcpPlace): Promise<TcpListener> {
    return listenTcp(place, (stream) => door.enter(stream));
  }

  #duplicate(fd: number): number {
    return this.#parts.sockets?.duplicate(fd) ?? -1;
  }

  #closeDoor({ listener, door, fd }: OpenDoor): void {
    listener?.close();
    door.close();
    if (fd >= 0) this.#parts.sockets?.close(fd);
  }

  #errorOf({ key, address, port, id }: DoorPlan, code: string): ProxyError {
    const where = addressText(address, port);
    const remedies = `choose another ${key}.port, or set ${key}.enabled: false`;
    switch (code) {
      case "EADDRINUSE": {
        const own = this.#open.find((open) => open.port === port && open.plan.id !== id);
        const by = own === undefined ? "another process" : `this program itself, as ${own.plan.id}`;
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
        return new ProxyError("SYSTEM_CALL", `${key}: ${where} could not be opened: ${code}`);
    }
  }
}

/** How long between two looks at whether all have been answered, milliseconds. */
const PAUSE_STEP_MS = 5;

function addressText(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
