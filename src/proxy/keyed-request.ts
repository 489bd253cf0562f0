/** A request as the key of a consistent hash is taken from it. Made only where a pool hashes. */
import type { HashKeyRequest } from "../balance/hash-key.ts";
import type { RequestHead } from "../h3/head.ts";
import type { Client } from "./context.ts";

/** Reads from a head and its client; copies nothing. */
export class KeyedRequest implements HashKeyRequest {
  readonly #head: RequestHead;
  readonly #client: Client;

  constructor(head: RequestHead, client: Client) {
    this.#head = head;
    this.#client = client;
  }

  get clientIp(): string {
    return this.#client.ip;
  }

  get connectionIdHex(): string {
    return this.#client.connectionIdHex;
  }

  get authority(): string {
    return this.#head.authority;
  }

  get path(): string {
    return this.#head.path;
  }

  get method(): string {
    return this.#head.method;
  }

  /** See `HashKeyRequest`. */
  header(name: string): string | null {
    const { fields, firstField } = this.#head;
    let joined: string | null = null;
    for (let i = firstField; i < fields.count; i++) {
      if (!fields.nameIs(i, name)) continue;
      joined = joined === null ? fields.value(i) : `${joined}${name === "cookie" ? "; " : ", "}${fields.value(i)}`;
    }
    return joined;
  }
}
