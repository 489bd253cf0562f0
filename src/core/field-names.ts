/**
 * Names of well-known fields as small numbers, found from bytes without making a string. One table serves the request
 * validator, the hop-by-hop filter and the header compressors of the upstream side.
 */
import { assert } from "./assert.ts";

/** Every name that has a number. The numbers live only in memory: they may change between versions. */
export const FIELD = {
  // Pseudo-fields (RFC 9114 4.3, RFC 9220).
  ":authority": 1,
  ":method": 2,
  ":path": 3,
  ":scheme": 4,
  ":status": 5,
  ":protocol": 6,
  // Fields with rules of their own in a request head.
  host: 7,
  "content-length": 8,
  te: 9,
  cookie: 10,
  // Fields of one connection only (RFC 9110 7.6.1, RFC 9114 4.2).
  connection: 11,
  "keep-alive": 12,
  "proxy-connection": 13,
  "transfer-encoding": 14,
  upgrade: 15,
  "http2-settings": 16,
  // Fields a proxy writes, rewrites or takes out.
  trailer: 17,
  via: 18,
  forwarded: 19,
  "x-forwarded-for": 20,
  "x-forwarded-proto": 21,
  "x-forwarded-host": 22,
  "x-forwarded-port": 23,
  "x-forwarded-prefix": 24,
  "x-forwarded-server": 25,
  "x-forwarded-scheme": 26,
  "x-forwarded-ssl": 27,
  "x-real-ip": 28,
  "x-request-id": 29,
  traceparent: 30,
  tracestate: 31,
  baggage: 32,
  "alt-svc": 33,
  "early-data": 34,
  expect: 35,
  proxy: 36,
  "proxy-authenticate": 37,
  "proxy-authorization": 38,
  "proxy-authentication-info": 39,
  // The rest of the HPACK and QPACK static tables, and what browsers and gRPC send often.
  accept: 40,
  "accept-charset": 41,
  "accept-encoding": 42,
  "accept-language": 43,
  "accept-ranges": 44,
  "access-control-allow-credentials": 45,
  "access-control-allow-headers": 46,
  "access-control-allow-methods": 47,
  "access-control-allow-origin": 48,
  "access-control-expose-headers": 49,
  "access-control-max-age": 50,
  "access-control-request-headers": 51,
  "access-control-request-method": 52,
  age: 53,
  allow: 54,
  "authentication-info": 55,
  authorization: 56,
  "cache-control": 57,
  "content-disposition": 58,
  "content-encoding": 59,
  "content-language": 60,
  "content-location": 61,
  "content-range": 62,
  "content-security-policy": 63,
  "content-type": 64,
  date: 65,
  dnt: 66,
  etag: 67,
  "expect-ct": 68,
  expires: 69,
  from: 70,
  "grpc-accept-encoding": 71,
  "grpc-encoding": 72,
  "grpc-message": 73,
  "grpc-status": 74,
  "grpc-timeout": 75,
  "if-match": 76,
  "if-modified-since": 77,
  "if-none-match": 78,
  "if-range": 79,
  "if-unmodified-since": 80,
  "last-modified": 81,
  link: 82,
  location: 83,
  "max-forwards": 84,
  origin: 85,
  pragma: 86,
  priority: 87,
  purpose: 88,
  range: 89,
  referer: 90,
  "referrer-policy": 91,
  refresh: 92,
  "retry-after": 93,
  "sec-ch-ua": 94,
  "sec-ch-ua-mobile": 95,
  "sec-ch-ua-platform": 96,
  "sec-fetch-dest": 97,
  "sec-fetch-mode": 98,
  "sec-fetch-site": 99,
  "sec-fetch-user": 100,
  server: 101,
  "server-timing": 102,
  "set-cookie": 103,
  "strict-transport-security": 104,
  "timing-allow-origin": 105,
  "upgrade-insecure-requests": 106,
  "user-agent": 107,
  vary: 108,
  warning: 109,
  "www-authenticate": 110,
  "x-content-type-options": 111,
  "x-frame-options": 112,
  "x-powered-by": 113,
  "x-requested-with": 114,
  "x-xss-protection": 115,
  // What clients have shown (RFC 9440).
  "client-cert": 116,
  "client-cert-chain": 117,
} as const;

