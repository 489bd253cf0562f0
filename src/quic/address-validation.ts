/**
 * Address validation by Retry (RFC 9000 8.1.2): what the token of a client's first packet shows, and the Retry for those that have none.
 * Nothing is kept of a client in between; the token has it all.
 */
import type { Counters } from "../core/counters.ts";
import type { IdScheme } from "./cid.ts";
import type { QuicEngine, RetryIds } from "./engine.ts";
import type { PacketReader } from "./packet.ts";
import type { TokenSealer } from "./token.ts";

/** What it works with. */
export interface AddressValidationParts {
  readonly engine: QuicEngine;
  readonly counters: Counters;
  readonly scheme: IdScheme;
  readonly sealer: TokenSealer;
  /** Milliseconds since 1970: nodes that share keys share this clock as well. */
  readonly epochMs: () => number;
}

/** The client has no token that counts. */
export const NOTHING_SHOWN = 0;
/** The token is of a Retry and bad: the client will take no further Retry, and is told at once (RFC 9000 8.1.2). */
export const BAD_TOKEN = 1;

/** No place of any id table: the id of a Retry leads to its worker and to no connection. */
const NO_INDEX = 0xffff_ffff;

/** Judges tokens and sends Retries on one socket. */
export class AddressValidation {
  readonly #parts: AddressValidationParts;
  #sealer: TokenSealer;

  constructor(parts: AddressValidationParts) {
    this.#parts = parts;
    this.#sealer = parts.sealer;
  }

  /** Tokens are made and judged by this from now on. */
  renew(sealer: TokenSealer): void {
    this.#sealer = sealer;
  }

  /** What the token of the Initial in datagram `slot` shows; `reader` has read it. The ids of its Retry: the address is validated. */
  judge(slot: number, reader: PacketReader): RetryIds | typeof NOTHING_SHOWN | typeof BAD_TOKEN {
    if (reader.tokenLength === 0) return NOTHING_SHOWN;
    const { engine, counters, scheme, epochMs } = this.#parts;
    const sealer = this.#sealer;
    const { received } = engine.socket;
    const token = received.slice(reader.tokenAt, reader.tokenAt + reader.tokenLength);
    const retryId = received.slice(reader.dcidAt, reader.dcidAt + reader.dcidLength);
    // Whoever answers a Retry of ours does it to an id of our length. Clients choose others, and what they have may be the token of a
    // server that was here before us.
    const isAnswer = retryId.length === scheme.mark.idBytes;
    const opened =
      isAnswer && sealer.isRetry(token) ? sealer.openRetry(token, this.#clientOf(slot), retryId, epochMs()) : null;
    if (opened === null) {
      counters.tokensIgnored += 1;
      return NOTHING_SHOWN;
    }
    if (opened.verdict !== "valid") {
      counters.tokensRefused.add(opened.verdict);
      return BAD_TOKEN;
    }
    counters.tokensValid += 1;
    return { originalId: opened.originalId, retryId };
  }

  /** Asks the sender of the Initial in datagram `slot` to come back with a token. */
  ask(slot: number, reader: PacketReader): void {
    const { engine, counters, scheme, epochMs } = this.#parts;
    const originalId = engine.socket.received.subarray(reader.dcidAt, reader.dcidAt + reader.dcidLength);
    const retryId = scheme.mint(NO_INDEX);
    const token = this.#sealer.sealRetry(this.#clientOf(slot), originalId, retryId, epochMs());
    if (engine.sendRetry(slot, reader, retryId, token)) counters.retriesSent += 1;
    else counters.retriesWithheld += 1;
  }

  #clientOf(slot: number): { readonly words: Uint32Array; readonly port: number } {
    const { socket } = this.#parts.engine;
    return { words: socket.peerWords(slot), port: socket.peerPort(slot) };
  }
}
