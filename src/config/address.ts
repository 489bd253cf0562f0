/** Names and addresses in a configuration: backends, the listener, hosts of routes, server names of certificates. */
import { isIpv4, isIpv6 } from "./ip.ts";
import { nearest } from "./nearest.ts";
import { bad, good } from "./parsed.ts";
import type { Parsed } from "./parsed.ts";
import { quoted } from "./problem.ts";
import type { BackendScheme } from "./snapshot.ts";

/** A backend's address, taken apart. */
export interface BackendAddress {
  readonly scheme: BackendScheme;
  /** A lower-case name, an IP literal without brackets, or the path of a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
}

/** Schemes that may be written, with the port they stand for. */
const SCHEME_PORTS: ReadonlyMap<string, { readonly scheme: BackendScheme; readonly port: number }> = new Map([
  ["https", { scheme: "https", port: 443 }],
  ["http", { scheme: "http", port: 80 }],
  ["h2c", { scheme: "h2c", port: 80 }],
  ["h3", { scheme: "h3", port: 443 }],
]);

const SCHEMES_TEXT = "one of https://, http://, h2c://, h3://, unix:/path, or host:port without a scheme";
/** What `sun_path` of the kernel's `sockaddr_un` holds beside the NUL at its end (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;
const PORT_TEXT = "a port from 1 to 65535";

/** What is expected of a backend's address. */
export const BACKEND_ADDRESS_EXPECTED = 'an address such as "10.0.0.1:8080", "[::1]:8080" or "https://example.org"';

/** `scheme://host[:port]`, `unix:/path` or `host:port`. A bare host without a port says too little: neither scheme nor port. */
export function parseBackendAddress(text: string): Parsed<BackendAddress> {
  if (text === "") return bad("is an empty text", BACKEND_ADDRESS_EXPECTED);
  if (/[\s\p{Cc}]/u.test(text)) return bad(`${quoted(text)} has a blank in it`, BACKEND_ADDRESS_EXPECTED);
  const socket = /^unix:(?:\/\/)?(.*)$/i.exec(text);
  if (socket !== null) return parseSocketPath(text, socket[1] ?? "");
  const border = text.indexOf("://");
  if (border < 0) return parseAuthority(text, text, "auto", null);
  const name = text.slice(0, border).toLowerCase();
  const known = SCHEME_PORTS.get(name);
  if (known === undefined) {
    return bad(
      `has the unknown scheme ${quoted(name)}`,
      SCHEMES_TEXT,
      nearest(name, SCHEME_PORTS.keys())?.word ?? null,
    );
  }
  return parseAuthority(text, text.slice(border + "://".length), known.scheme, known.port);
}

/** `unix:/run/app.sock`; `unix:///run/app.sock` is the same. */
function parseSocketPath(whole: string, path: string): Parsed<BackendAddress> {
  if (!path.startsWith("/"))
    return bad(`${quoted(whole)} has no absolute path`, 'the path of a socket, such as "unix:/run/app.sock"');
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > SOCKET_PATH_BYTES_MAX)
    return bad(
      `${quoted(whole)} has a path of ${bytes} bytes`,
      `at most ${SOCKET_PATH_BYTES_MAX} bytes, as the system has it`,
    );
  return good({ scheme: "unix", host: path, port: 0 });
}

