/** The parser that node and its clients use, in its strict mode, as another opinion. The runtime keeps it behind an old door. */
import { createRequire } from "node:module";

/** What llhttp made of a message, in the words of `RecordingSink`; null when it refused it. */
export function readByLlhttp(text: string, method: string): string[] | null {
  const parser = new Parser();
  parser.initialize(Parser.RESPONSE, {}, 0, Parser.kLenientNone);
  const reading = new Reading(method === "HEAD");
  const calls: Record<number, unknown> = {
    [Parser.kOnHeaders]: (fields: string[]) => void reading.trailers.push(...fields),
    [Parser.kOnHeadersComplete]: (...parts: unknown[]) => reading.head(parts),
    [Parser.kOnBody]: (piece: Uint8Array) => reading.body(piece),
    [Parser.kOnMessageComplete]: () => reading.end(),
  };
  for (const [key, call] of Object.entries(calls)) Reflect.set(parser, key, call);
  const answer = parser.execute(Buffer.from(text, "latin1"));
  return typeof answer === "number" ? reading.events : null;
}

class Reading {
  readonly events: string[] = [];
  readonly trailers: string[] = [];
  readonly #toHead: boolean;
  #persists = false;
  #isFinal = false;

  constructor(toHead: boolean) {
    this.#toHead = toHead;
  }

  /** Major, minor, fields, method, target, status, reason, upgrade, keep-alive; 1 says that no body follows. */
  head(parts: readonly unknown[]): number {
    const fields = parts[2];
    const status = Number(parts[5]);
    this.#persists = parts[8] === true;
    this.#isFinal = status >= 200;
    const text = Array.isArray(fields) ? textOf(fields.map(String)) : "";
    this.events.push(this.#isFinal ? `head ${status}${text}` : `1xx ${status}${text}`);
    return this.#toHead && this.#isFinal ? 1 : 0;
  }

  body(piece: Uint8Array): void {
    const text = Buffer.from(piece).toString("latin1");
    const last = this.events.at(-1);
    if (last?.startsWith("data ") === true) this.events[this.events.length - 1] = last + text;
    else this.events.push(`data ${text}`);
  }

  end(): void {
    if (!this.#isFinal) return;
    if (this.trailers.length > 0) this.events.push(`trailers${textOf(this.trailers)}`);
    this.events.push(this.#persists ? "end reusable" : "end");
  }
}

function textOf(flat: readonly string[]): string {
  const fields: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    fields.push(`${(flat[i] ?? "").toLowerCase()}: ${(flat[i + 1] ?? "").replace(/^[ \t]+|[ \t]+$/g, "")}`);
  }
  return fields.length === 0 ? "" : ` ${fields.join(" | ")}`;
}

/** As much of it as is used here. */
interface LlhttpParser {
  initialize(kind: number, resource: object, headBytesMax: number, lenient: number): void;
  execute(bytes: Uint8Array): unknown;
}

interface LlhttpConstructor {
  new (): LlhttpParser;
  readonly RESPONSE: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
  readonly kLenientNone: number;
}

function isParser(value: unknown): value is LlhttpConstructor {
  return typeof value === "function" && "kOnHeadersComplete" in value;
}

function loadParser(): LlhttpConstructor {
  const loaded: unknown = createRequire(import.meta.url)("node:_http_common");
  const parser: unknown = typeof loaded === "object" && loaded !== null ? Reflect.get(loaded, "HTTPParser") : null;
  if (!isParser(parser)) throw new TypeError("this runtime has no HTTPParser in node:_http_common");
  return parser;
}

const Parser = loadParser();
