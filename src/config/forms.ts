/** The forms that texts of a configuration take: each has a parser, whose value the snapshot uses, and a line on what is expected. */
import {
  BACKEND_ADDRESS_EXPECTED,
  HOST_EXPECTED,
  IP_EXPECTED,
  SERVER_NAME_EXPECTED,
  TLS_NAME_EXPECTED,
  parseBackendAddress,
  parseIp,
  parseRouteHost,
  parseServerName,
  parseTlsName,
} from "./address.ts";
import { CIDR_EXPECTED, parseCidr } from "./cidr.ts";
import { authorityFault } from "../core/authority.ts";
import { fieldIdOf, UNKNOWN_FIELD } from "../core/field-names.ts";
import { LIMITS } from "../core/limits.ts";
import { isSafe } from "../core/methods.ts";
import { nearest } from "./nearest.ts";
import { bad, good } from "./parsed.ts";
import type { Parsed } from "./parsed.ts";
import { comparablePath } from "../route/path.ts";
import { targetFault } from "../route/target.ts";
import { quoted } from "./problem.ts";
import type { HashKey } from "./snapshot.ts";

/** One form. */
interface Form {
  readonly expected: string;
  readonly parse: (text: string) => Parsed<unknown>;
}

const FILE_EXPECTED = "the path of a file";
const SOCKET_EXPECTED = `auto, off, or a path that begins with "/" and has at most ${LIMITS.controlPathBytesMax} bytes`;
const FOLDER_EXPECTED = "the path of a folder";
const NAME_EXPECTED = "a name of 1 to 128 characters";
const PREFIX_EXPECTED = 'a path that begins with "/", such as "/api"';
const PROBE_EXPECTED = 'a path that begins with "/", such as "/health"';
const DOOR_PATH_EXPECTED = 'a path of letters, digits and "-._~/" that begins with "/", such as "/health"';
const FIELD_NAME_EXPECTED = 'the name of a header, such as "user-agent"';
const AUTHORITY_EXPECTED = 'a host with or without port, such as "app.internal" or "app.internal:8080"';
const NODE_ID_EXPECTED = "2 to 16 hexadecimal digits, two for each byte";
const METHOD_EXPECTED = 'one HTTP method, such as "GET"';
const SAFE_METHOD_EXPECTED = "GET, HEAD, OPTIONS or TRACE (RFC 9110 9.2.1)";
const CLIENT_HEADER_EXPECTED = 'off, or a field name of its own, such as "Client-Cert" or "X-Client-Subject"';
const HASH_KEY_EXPECTED = "one of client_ip, header:<name>, cookie:<name>, query:<name>, path, authority, method, cid";

/** All forms by name; the schema refers to them. */
export const FORMS = {
  ip: { expected: IP_EXPECTED, parse: parseIp },
  file: { expected: FILE_EXPECTED, parse: (text) => parseFile(text, FILE_EXPECTED) },
  "control-socket": { expected: SOCKET_EXPECTED, parse: parseControlSocket },
  folder: { expected: FOLDER_EXPECTED, parse: (text) => parseFile(text, FOLDER_EXPECTED) },
  name: { expected: NAME_EXPECTED, parse: parseName },
  "tls-name": { expected: TLS_NAME_EXPECTED, parse: parseTlsName },
  "server-name": { expected: SERVER_NAME_EXPECTED, parse: parseServerName },
  host: { expected: HOST_EXPECTED, parse: parseRouteHost },
  authority: { expected: AUTHORITY_EXPECTED, parse: parseAuthorityText },
  cidr: { expected: CIDR_EXPECTED, parse: parseCidr },
  "path-prefix": { expected: PREFIX_EXPECTED, parse: parsePathPrefix },
  "probe-path": { expected: PROBE_EXPECTED, parse: parseProbePath },
  "door-path": { expected: DOOR_PATH_EXPECTED, parse: parseDoorPath },
  "field-name": { expected: FIELD_NAME_EXPECTED, parse: parseFieldName },
  "node-id": { expected: NODE_ID_EXPECTED, parse: parseNodeIdText },
  method: { expected: METHOD_EXPECTED, parse: parseMethod },
  "safe-method": { expected: SAFE_METHOD_EXPECTED, parse: parseSafeMethod },
  "backend-address": { expected: BACKEND_ADDRESS_EXPECTED, parse: parseBackendAddress },
  "client-header": { expected: CLIENT_HEADER_EXPECTED, parse: parseClientHeader },
  "hash-key": { expected: HASH_KEY_EXPECTED, parse: parseHashKey },
} as const satisfies Record<string, Form>;

