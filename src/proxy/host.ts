/** Which host a backend is asked for: the value of Host, or of `:authority` where there is no Host. */
import type { BackendScheme, BackendSettings, HostPolicy } from "../config/snapshot.ts";

/** By the pool's policy; `asked` is what the client asked us for. Nothing here changes whom TLS asks for. */
export function authorityTowards(policy: HostPolicy, backend: BackendSettings, asked: string): string {
  if (policy.mode === "pass-through") return asked;
  return policy.mode === "rewrite" ? policy.host : authorityOf(backend);
}

/** Whom a request that no client sent asks for: as a client's would, or the backend itself. */
export function ownAuthority(policy: HostPolicy, backend: BackendSettings): string {
  return authorityTowards(policy, backend, authorityOf(backend));
}

/**
 * The backend's own authority: its host, in brackets where it is an IPv6 address, and its port where it is not the scheme's.
 * A Unix socket has no name; `localhost` is what common servers take there.
 */
function authorityOf(backend: BackendSettings): string {
  let authority = AUTHORITIES.get(backend);
  if (authority === undefined) {
    const { scheme, host, port } = backend;
    const name = host.includes(":") ? `[${host}]` : host;
    authority = scheme === "unix" ? "localhost" : port === STANDARD_PORTS[scheme] ? name : `${name}:${port}`;
    AUTHORITIES.set(backend, authority);
  }
  return authority;
}

/** One text for each backend of the configurations at work. */
const AUTHORITIES = new WeakMap<BackendSettings, string>();

/** RFC 9110 4.2. A bare address is spoken to in clear, whatever its version. */
const STANDARD_PORTS: Readonly<Record<Exclude<BackendScheme, "unix">, number>> = {
  https: 443,
  h3: 443,
  http: 80,
  h2c: 80,
  auto: 80,
};
