/** Good responses by chance: whole messages as a strict server may write them, with their method. */
import type { Random } from "../../../src/core/random.ts";

export interface GeneratedResponse {
  readonly method: "GET" | "HEAD";
  readonly text: string;
}

const TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const VALUE = `${TOKEN}"(),/:;<=>?@[\\]{}`;
const STATUSES = [200, 200, 200, 206, 301, 404, 500, 503, 299, 204, 304] as const;
/** Names with a meaning to a parser are not drawn by chance: they stand where they are wanted. */
const NAMES = ["Server", "date", "X-A", "ETag", "Set-Cookie", "Via", "content-type", "Cache-Control"] as const;

export class ResponseGenerator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): GeneratedResponse {
    const method = this.#random.nextBelow(8) === 0 ? "HEAD" : "GET";
    const status = this.#pick(STATUSES);
    const version = this.#random.nextBelow(6) === 0 ? "1.0" : "1.1";
    const interim = Array.from({ length: this.#random.nextBelow(3) }, () => {
      return `HTTP/1.1 ${this.#pick([100, 102, 103])} ${this.#text(VALUE, 6)}\r\n${this.#fields(3)}\r\n`;
    });
    const bodyless = method === "HEAD" || status === 204 || status === 304;
    const chunked = version === "1.1" && this.#random.nextBelow(2) === 0;
    const body = chunked ? this.#chunks() : this.#text(`${VALUE}\r\n\0`, 300);
    let framing = chunked ? this.#pick(["Transfer-Encoding: chunked", "transfer-encoding:CHUNKED "]) : "";
    if (!chunked) framing = `Content-Length: ${body.length}`;
    // Not on a 204: what is forbidden there, parsers treat in different ways.
    const fields = [...(status === 204 ? [] : [framing]), ...this.#connection()].map((field) => `${field}\r\n`);
    const head = `HTTP/${version} ${status} ${this.#text(VALUE, 12)}\r\n${this.#fields(6)}${fields.join("")}${this.#fields(4)}\r\n`;
    return { method, text: interim.join("") + head + (bodyless ? "" : body) };
  }

  #connection(): string[] {
    const options = this.#pick(["", "", "", "close", "keep-alive", "Keep-Alive", "x-a, Close", "x-a"]);
    return options === "" ? [] : [`Connection: ${options}`];
  }

  #fields(countMax: number): string {
    return Array.from({ length: this.#random.nextBelow(countMax + 1) }, () => {
      const name = this.#random.nextBelow(2) === 0 ? this.#pick(NAMES) : `Y${this.#text(TOKEN, 12)}`;
      const [before, behind] = [this.#pick(["", " ", "  ", "\t"]), this.#pick(["", "", " ", "\t "])];
      const value = this.#text(`${VALUE}\xe4\xff`, 30);
      const inside = value.length > 1 ? `${value.slice(0, 1)}${this.#pick(["", " ", " \t"])}${value.slice(1)}` : value;
      return `${name}:${before}${inside}${behind}\r\n`;
    }).join("");
  }

  #chunks(): string {
    const chunks = Array.from({ length: this.#random.nextBelow(5) }, () => {
      const data = this.#text(`${VALUE}\r\n`, 40) || "x";
      const size = data.length.toString(16);
      const cased = this.#random.nextBelow(2) === 0 ? size.toUpperCase() : size;
      return `${this.#pick(["", "", "0", "000"])}${cased}${this.#extension()}\r\n${data}\r\n`;
    });
    return `${chunks.join("")}0${this.#extension()}\r\n${this.#random.nextBelow(3) === 0 ? this.#fields(3) : ""}\r\n`;
  }

  #extension(): string {
    return this.#pick(["", "", "", ";a", ";ab=cd", ';x="y z";q']);
  }

  #text(alphabet: string, lengthMax: number): string {
    const length = this.#random.nextBelow(lengthMax + 1);
    let text = "";
    for (let i = 0; i < length; i++) text += alphabet.charAt(this.#random.nextBelow(alphabet.length));
    return text;
  }

  #pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.#random.nextBelow(choices.length)] ?? choices[0];
  }
}

/** The bytes in one to five pieces. */
export function cutAtRandom(bytes: Uint8Array, random: Random): Uint8Array[] {
  const places = Array.from({ length: random.nextBelow(5) }, () => random.nextBelow(bytes.length + 1));
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const place of [...places.sort((a, b) => a - b), bytes.length]) {
    pieces.push(bytes.slice(at, place));
    at = place;
  }
  return pieces;
}
