/** Body bytes by pool, counted as they pass: whoever moves bytes holds the tally of the pool and adds to it. */
import { labelledName, OTHER_LABEL } from "./labels.ts";
import { LIMITS } from "./limits.ts";

/** Of counts by pool: bytes from clients. */
export const REQUEST_BYTES_NAME = "request_body_bytes";
/** And bytes to clients. */
export const RESPONSE_BYTES_NAME = "response_body_bytes";

/** What clients have sent to a pool and taken from it, bytes of bodies. */
export class BodyTally {
  requestBytes = 0;
  responseBytes = 0;
  readonly requestName: string;
  readonly responseName: string;

  constructor(pool: string) {
    this.requestName = labelledName(REQUEST_BYTES_NAME, [pool]);
    this.responseName = labelledName(RESPONSE_BYTES_NAME, [pool]);
  }
}

/** One tally for each pool that any configuration has named since the start, up to a maximum: a pool that comes back goes on with its own. */
export class BodyTallies {
  /** Of requests that came to no pool. */
  readonly unrouted: BodyTally;
  readonly #tallies = new Map<string, BodyTally>();

  constructor() {
    this.unrouted = this.of("");
  }

  of(pool: string): BodyTally {
    const known = this.#tallies.get(pool);
    if (known !== undefined) return known;
    if (this.#tallies.size >= LIMITS.countedBackendsMax && pool !== OTHER_LABEL) return this.of(OTHER_LABEL);
    const tally = new BodyTally(pool);
    this.#tallies.set(pool, tally);
    return tally;
  }

  /** Puts what is not zero among counts. */
  writeTo(counts: Record<string, number>): void {
    for (const { requestBytes, requestName, responseBytes, responseName } of this.#tallies.values()) {
      if (requestBytes > 0) counts[requestName] = requestBytes;
      if (responseBytes > 0) counts[responseName] = responseBytes;
    }
  }
}