/** A form's name. */
export type FormName = keyof typeof FORMS;

/** Absolute, since those who look for it are in other folders than the program that made it. */
function parseControlSocket(text: string): Parsed<string> {
  if (text === "auto" || text === "off") return good(text);
  if (!text.startsWith("/") || text.endsWith("/")) return bad(`${quoted(text)} is no such path`, SOCKET_EXPECTED);
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > LIMITS.controlPathBytesMax) return bad(`the path has ${bytes} bytes`, SOCKET_EXPECTED);
  return parseFile(text, SOCKET_EXPECTED);
}

function parseFile(text: string, expected: string): Parsed<string> {
  if (text === "") return bad("is an empty text", expected);
  return hasControls(text) ? bad(`${quoted(text)} has control characters`, expected) : good(text);
}

/** Names of pools and backends stand in logs and metrics. */
function parseName(text: string): Parsed<string> {
  if (text === "") return bad("is an empty name", NAME_EXPECTED);
  if (hasControls(text)) return bad(`the name ${quoted(text)} has control characters`, NAME_EXPECTED);
  return text.length > 128 ? bad(`the name ${quoted(text)} is too long`, NAME_EXPECTED) : good(text);
}

/** A node's number in its cluster. */
function parseNodeIdText(text: string): Parsed<string> {
  return /^([0-9a-f]{2}){1,8}$/i.test(text)
    ? good(text.toLowerCase())
    : bad(`${quoted(text)} is no id of a node`, NODE_ID_EXPECTED);
}

function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

/**
 * A route's prefix in the form that paths are compared in, so that two spellings of one are found to be one: `/caf%c3%a9` is
 * `/caf%C3%A9`, and `/api/` is `/api`, because prefixes match on segment borders.
 */
