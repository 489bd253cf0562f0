/** Which workers get which datagrams, as the kernel is told. What it refuses is due to be tried again. */
import { messageOf, ProxyError } from "../core/error.ts";
import type { Crew } from "./crew.ts";
import type { SupervisorParts, Ways } from "./supervisor-parts.ts";

/** The ways of one address. */
export class Steering {
  readonly #parts: Pick<SupervisorParts, "steer" | "log">;
  #isDue = false;

  constructor(parts: Pick<SupervisorParts, "steer" | "log">) {
    this.#parts = parts;
  }

  /** The kernel has refused the ways as they should be. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** Says it in the log, once, when the kernel refuses. */
  steer(active: Crew, draining: Crew | null): void {
    try {
      this.steerOrThrow(active, draining);
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      if (!this.#isDue) this.#parts.log.error("datagrams go as before", { reason: messageOf(thrown) });
      this.#isDue = true;
    }
  }

  /** Throws what the kernel says. */
  steerOrThrow(active: Crew, draining: Crew | null): void {
    const standIns = standInsOf(active, draining);
    this.#parts.steer({ active: active.slots, draining: draining?.slots ?? null, standIns });
    this.#isDue = false;
  }
}

type Readers = Pick<Crew, "slotsThatAre">;

/** Slots that nobody reads get one of those that take new connections, or else one of the retired. With none, nothing helps. */
function standInsOf(active: Readers, draining: Readers | null): Ways["standIns"] {
  const readers =
    active.slotsThatAre(true).length > 0 ? active.slotsThatAre(true) : (draining?.slotsThatAre(true) ?? []);
  return [...active.slotsThatAre(false), ...(draining?.slotsThatAre(false) ?? [])].flatMap((slot) => {
    const by = readers[slot % readers.length];
    return by === undefined ? [] : [{ slot, by }];
  });
}
