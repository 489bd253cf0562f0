/** Packets that no connection wants: those to ids of our own are answered with a stateless reset, so that their clients need not wait. */
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import type { FillRandom } from "./cid.ts";
import type { QuicEngine } from "./engine.ts";
import { makeReset, ResetGate, WITHHELD } from "./stateless-reset.ts";

/** What it works with. */
export interface StrayParts {
  readonly engine: QuicEngine;
  readonly counters: Counters;
  readonly fillRandom: FillRandom;
  readonly idBytes: number;
  readonly resetTokenOf: (id: Uint8Array) => Uint8Array;
}

/** Answers strays on one socket. */
export class Strays {
  readonly #parts: StrayParts;
  readonly #gate: ResetGate;
  readonly #chance = new Uint8Array(1);

  constructor(parts: StrayParts, nowMs: number) {
    this.#parts = parts;
    this.#gate = new ResetGate({ perSecond: LIMITS.resetsPerSecond, burst: LIMITS.resetsAtOnceMax }, nowMs);
  }

  /** Answers the short packet in datagram `slot`, whose destination id is one that this node makes, if that is sensible. */
  answer(slot: number, nowMs: number): void {
    const { engine, counters, fillRandom, idBytes, resetTokenOf } = this.#parts;
    const { socket } = engine;
    const at = socket.offsetOf(slot);
    fillRandom(this.#chance);
    const packet = { firstByte: socket.received[at] ?? 0, bytes: socket.lengthOf(slot), isOurs: true };
    const length = this.#gate.judge(packet, this.#chance[0] ?? 0, nowMs);
    if (length === WITHHELD.tooShort) {
      counters.resetsTooShort += 1;
      return;
    }
    if (length > 0) {
      const token = resetTokenOf(socket.received.slice(at + 1, at + 1 + idBytes));
      if (engine.answer(slot, makeReset(length, token, fillRandom))) {
        counters.resetsSent += 1;
        return;
      }
    }
    counters.resetsWithheld += 1;
  }
}
