/** The static table of HPACK (RFC 7541, appendix A), in the forms that decoder and encoder look things up by. */
import { must } from "../core/assert.ts";
import { FIELD_ID_MAX, fieldIdOf, type FieldName } from "../core/field-names.ts";

/** Names, and values where the table has one; entry 1 comes first. */
const ENTRIES: readonly (readonly [name: FieldName, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** Entries of the static table; the dynamic table begins behind them. */
export const STATIC_COUNT = ENTRIES.length;

/** What an entry costs beyond its bytes, in the dynamic table and in the size of a field list (RFC 7541 4.1, RFC 9113 6.5.2). */
export const ENTRY_OVERHEAD_BYTES = 32;

/** A field with memory of its own: an entry of the static table or of a dynamic one. */
export class HpackEntry {
  /** Name and value back to back. */
  readonly bytes: Uint8Array;
  readonly nameLength: number;
  /** The name's number in `FIELD`; 0 for names that have none. */
  readonly nameId: number;
  /** Position among all entries that a dynamic table ever took; 0 in the static table. */
  readonly serial: number;

  constructor(bytes: Uint8Array, nameLength: number, nameId: number, serial: number) {
    this.bytes = bytes;
    this.nameLength = nameLength;
    this.nameId = nameId;
    this.serial = serial;
  }

  /** As the table's size counts it. */
  get sizeBytes(): number {
    return this.bytes.length + ENTRY_OVERHEAD_BYTES;
  }
}

/** Entry `i` at index `i`; a filler at 0, which no block may name. */
export const STATIC_ENTRIES: readonly HpackEntry[] = [
  new HpackEntry(new Uint8Array(0), 0, 0, 0),
  ...ENTRIES.map(([name, value]) => {
    const bytes = new TextEncoder().encode(name + value);
    return new HpackEntry(bytes, name.length, fieldIdOf(name), 0);
  }),
];

/** By name number: the index of the first static entry with this name, 0 for none. */
export const STATIC_NAME_INDEX = firstIndexes();

/** By name number: how many static entries with a value follow from the first on. */
export const STATIC_VALUE_COUNT = valueCounts();

function firstIndexes(): Uint8Array {
  const indexes = new Uint8Array(FIELD_ID_MAX);
  for (let i = STATIC_COUNT; i >= 1; i--) indexes[staticEntry(i).nameId] = i;
  indexes[0] = 0;
  return indexes;
}

function valueCounts(): Uint8Array {
  const counts = new Uint8Array(FIELD_ID_MAX);
  for (let i = 1; i <= STATIC_COUNT; i++) {
    const entry = staticEntry(i);
    if (entry.bytes.length > entry.nameLength) counts[entry.nameId] = (counts[entry.nameId] ?? 0) + 1;
  }
  return counts;
}

function staticEntry(i: number): HpackEntry {
  return must(STATIC_ENTRIES[i], "the static table has this entry");
}
