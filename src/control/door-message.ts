/**
 * Requests and answers of a door in HTTP/1.1 (RFC 9112), as far as those who ask for metrics or health need it: GET and HEAD without a
 * body. Pure.
 */

/** What somebody asks for. */
export interface DoorRequest {
  readonly isHead: boolean;
  /** As it was sent, without its query. */
  readonly path: string;
  /** Behind the `?`; "" for none. */
  readonly query: string;
  /** Values by their names in lower case; what came several times is joined as a list. */
  readonly fields: ReadonlyMap<string, string>;
  /** The connection is of use afterwards. */
  readonly isLasting: boolean;
}

/** What it is answered. */
export interface DoorAnswer {
  readonly status: number;
  /** Media type with its parameters. */
  readonly type: string;
  readonly body: string;
  /** Further fields. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** Answers what is asked at one path. */
export type DoorHandler = (request: DoorRequest) => DoorAnswer;

/** No request that is taken: the status that says why. */
export interface DoorRefusal {
  readonly refusal: 400 | 405 | 431 | 501 | 505;
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [200, "OK"],
  [400, "Bad Request"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [431, "Request Header Fields Too Large"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [503, "Service Unavailable"],
  [505, "HTTP Version Not Supported"],
]);

/** Where a head ends: behind its empty line; -1 while that has not come. A line may end in LF alone (RFC 9112 2.2). */
export function endOfHead(text: string): number {
  const end = /\r?\n\r?\n/.exec(text);
  return end === null ? -1 : end.index + end[0].length;
}

/** A request from its head. */
export function readDoorRequest(head: string): DoorRequest | DoorRefusal {
  const [line = "", ...rest] = head.trimEnd().split(/\r?\n/);
  const [, method = "", target = "", version = ""] = /^([!#$%&'*+.^_`|~\w-]+) (\S+) HTTP\/(\d\.\d)$/.exec(line) ?? [];
  if (method === "") return { refusal: 400 };
  if (!version.startsWith("1.")) return { refusal: 505 };
  const fields = readFields(rest);
  if (fields === null) return { refusal: 400 };
  const host = fields.get("host");
  // One and only one (RFC 9112 3.2); a list of several has a comma, which no host has.
  if (host === undefined ? version !== "1.0" : host.includes(",")) return { refusal: 400 };
  if (METHODS_ELSEWHERE.includes(method)) return { refusal: 405 };
  if (method !== "GET" && method !== "HEAD") return { refusal: 501 };
  const [, place] = /^(?:https?:\/\/[^/?#]*)?(\/[^#]*|)$/i.exec(target) ?? [];
  if (place === undefined) return { refusal: 400 };
  const question = place.indexOf("?");
  const path = question < 0 ? place : place.slice(0, question);
  return {
    isHead: method === "HEAD",
    path: path === "" ? "/" : path,
    query: question < 0 ? "" : place.slice(question + 1),
    fields,
    isLasting:
      version !== "1.0" && !hasBody(fields) && !/(?:^|[\s,])close(?:$|[\s,])/i.test(fields.get("connection") ?? ""),
  };
}

/** Methods that exist, and not here. */
const METHODS_ELSEWHERE = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

/** Nobody reads it here, so that what follows would be taken for the next request. */
function hasBody(fields: ReadonlyMap<string, string>): boolean {
  return fields.has("transfer-encoding") || (fields.get("content-length") ?? "0") !== "0";
}

function readFields(lines: readonly string[]): ReadonlyMap<string, string> | null {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name, value = ""] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\0\r]*)$/.exec(line) ?? [];
    if (name === undefined) return null;
    const key = name.toLowerCase();
    const before = fields.get(key);
    fields.set(key, before === undefined ? value.trimEnd() : `${before}, ${value.trimEnd()}`);
  }
  return fields;
}

/** An answer as its bytes. `isLasting`: the connection is of use afterwards. */
export function writeDoorAnswer(
  answer: DoorAnswer,
  { isHead, isLasting, epochMs }: { readonly isHead: boolean; readonly isLasting: boolean; readonly epochMs: number },
): Uint8Array {
  const encoder = new TextEncoder();
  const body = encoder.encode(answer.body);
  const fields = {
    date: new Date(epochMs).toUTCString(),
    "content-type": answer.type,
    "content-length": String(body.length),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    connection: isLasting ? "keep-alive" : "close",
    ...answer.fields,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = encoder.encode(
    `HTTP/1.1 ${answer.status} ${REASONS.get(answer.status) ?? "-"}\r\n${lines.join("")}\r\n`,
  );
  if (isHead) return head;
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/** What is wrong, in plain words. */
export function plainAnswer(status: number, fields: Readonly<Record<string, string>> = {}): DoorAnswer {
  return { status, type: "text/plain; charset=utf-8", body: `${status} ${REASONS.get(status) ?? "-"}\n`, fields };
}