function parseAuthority(
  whole: string,
  rest: string,
  scheme: BackendScheme,
  portDefault: number | null,
): Parsed<BackendAddress> {
  const end = rest.search(/[/?#]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  const prefix = whole.slice(0, whole.length - rest.length);
  if (authority.includes("@")) {
    // Not shown: a password may be part of it.
    return bad("has a user in it", `only host and port: ${quoted(prefix + afterLast(authority, "@"))}`);
  }
  if (end >= 0)
    return bad(`${quoted(whole)} has a path or a query`, `only host and port: ${quoted(prefix + authority)}`);
  const split = splitPort(authority);
  if (split === null) return bad(`${quoted(whole)} is no address`, bracketHint(authority) ?? BACKEND_ADDRESS_EXPECTED);
  if (split.host === "") return bad(`${quoted(whole)} has no host`, BACKEND_ADDRESS_EXPECTED);
  const host = split.isBracketed ? split.host.toLowerCase() : hostName(split.host);
  if (host === null) return bad(`${quoted(split.host)} is no host name and no IP address`, BACKEND_ADDRESS_EXPECTED);
  if (split.port === null) {
    if (portDefault !== null) return good({ scheme, host, port: portDefault });
    const full = split.isBracketed ? `[${host}]` : host;
    return bad(
      `${quoted(whole)} has no port`,
      `host and port, such as "${full}:8080", or a scheme, such as "https://${full}"`,
    );
  }
  const port = portNumber(split.port);
  return port === null
    ? bad(`${quoted(whole)} has the port ${quoted(split.port)}`, PORT_TEXT)
    : good({ scheme, host, port });
}

/** For an IPv6 literal without brackets: where its port would begin, only brackets can say. */
function bracketHint(authority: string): string | null {
  const lastColon = authority.lastIndexOf(":");
  const host = authority.slice(0, lastColon);
  if (isIpv6(host)) return `an IPv6 address in brackets, such as "[${host}]:${authority.slice(lastColon + 1)}"`;
  return isIpv6(authority) ? `an IPv6 address in brackets, such as "[${authority}]:8080"` : null;
}

function afterLast(text: string, mark: string): string {
  return text.slice(text.lastIndexOf(mark) + mark.length);
}

interface HostAndPort {
  readonly host: string;
  readonly isBracketed: boolean;
  /** The text after the colon; null when there is no colon. */
  readonly port: string | null;
}

/** `host`, `host:port`, `[v6]` or `[v6]:port`; null when brackets or colons do not fit. */
function splitPort(text: string): HostAndPort | null {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) {
    const [, host = "", port] = bracketed;
    return isIpv6(host) ? { host, isBracketed: true, port: port ?? null } : null;
  }
  const parts = text.split(":");
  const [host = "", port] = parts;
  return parts.length > 2 ? null : { host, isBracketed: false, port: port ?? null };
}

function portNumber(text: string): number | null {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : null;
}

/** Lower case, without the trailing dot; null when it is neither a DNS name nor an IPv4 literal. Underscores are seen in practice. */
function hostName(text: string): string | null {
  const name = text.toLowerCase().replace(/\.$/, "");
  if (name.length === 0 || name.length > 253) return null;
  // What looks like an IPv4 literal is one or a mistake: 10.0.0.256 is no name.
  if (/^[0-9.]+$/.test(name)) return isIpv4(name) ? name : null;
  const areLabels = name.split(".").every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
  return areLabels ? name : null;
}

/** What is expected of the listener's address. */
export const IP_EXPECTED = 'an IP address such as "0.0.0.0" or "::", without brackets and port';

/** An IP literal as it is bound. */
export function parseIp(text: string): Parsed<string> {
  if (isIpv4(text) || isIpv6(text)) return good(text.toLowerCase());
  const inner = /^\[(.*)\]$/.exec(text)?.[1];
  const isOnlyBracketed = inner !== undefined && isIpv6(inner);
  return bad(`${quoted(text)} is no IP address`, IP_EXPECTED, isOnlyBracketed ? inner : null);
}

/** What is expected of a route's host. */
export const HOST_EXPECTED = 'a host such as "example.org", or "*.example.org" for every name below it';

/** A route's host: lower case, without port and trailing dot; an IPv6 literal keeps its brackets, as in `:authority`. */
export function parseRouteHost(text: string): Parsed<string> {
  const trimmed = text.replace(/^[a-z0-9]+:\/\//i, "").replace(/[/?#].*$/, "");
  if (trimmed !== text)
    return bad(`${quoted(text)} is more than a host`, HOST_EXPECTED, parseRouteHost(trimmed).value ?? null);
  if (text === "*") return bad('"*" is no host', "host to be left out, which takes every host");
  const split = splitPort(text);
  if (split === null) return bad(`${quoted(text)} is no host`, HOST_EXPECTED);
  if (split.port !== null && portNumber(split.port) === null)
    return bad(`${quoted(text)} has no valid port`, HOST_EXPECTED);
  if (split.isBracketed) return good(`[${split.host.toLowerCase()}]`);
  return parseName(split.host, text, HOST_EXPECTED);
}

/** What is expected of a certificate's server name. */
export const SERVER_NAME_EXPECTED =
  'a name such as "example.org", or "*.example.org" for every name one level below it';

/** A name for SNI: lower case, no IP address (RFC 6066 3 forbids them), no port. */
export function parseServerName(text: string): Parsed<string> {
  if (isIpv4(text) || isIpv6(text)) return bad(`${quoted(text)} is an IP address`, SERVER_NAME_EXPECTED);
  return parseName(text, text, SERVER_NAME_EXPECTED);
}

/** What is expected of the name that backends' certificates are for. */
export const TLS_NAME_EXPECTED = 'one name such as "backend.example.org"';

/** A name for SNI towards backends: as `parseServerName`, and no wildcard, for it is asked for. */
export function parseTlsName(text: string): Parsed<string> {
  if (text.includes("*")) return bad(`${quoted(text)} is more than one name`, TLS_NAME_EXPECTED);
  if (isIpv4(text) || isIpv6(text)) return bad(`${quoted(text)} is an IP address`, TLS_NAME_EXPECTED);
  return parseName(text, text, TLS_NAME_EXPECTED);
}

function parseName(text: string, whole: string, expected: string): Parsed<string> {
  const isWildcard = text.startsWith("*.");
  const name = hostName(isWildcard ? text.slice(2) : text);
  if (text.slice(isWildcard ? 2 : 0).includes("*")) {
    return bad(`${quoted(whole)} has a * in the wrong place`, `${expected}; a * only as the whole first part`);
  }
  if (name === null && /[^\u0000-\u007f]/.test(text))
    return bad(`${quoted(whole)} is not ASCII`, "the name in its xn-- form");
  if (name === null || (isWildcard && isIpv4(name))) return bad(`${quoted(whole)} is no host`, expected);
  return good(isWildcard ? `*.${name}` : name);
}
