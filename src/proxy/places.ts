/** Where one request is counted as under way: in the process, in its pool, at its backend. Each place is given back once. */
import type { Counters } from "../core/counters.ts";
import { ProxyError } from "../core/error.ts";
import type { InFlight } from "../core/in-flight.ts";
import type { BufferAccount } from "../guard/buffer-account.ts";
import type { Pool } from "./pool.ts";

/** What requests take their places from, and where refusals are counted. */
export interface PlaceSource {
  /** Requests under way in the process. */
  readonly inFlight: InFlight;
  readonly counters: Counters;
}

/** Where room was wanting when a request was refused with 503; the words of `Counters.requestsShed`. */
type ShedCause = "process" | "pool" | "backend" | "connection-buffers" | "buffers";

/** The places of one request. What `enter...` answers is null, or why there is none. */
export class Places {
  readonly #source: PlaceSource;
  #inProcess = false;
  #pool: Pool | null = null;
  #backendIndex = NOWHERE;

  constructor(source: PlaceSource) {
    this.#source = source;
  }

  /** `buffers`: what waits for the client. */
  enterProcess(buffers: BufferAccount): ProxyError | null {
    const { full } = buffers;
    if (full !== null) return this.#shed(BUFFERS[full].cause, BUFFERS[full].why);
    const { inFlight } = this.#source;
    if (!inFlight.take()) return this.#shed("process", `${inFlight.max} requests are under way`);
    this.#inProcess = true;
    return null;
  }

  enterPool(pool: Pool): ProxyError | null {
    const { inFlight, settings } = pool;
    if (!inFlight.take()) return this.#shed("pool", `${inFlight.max} requests are under way in pool ${settings.name}`);
    this.#pool = pool;
    return null;
  }

  /** Takes a place at a backend of the pool that was entered, one that the pool has just picked. */
  enterBackend(index: number): void {
    this.#pool?.availability.take(index);
    this.#backendIndex = index;
  }

  /** Why the pool that was entered has picked none. */
  noBackend(): ProxyError {
    const name = this.#pool?.settings.name ?? "";
    if (this.#pool?.availability.isFull() === true)
      return this.#shed("backend", `the healthy backends of pool ${name} have as many requests as they may`);
    return new ProxyError("NO_HEALTHY_BACKEND", `no healthy backend in pool ${name}`);
  }

  leaveBackend(): void {
    if (this.#backendIndex !== NOWHERE) this.#pool?.availability.give(this.#backendIndex);
    this.#backendIndex = NOWHERE;
  }

  /** The request is over. */
  leave(): void {
    this.leaveBackend();
    this.#pool?.inFlight.give();
    this.#pool = null;
    if (this.#inProcess) this.#source.inFlight.give();
    this.#inProcess = false;
  }

  #shed(cause: ShedCause, why: string): ProxyError {
    this.#source.counters.requestsShed.add(cause);
    return new ProxyError("OVERLOADED", why);
  }
}

const NOWHERE = -1;

const BUFFERS = {
  own: { cause: "connection-buffers", why: "as much waits for this client as may" },
  whole: { cause: "buffers", why: "as much waits for all clients as may" },
} as const;
