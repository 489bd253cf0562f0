/** One log line as text, for programs (JSON) and for people (plain). No value can end a line or reach the terminal. */
import { LIMITS } from "../core/limits.ts";

/** What a field of a line may be. */
export type LogValue = string | number | boolean | null;
/** Fields of a line, in order. */
export type LogFields = Readonly<Record<string, LogValue>>;

/** Makes lines. */
export interface LineFormat {
  line(epochMs: number, level: string, msg: string, fields: LogFields): string;
}

/** Printable ASCII without quote and backslash needs no escape in JSON. */
const JSON_SAFE = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
/** What plain text shows as it is: no blanks, quotes, equals signs or anything beyond ASCII. */
const PLAIN_SAFE = /^[\x21\x23-\x3c\x3e-\x5b\x5d-\x7e]+$/;
/** C1 controls and DEL: terminals obey some of them, and JSON.stringify lets them pass; so with separators and what turns text around. */
const HIDDEN = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const UNPRINTABLE = /[\x00-\x1f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const LEVEL_WIDTH = 5;

/** A string in JSON's quotes, cut where it is too long for a line. */
export function quoteJson(text: string): string {
  if (text.length > LIMITS.logValueCharactersMax) return quoteJson(clipped(text));
  if (JSON_SAFE.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(HIDDEN, escapeUnit);
}

/** One JSON object a line. */
export const jsonFormat: LineFormat = {
  line(epochMs, level, msg, fields) {
    return `{"time":"${timeText(epochMs)}","level":"${level}","msg":${quoteJson(msg)}${jsonTail(fields)}}`;
  },
};

/** Fields behind others of a JSON object: a comma before each. */
export function jsonTail(fields: LogFields): string {
  let out = "";
  for (const name in fields) out += `,${quoteJson(name)}:${jsonValue(fields[name] ?? null)}`;
  return out;
}

/** The same for people: a blank before each, and no value that could be taken for two. */
export function plainTail(fields: LogFields): string {
  let out = "";
  for (const key in fields) out += ` ${plainKey(key)}=${plainValue(fields[key] ?? null)}`;
  return out;
}

/** The format whose lines all end with the same fields. */
export function formatWith(format: LineFormat, fields: LogFields): LineFormat {
  return { line: (epochMs, level, msg, own) => format.line(epochMs, level, msg, { ...own, ...fields }) };
}

/** `2026-01-02T03:04:05.678Z INFO  msg key=value`. With `colours` the level stands out on a terminal. */
export function plainFormat(colours: boolean): LineFormat {
  return {
    line(epochMs, level, msg, fields) {
      return `${timeText(epochMs)} ${levelText(level, colours)} ${printable(msg)}${plainTail(fields)}`;
    },
  };
}

/** A level as plain lines show it. */
export function levelText(level: string, colours: boolean): string {
  const name = level.toUpperCase().padEnd(LEVEL_WIDTH);
  return colours ? `${COLOURS[level] ?? ""}${name}\x1b[0m` : name;
}

/** A string as plain lines show it: in quotes where it has blanks, quotes or anything beyond ASCII, and cut where it is too long. */
export function plainText(text: string): string {
  return text.length <= LIMITS.logValueCharactersMax && PLAIN_SAFE.test(text) ? text : quoteJson(text);
}

/** RFC 3339 in UTC with milliseconds. */
export function timeText(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

const COLOURS: Readonly<Record<string, string>> = {
  error: "\x1b[31m",
  warn: "\x1b[33m",
  info: "\x1b[32m",
  debug: "\x1b[36m",
  trace: "\x1b[90m",
};

function jsonValue(value: LogValue): string {
  if (typeof value === "string") return quoteJson(value);
  if (typeof value === "number" && !Number.isFinite(value)) return "null";
  return String(value);
}

function plainValue(value: LogValue): string {
  return typeof value === "string" ? plainText(value) : String(value);
}

function plainKey(key: string): string {
  return PLAIN_SAFE.test(key) ? key : quoteJson(key);
}

/** A message in plain text keeps its blanks and quotes; only what could break the line is escaped. */
function printable(text: string): string {
  return (text.length > LIMITS.logValueCharactersMax ? clipped(text) : text).replace(UNPRINTABLE, escapeUnit);
}

function clipped(text: string): string {
  return `${text.slice(0, LIMITS.logValueCharactersMax - CUT.length)}${CUT}`;
}

const CUT = "...";

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
