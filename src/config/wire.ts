/** How a backend is spoken to: what its address, the pool's `protocol` and the pool's `transport` say together. */
import type { BackendScheme, BackendProtocol, BackendTransport } from "./snapshot.ts";

/** One way to speak. `auto` is found out: by ALPN over TLS, by the HTTP/2 preface without. */
export interface Wire {
  readonly transport: BackendTransport;
  readonly protocol: BackendProtocol;
}

/** Why there is none. `key` is the key of the pool that the address does not go with; `expected` says what would. */
export interface Contradiction {
  readonly key: "protocol" | "transport";
  readonly expected: string;
}

/** The way, or why the three contradict each other. Null stands for a key that was left out. */
export function wireOf(
  scheme: BackendScheme,
  protocol: BackendProtocol | null,
  transport: BackendTransport | null,
): Wire | Contradiction {
  const { implied, allowed, standard } = SCHEMES[scheme];
  const wanted = protocol === null || protocol === "auto" ? implied : protocol;
  if (!allowed.includes(wanted)) return { key: "protocol", expected: ADDRESS_OF[wanted] };
  const chosen = transport ?? standard;
  if (chosen === "native" && scheme === "h3")
    return { key: "transport", expected: 'transport "fetch" for h3:// backends' };
  if (chosen === "fetch" && scheme === "unix")
    return { key: "transport", expected: 'transport "native" for unix: backends' };
  if (chosen === "fetch" && wanted === "h2c")
    return { key: "transport", expected: 'transport "native" for HTTP/2 without TLS' };
  // In clear `fetch` speaks nothing but HTTP/1.1, so there is nothing to find out.
  if (chosen === "fetch" && scheme === "auto") return { transport: chosen, protocol: "http1" };
  return { transport: chosen, protocol: wanted };
}

/** True when `wireOf` found a contradiction. */
export function isContradiction(found: Wire | Contradiction): found is Contradiction {
  return "key" in found;
}

interface SchemeMeaning {
  /** The protocol without the key. */
  readonly implied: BackendProtocol;
  /** What the key may say. */
  readonly allowed: readonly BackendProtocol[];
  readonly standard: BackendTransport;
}

const IN_CLEAR: readonly BackendProtocol[] = ["auto", "http1", "h2c"];

const SCHEMES: Readonly<Record<BackendScheme, SchemeMeaning>> = {
  https: { implied: "auto", allowed: ["auto", "http1", "h2"], standard: "fetch" },
  http: { implied: "http1", allowed: ["http1"], standard: "native" },
  h2c: { implied: "h2c", allowed: ["h2c"], standard: "native" },
  h3: { implied: "h3", allowed: ["h3"], standard: "fetch" },
  auto: { implied: "auto", allowed: IN_CLEAR, standard: "native" },
  unix: { implied: "auto", allowed: IN_CLEAR, standard: "native" },
};

/** Which addresses go with a protocol that was asked for. */
const ADDRESS_OF: Readonly<Record<BackendProtocol, string>> = {
  auto: "another address",
  http1: "an address with http://, https:// or without a scheme for HTTP/1.1",
  h2: "an address with https:// for HTTP/2 over TLS",
  h2c: "an address with h2c:// or without a scheme for HTTP/2 without TLS",
  h3: "an address with h3:// for HTTP/3",
};
