/**
 * Requests in early data (0-RTT; RFC 8470). Whoever has recorded a client's first flight can play it again until the handshake is done, so
 * a request in it goes on before that only if it may be made twice: by its method, and without a body. Backends are told (`Early-Data: 1`).
 * All others wait; the end of the handshake shows that the flight was the client's own and new.
 */
import type { Counters } from "../core/counters.ts";
import { FIELD } from "../core/field-names.ts";
import { LIMITS } from "../core/limits.ts";
import type { RequestHead } from "../h3/head.ts";
import type { RequestStream } from "../h3/stream.ts";

/** RFC 8470 5.2: the backend does not want to risk that the request is a repetition. */
export const TOO_EARLY = 425;

/** What is asked of a client's connection. */
export interface EarlySource {
  readonly established: boolean;
  /** What is read now may have come in early data. */
  readonly mayBeEarly: boolean;
  /** The flight may be a repetition. */
  readonly doubted: boolean;
}

/** A request that waits. */
export interface Waiting {
  proceed(): void;
}

/** Those of one connection. */
export class EarlyRequests {
  readonly source: EarlySource;
  readonly counters: Counters;
  /** In the order in which they came; the stream limit bounds them. */
  readonly waiting = new Set<Waiting>();
  readonly #methods: ReadonlySet<string>;

  /** `methods`: of requests that may be made twice. */
  constructor(source: EarlySource, methods: ReadonlySet<string>, counters: Counters) {
    this.source = source;
    this.#methods = methods;
    this.counters = counters;
  }

  /**
   * A request has come; null when it did not come early. One of a kind that goes on before the handshake is done is marked even if that is
   * done by now: another process may have got the same one, played again, and have forwarded it (RFC 8470 5.1). The other kinds nobody
   * forwards before.
   */
  take(head: RequestHead, stream: Pick<RequestStream, "state">): EarlyRequest | null {
    const { established, mayBeEarly, doubted } = this.source;
    if (!mayBeEarly) return null;
    const marked = this.#methods.has(head.method) && stream.state === "ended";
    if (established) return marked ? new EarlyRequest(this, true, false) : null;
    const mustWait = doubted || !marked;
    this.counters[mustWait ? "earlyRequestsHeld" : "earlyRequests"] += 1;
    return new EarlyRequest(this, marked, mustWait);
  }

  /** The handshake is done. */
  release(): void {
    for (const request of this.waiting) {
      this.waiting.delete(request);
      request.proceed();
    }
  }
}

/** How one of them goes on. */
export class EarlyRequest {
  readonly #all: EarlyRequests;
  #marked: boolean;
  #mustWait: boolean;

  constructor(all: EarlyRequests, marked: boolean, mustWait: boolean) {
    this.#all = all;
    this.#marked = marked;
    this.#mustWait = mustWait;
  }

  /** It goes to backends with `Early-Data: 1`, each time that it goes. */
  get marked(): boolean {
    return this.#marked;
  }

  /** True: it waits, and is called when it may go on. */
  holds(request: Waiting): boolean {
    if (!this.#mustWait || this.#all.source.established) return false;
    this.#all.waiting.add(request);
    return true;
  }

  /**
   * The backend has answered 425. True: it is to be sent once more, when the handshake is done, and without the mark. A client that sent the
   * field itself gets the 425, for only its own hop knows when (RFC 8470 5.2).
   */
  mayRepeat(head: RequestHead, attempts: number): boolean {
    if (!this.#marked || attempts >= LIMITS.attemptsPerRequestMax) return false;
    if (head.fields.find(FIELD["early-data"]) >= 0) return false;
    this.#marked = false;
    this.#mustWait = true;
    this.#all.counters.earlyRequestsRepeated += 1;
    return true;
  }

  /** It is over, perhaps while it waits. */
  leave(request: Waiting): void {
    this.#all.waiting.delete(request);
  }
}
