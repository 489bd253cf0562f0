/** Request bodies against the largest that their pool takes. */
import type { PoolSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import { ProxyError } from "../core/error.ts";
import type { FieldSection } from "../core/fields.ts";
import type { BodySource } from "./ports.ts";

/** Who hears that a body is too large. */
export interface BodyLimitOwner {
  /** Called once, from within a reader's `pull`. */
  onBodyTooLarge(): void;
}

/** The body as an attempt reads it, null for none. One of declared length is measured by that: the stream holds its client to it. */
export function limitedBody(
  stream: BodySource,
  contentLengthBytes: number,
  { requestBodyBytesMax }: PoolSettings,
  owner: BodyLimitOwner,
): BodySource | null {
  if (stream.state === "ended") return null;
  if (requestBodyBytesMax === Infinity || contentLengthBytes >= 0) return stream;
  return new LimitedBody(stream, requestBodyBytesMax, owner);
}

/** The error that goes with it, counted. */
export function bodyTooLarge({ requestBodyBytesMax, name }: PoolSettings, at: { counters: Counters }): ProxyError {
  at.counters.requestsBodyTooLarge += 1;
  const why = `the request body is larger than the ${requestBodyBytesMax} bytes that pool ${name} takes`;
  return new ProxyError("REQUEST_BODY_TOO_LARGE", why);
}

/** Passes a body on until it is larger than allowed: the piece that makes it so goes to nobody. */
class LimitedBody implements BodySource {
  readonly #source: BodySource;
  readonly #owner: BodyLimitOwner;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(source: BodySource, bytesMax: number, owner: BodyLimitOwner) {
    this.#source = source;
    this.#bytesMax = bytesMax;
    this.#owner = owner;
  }

  get state(): "open" | "ended" | "broken" {
    return this.#isTooLarge ? "broken" : this.#source.state;
  }

  get trailers(): FieldSection | null {
    return this.#source.trailers;
  }

  get onReadable(): (() => void) | null {
    return this.#source.onReadable;
  }

  set onReadable(call: (() => void) | null) {
    this.#source.onReadable = call;
  }

  pull(): Uint8Array | null {
    if (this.#isTooLarge) return null;
    const piece = this.#source.pull();
    this.#bytes += piece?.length ?? 0;
    if (!this.#isTooLarge) return piece;
    this.#owner.onBodyTooLarge();
    return null;
  }

  stop(): void {
    this.#source.stop();
  }

  get #isTooLarge(): boolean {
    return this.#bytes > this.#bytesMax;
  }
}
