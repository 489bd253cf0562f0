/** Packets that no connection wants: those to ids of our own are answered with a stateless reset, so that their clients need not wait. */
import type { Counters } from "../core/counters.ts";
import type { FillRandom, OwnIds } from "./cid.ts";
import type { QuicEngine } from "./engine.ts";
import { makeReset, type ResetGate, WITHHELD } from "./stateless-reset.ts";

/** What it works with. */
export interface StrayParts {
  readonly engine: QuicEngine;
  readonly counters: Counters;
  readonly fillRandom: FillRandom;
  /** Of all keys whose ids may still be out there. */
  readonly ids: readonly OwnIds[];
  /** Places that the id tables of this node have at most. */
  readonly entriesMax: number;
  /** How many are answered, for all sockets together. */
  readonly gate: ResetGate;
}

/** Behind a short header's first byte. */
const SHORT_ID_AT = 1;

/** Answers strays on one socket. */
export class Strays {
  readonly #parts: StrayParts;
  readonly #chance = new Uint8Array(1);

  constructor(parts: StrayParts) {
    this.#parts = parts;
  }

  /** Answers the short packet in datagram `slot`, if its destination id is one that this node makes and an answer is sensible. */
  answer(slot: number, nowMs: number): void {
    const { engine, counters, fillRandom, gate } = this.#parts;
    const { socket } = engine;
    const at = socket.offsetOf(slot);
    const maker = this.#makerOf(socket.received, at + SHORT_ID_AT, socket.lengthOf(slot) - SHORT_ID_AT);
    if (maker === null) return;
    fillRandom(this.#chance);
    const packet = { firstByte: socket.received[at] ?? 0, bytes: socket.lengthOf(slot), isOurs: true };
    const length = gate.judge(packet, this.#chance[0] ?? 0, nowMs);
    if (length === WITHHELD.tooShort) {
      counters.resetsTooShort += 1;
      return;
    }
    if (length > 0) {
      const idAt = at + SHORT_ID_AT;
      const token = maker.resetTokenOf(socket.received.slice(idAt, idAt + maker.scheme.mark.idBytes));
      if (engine.answer(slot, makeReset(length, token, fillRandom))) {
        counters.resetsSent += 1;
        return;
      }
    }
    counters.resetsWithheld += 1;
  }

  /** Whose id is at `at`, of which `available` bytes are there; whether it leads to a connection now does not matter. */
  #makerOf(bytes: Uint8Array, at: number, available: number): OwnIds | null {
    const { ids, entriesMax } = this.#parts;
    for (const own of ids) {
      if (available >= own.scheme.mark.idBytes && own.scheme.isOurs(bytes, at, entriesMax)) return own;
    }
    return null;
  }
}
