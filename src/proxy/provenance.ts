/**
 * Where the requests of one connection come from, as backends are told: Via, X-Forwarded-For, -Proto and -Host, and Forwarded
 * (RFC 7239). What is the same for all requests of a connection is coded once, and what depends on the host again only when the
 * host is another one.
 */
import type { Cidr } from "../config/cidr.ts";
import { liesIn } from "../config/cidr.ts";
import { FieldSection } from "../core/fields.ts";
import { type ClientIdentity, NOBODY } from "./client-identity.ts";

/** Positions in `Provenance.fields`; the order in which they are sent. */
export const TOLD = { via: 0, forwardedFor: 1, forwardedProto: 2, forwardedHost: 3, forwarded: 4, count: 5 } as const;

/** Of one connection. */
export class Provenance {
  /** By its certificate. */
  readonly identity: ClientIdentity;
  /** Text of the peer's address. */
  readonly #ip: string;
  #authority = "";
  #fields: FieldSection | null = null;
  /** Whether the peer is one of these proxies; made with the first question. */
  #verdicts: WeakMap<readonly Cidr[], boolean> | null = null;

  constructor(ip: string, identity: ClientIdentity = NOBODY) {
    this.#ip = ip;
    this.identity = identity;
  }

  /** What we say of a request for this host, by `TOLD`. */
  fields(authority: string): FieldSection {
    if (this.#fields === null || this.#authority !== authority) {
      this.#authority = authority;
      this.#fields = FieldSection.of([
        ["via", REQUEST_VIA],
        ["x-forwarded-for", this.#ip],
        ["x-forwarded-proto", "https"],
        ["x-forwarded-host", authority],
        ["forwarded", forwardedElement(this.#ip, authority)],
      ]);
    }
    return this.#fields;
  }

  /** Does the peer's word about others count? Decided once for each list, however many requests the connection has. */
  isOneOf(proxies: readonly Cidr[]): boolean {
    if (proxies.length === 0) return false;
    this.#verdicts ??= new WeakMap();
    let verdict = this.#verdicts.get(proxies);
    if (verdict === undefined) {
      verdict = liesIn(proxies, this.#ip);
      this.#verdicts.set(proxies, verdict);
    }
    return verdict;
  }
}

const REQUEST_VIA = "3 spooky";

/** What a value may be without quotes (RFC 9110 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * One element of Forwarded. The client's port is left out, as in X-Forwarded-For, and `by`, which would show a backend's users our
 * inside. Neither an address nor an authority has a character that would need an escape within quotes.
 */
export function forwardedElement(ip: string, authority: string): string {
  const node = ip.includes(":") ? `"[${ip}]"` : ip;
  const host = TOKEN.test(authority) ? authority : `"${authority}"`;
  return `for=${node};host=${host};proto=https`;
}