/** A name that has a number. */
export type FieldName = keyof typeof FIELD;

/** The number of every other name. */
export const UNKNOWN_FIELD = 0;

/** Numbers are smaller than this, so a table of this length indexed by them needs no bounds check. */
export const FIELD_ID_MAX = 256;

/** A bound for those who walk pseudo-fields by number: theirs are 1 to this. */
export const PSEUDO_FIELD_LAST = FIELD[":protocol"];

const NAME_OF = namesById();
/** Bytes of all names back to back; name `id` lies from `NAME_AT[id]` to `NAME_AT[id + 1]`. */
const NAME_AT = nameOffsets();
const NAME_BYTES = nameBytes();
const SLOTS = 1024;
/** Open addressing, 0 is a free slot. 115 names in 1,024 slots: all but two of them lie where their hash says. */
const ID_IN_SLOT = slotTable();
const ID_OF = new Map<string, number>(Object.entries(FIELD));

/** The number of the name in `bytes` from `at`, `length` bytes long; 0 when it is not in the table. Case matters. */
export function fieldIdOfBytes(bytes: Uint8Array, at: number, length: number): number {
  if (length === 0) return UNKNOWN_FIELD;
  let slot = slotOf(bytes, at, length);
  for (;;) {
    const id = ID_IN_SLOT[slot] ?? 0;
    if (id === 0 || isName(id, bytes, at, length)) return id;
    slot = (slot + 1) & (SLOTS - 1);
  }
}

/** The number of a name; 0 when it is not in the table. For set-up, not for the request path. */
export function fieldIdOf(name: string): number {
  return ID_OF.get(name) ?? UNKNOWN_FIELD;
}

/** The name of a number, without a new string; empty for 0 and for numbers that name nothing. */
export function fieldNameOf(id: number): string {
  return NAME_OF[id] ?? "";
}

/** A set of names as a table indexed by number: 1 is a member. */
export function fieldSet(names: readonly FieldName[]): Uint8Array {
  const members = new Uint8Array(FIELD_ID_MAX);
  for (const name of names) members[FIELD[name]] = 1;
  return members;
}

/** Length, middle, last and third last byte tell all names apart but two pairs; the factors were searched for few collisions. */
function slotOf(bytes: Uint8Array, at: number, length: number): number {
  const middle = bytes[at + (length >> 1)] ?? 0;
  const last = bytes[at + length - 1] ?? 0;
  const third = bytes[length > 2 ? at + length - 3 : at] ?? 0;
  return (length + 2 * middle + 14 * last + 49 * third) & (SLOTS - 1);
}

function isName(id: number, bytes: Uint8Array, at: number, length: number): boolean {
  const nameAt = NAME_AT[id] ?? 0;
  if ((NAME_AT[id + 1] ?? 0) - nameAt !== length) return false;
  for (let i = 0; i < length; i++) {
    if (bytes[at + i] !== NAME_BYTES[nameAt + i]) return false;
  }
  return true;
}

function namesById(): readonly string[] {
  const names = new Array<string>(FIELD_ID_MAX).fill("");
  for (const [name, id] of Object.entries(FIELD)) {
    assert(id > 0 && id < FIELD_ID_MAX - 1 && names[id] === "", `field number ${id} is free and in range`);
    names[id] = name;
  }
  return names;
}

function nameOffsets(): Uint16Array {
  const offsets = new Uint16Array(FIELD_ID_MAX + 1);
  NAME_OF.forEach((name, id) => (offsets[id + 1] = (offsets[id] ?? 0) + name.length));
  return offsets;
}

function nameBytes(): Uint8Array {
  return new TextEncoder().encode(NAME_OF.join(""));
}

function slotTable(): Uint8Array {
  const table = new Uint8Array(SLOTS);
  for (let id = 1; id < FIELD_ID_MAX; id++) {
    const at = NAME_AT[id] ?? 0;
    const length = (NAME_AT[id + 1] ?? 0) - at;
    if (length === 0) continue;
    let slot = slotOf(NAME_BYTES, at, length);
    while (table[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
    table[slot] = id;
  }
  return table;
}
