/** When each connection of an endpoint that shall be left hears of it: at a moment of its own, so that clients do not all come back at once. */
import { LIMITS } from "../core/limits.ts";
import type { Connection } from "./connection.ts";
import type { SessionDriver } from "./connection-host.ts";
import type { FillRandom } from "./cid.ts";

const WORD_VALUES = 2 ** 32;

/** One endpoint's. */
export class Farewell {
  readonly #fillRandom: FillRandom;
  readonly #word = new Uint32Array(1);
  #begun = false;
  #untilMs = 0;

  constructor(fillRandom: FillRandom) {
    this.#fillRandom = fillRandom;
  }

  /**
   * Plans a moment for each connection within `spreadMs`, or within less when there are few: there is no crowd of ten to be spread. Costs
   * some 2 us for each, all in one turn (`bench/load/farewell.ts`); what is said then is said in as many turns as there are moments.
   */
  begin(connections: ReadonlySet<Connection>, nowMs: number, spreadMs: number): void {
    this.#begun = true;
    const windowMs = Math.min(spreadMs, connections.size * LIMITS.goawayPerConnectionMs);
    this.#untilMs = nowMs + windowMs;
    const words = new Uint32Array(connections.size);
    this.#fillRandom(new Uint8Array(words.buffer));
    let at = 0;
    for (const connection of connections) connection.leave(nowMs + ((words[at++] ?? 0) / WORD_VALUES) * windowMs);
  }

  /**
   * A connection that is there only now: its turn comes with the others' or a little later, when the request that it was opened for has
   * begun.
   */
  onOpen(driver: SessionDriver, nowMs: number): void {
    if (!this.#begun) return;
    this.#fillRandom(new Uint8Array(this.#word.buffer));
    const share = (this.#word[0] ?? 0) / WORD_VALUES;
    const atMs = nowMs + share * Math.max(0, this.#untilMs - nowMs);
    driver.leave(Math.max(atMs, nowMs + LIMITS.goawayLateMsMin));
  }
}
