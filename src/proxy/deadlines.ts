/** The bound on whole requests (`TimeoutSettings.requestTotalMs`): one sweep for all of them, no timer for each. */

import { ProxyError } from "../core/error.ts";
import type { FieldSection } from "../core/fields.ts";
import { isGrpc, isOpenEnded } from "./content-type.ts";

/** A request under the bound. */
export interface Bounded {
  readonly startedMs: number;
  /** The time is over; it is no longer under the bound. */
  onTotalTimeout(error: ProxyError): void;
}

/** Requests under the bound, in the order in which they began, which is that of their deadlines. */
export class RequestDeadlines {
  readonly #totalMs: number;
  readonly #running = new Set<Bounded>();

  constructor(totalMs: number) {
    this.#totalMs = totalMs;
  }

  /** Requests under the bound. */
  get size(): number {
    return this.#running.size;
  }

  /** A request with these fields has begun. gRPC's may take as long as it likes: it has deadlines of its own (`grpc-timeout`). */
  begin(request: Bounded, fields: FieldSection): void {
    if (!isGrpc(fields)) this.#running.add(request);
  }

  /** Its response has begun with these fields. */
  onHead(request: Bounded, fields: FieldSection): void {
    if (isOpenEnded(fields)) this.#running.delete(request);
  }

  /** It is over. Idempotent. */
  end(request: Bounded): void {
    this.#running.delete(request);
  }

  /** Ends all that are late. Looks at those and at one more. */
  sweep(nowMs: number): void {
    for (const request of this.#running) {
      if (nowMs - request.startedMs < this.#totalMs) return;
      this.#running.delete(request);
      request.onTotalTimeout(
        new ProxyError("REQUEST_TOTAL_TIMEOUT", `the request took longer than ${this.#totalMs} ms`),
      );
    }
  }
}