export function parsePathPrefix(text: string): Parsed<string> {
  const fault = pathFault(text, PREFIX_EXPECTED);
  if (fault !== null) return fault;
  if (/[?#]/.test(text)) return bad(`${quoted(text)} has a query or a fragment`, PREFIX_EXPECTED);
  const trimmed = text.replace(/\/+$/, "") || "/";
  if (text.endsWith("/*")) {
    return bad(
      `${quoted(text)} ends in a *`,
      "the prefix alone, which takes every path below it",
      text.slice(0, -2) || "/",
    );
  }
  const hasDots = trimmed.split("/").some((segment) => segment === "." || segment === "..");
  if (hasDots) return bad(`${quoted(text)} has a "." or ".." segment`, PREFIX_EXPECTED);
  if (text.includes(";"))
    return bad(`${quoted(text)} has a parameter`, "a path without ;parameters, which routes are compared without");
  const bytes = new TextEncoder().encode(trimmed);
  const escapeFault = targetFault(bytes, 0, bytes.length);
  if (escapeFault !== null) return bad(`${quoted(text)} is refused in requests (${escapeFault})`, PREFIX_EXPECTED);
  return good(comparablePath(trimmed).replace(/(.)\/$/, "$1"));
}

/** Path and query that a health check asks for. */
export function parseProbePath(text: string): Parsed<string> {
  const fault = pathFault(text, PROBE_EXPECTED);
  if (fault !== null) return fault;
  return text.includes("#") ? bad(`${quoted(text)} has a fragment`, PROBE_EXPECTED) : good(text);
}

/** In lower case, as HTTP/3 sends it. */
export function parseFieldName(text: string): Parsed<string> {
  const isOne = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
  return isOne ? good(text.toLowerCase()) : bad(`${quoted(text)} is no such name`, FIELD_NAME_EXPECTED);
}

function parseDoorPath(text: string): Parsed<string> {
  const isOne = /^\/[A-Za-z0-9\-._~/]*$/.test(text);
  return isOne ? good(text) : bad(`${quoted(text)} is no such path`, DOOR_PATH_EXPECTED);
}

function pathFault(text: string, expected: string): ReturnType<typeof bad> | null {
  if (text === "") return bad("is an empty text", expected);
  if (!text.startsWith("/")) return bad(`${quoted(text)} does not begin with "/"`, expected);
  if (/[\s\p{Cc}]/u.test(text)) return bad(`${quoted(text)} has a blank or a control character`, expected);
  // Requests carry such characters percent-encoded, so as written it would never match.
  if (/[^\u0000-\u007f]/.test(text)) return bad(`${quoted(text)} is not ASCII`, "the path percent-encoded in UTF-8");
  return null;
}

/** Host towards backends, lower case. */
export function parseAuthorityText(text: string): Parsed<string> {
  const bytes = new TextEncoder().encode(text);
  const fault = authorityFault(bytes, 0, bytes.length);
  return fault === null ? good(text.toLowerCase()) : bad(`${quoted(text)} is no host`, AUTHORITY_EXPECTED);
}

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Upper case. */
export function parseMethod(text: string): Parsed<string> {
  return TOKEN.test(text) ? good(text.toUpperCase()) : bad(`${quoted(text)} is no HTTP method`, METHOD_EXPECTED);
}

/** Upper case. What clients send early may be played again by others, so nothing may be done twice by it. */
export function parseSafeMethod(text: string): Parsed<string> {
  const { value } = parseMethod(text);
  return value !== undefined && isSafe(value)
    ? good(value)
    : bad(`${quoted(text)} is no safe method`, SAFE_METHOD_EXPECTED);
}

/** A name as it is sent in a query: visible ASCII without `#`, `&` and `=`, which stand percent-encoded. */
const QUERY_NAME = /^[!"$%'-<>-~]+$/;

const PLAIN_HASH_KEYS = ["client_ip", "path", "authority", "method", "cid"] as const;
const NAMED_HASH_KEYS = ["header", "cookie", "query"] as const;

/** What a consistent hash is taken over. Names of header fields are lower-cased, those of cookies and queries are not. */
export function parseHashKey(text: string): Parsed<HashKey> {
  if (text === "peer_ip") return good({ kind: "client_ip" });
  for (const kind of PLAIN_HASH_KEYS) if (text === kind) return good({ kind });
  if (text === "bearer_token") {
    return bad('"bearer_token" is known from the original, not supported yet', HASH_KEY_EXPECTED);
  }
  for (const kind of NAMED_HASH_KEYS) {
    if (text === kind) return bad(`${quoted(text)} has no name`, `${kind}:<name>`);
    if (!text.startsWith(`${kind}:`)) continue;
    const name = text.slice(kind.length + 1);
    const isName = kind === "query" ? QUERY_NAME.test(name) : TOKEN.test(name);
    if (!isName) return bad(`${quoted(text)} has no valid name`, `${kind}:<name>`);
    return good({ kind, name: kind === "header" ? name.toLowerCase() : name });
  }
  const near = nearest(text, [...PLAIN_HASH_KEYS, "peer_ip"])?.word ?? null;
  return bad(`${quoted(text)} is nothing to hash`, HASH_KEY_EXPECTED, near);
}

/** A name in lower case, or null for `off`. Fields that mean something else to us or to backends are not to be had. */
export function parseClientHeader(text: string): Parsed<string | null> {
  if (text === "off") return good(null);
  if (!TOKEN.test(text) || text.includes("_")) return bad(`${quoted(text)} is no such name`, CLIENT_HEADER_EXPECTED);
  const name = text.toLowerCase();
  const isTaken = fieldIdOf(name) !== UNKNOWN_FIELD && !name.startsWith("client-cert");
  return isTaken ? bad(`${quoted(text)} has a meaning of its own`, CLIENT_HEADER_EXPECTED) : good(name);
}
