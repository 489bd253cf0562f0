/** What every test backend counts and remembers, in whatever process it runs. */
import { ClientGone } from "./exchange.ts";
import { answer } from "./routes.ts";
import type { BackendExchange, Field } from "./exchange.ts";
import type { RouteContext } from "./routes.ts";

/** What has happened at a backend. */
export interface BackendCounts {
  /** Stays 0 on `h3`, which does not tell. */
  connections: number;
  requests: number;
  /** Running now. */
  active: number;
  completed: number;
  /** Requests whose client went away. */
  aborted: number;
  /** Waiting in `/hold` or `/hold-body`, since the last release. */
  holding: number;
  /** Body bytes that the routes have read, and that they have written. */
  bytesRead: number;
  bytesSent: number;
}

/** One request, as it arrived. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
  readonly connection: number;
}

/** Requests that a backend remembers, so that a long run does not grow. */
export const SEEN_REQUESTS_MAX = 1000;

/** Counters, memory and levers of one backend; the routes see it as their context. */
export class BackendState implements RouteContext {
  readonly id: string;
  readonly protocol: string;
  readonly counts: BackendCounts = { ...NOTHING_YET };
  readonly seen: SeenRequest[] = [];
  readonly faults: unknown[] = [];
  #healthStatus = 200;
  #gate = Promise.withResolvers<void>();
  #holdingWaiters: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(id: string, protocol: string) {
    this.id = id;
    this.protocol = protocol;
  }

  get health(): number {
    return this.#healthStatus;
  }

  set health(status: number) {
    this.#healthStatus = status;
  }

  async held(): Promise<void> {
    this.counts.holding++;
    this.#holdingWaiters = this.#holdingWaiters.filter((waiter) => {
      if (this.counts.holding >= waiter.count) waiter.resolve();
      return this.counts.holding < waiter.count;
    });
    await this.#gate.promise;
  }

  release(): void {
    this.#gate.resolve();
    this.#gate = Promise.withResolvers<void>();
    this.counts.holding = 0;
  }

  holding(count: number): Promise<void> {
    if (this.counts.holding >= count) return Promise.resolve();
    return new Promise((resolve) => this.#holdingWaiters.push({ count, resolve }));
  }

  /** Answers one request and books how it went. */
  async serve(exchange: BackendExchange): Promise<void> {
    const { method, target, fields, connection } = exchange;
    this.counts.requests++;
    this.counts.active++;
    if (this.seen.length < SEEN_REQUESTS_MAX) this.seen.push({ method, target, fields, connection });
    try {
      await answer(this.#counted(exchange), this);
      if (exchange.gone.aborted) this.counts.aborted++;
      else this.counts.completed++;
    } catch (thrown) {
      if (exchange.gone.aborted || thrown instanceof ClientGone) this.counts.aborted++;
      else {
        this.faults.push(thrown);
        exchange.reset();
      }
    } finally {
      this.counts.active--;
    }
  }

  #counted(exchange: BackendExchange): BackendExchange {
    return {
      ...exchange,
      body: countedBody(exchange.body, this.counts),
      write: (piece) => {
        this.counts.bytesSent += piece.length;
        return exchange.write(piece);
      },
    };
  }
}

async function* countedBody(body: AsyncIterable<Uint8Array>, counts: BackendCounts): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    counts.bytesRead += piece.length;
    yield piece;
  }
}

/** Before anything has. */
export const NOTHING_YET: Readonly<BackendCounts> = {
  connections: 0,
  requests: 0,
  active: 0,
  completed: 0,
  aborted: 0,
  holding: 0,
  bytesRead: 0,
  bytesSent: 0,
};
