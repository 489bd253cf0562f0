/** Clients that are no transport of ours, to look at servers with: HTTP/1.1 as text on a socket, and `node:http2`. */
import { connect as connectHttp2, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Socket } from "node:net";
import type { RealServer } from "./real-server.ts";

/** What came back so far. */
export interface Seen {
  informational: number[];
  status: number;
  /** Names in small letters. */
  readonly fields: Map<string, string>;
  /** Latin1; HTTP/1.1 with its chunk lines. */
  body: string;
  /** Of HTTP/2; with HTTP/1.1 they stand at the end of `body`. */
  trailers: string;
  /** The end came, good or not. */
  ended: boolean;
}

/** One connection with one request at a time. */
export interface PlainClient {
  readonly seen: Seen;
  /** True once the server has announced or made the end of the connection. */
  readonly leaving: boolean;
  /** Sends a head; a body follows if `hasBody`. */
  request(method: string, path: string, hasBody?: boolean): void;
  body(text: string): void;
  /** Ends the body, with a field after it if given. */
  endBody(trailer?: readonly [name: string, value: string]): void;
  /** Resolves once `holds`, which is asked again whenever something has come. */
  until(holds: (seen: Seen) => boolean): Promise<void>;
  close(): void;
}

/** Connects. `caPem` is who signed the server's certificate. */
export async function plainClient(server: RealServer, caPem: string): Promise<PlainClient> {
  const isHttp2 = server.protocol === "h2" || server.protocol === "h2c";
  return isHttp2 ? new PlainHttp2(server, caPem) : new PlainHttp1(server, caPem);
}

class Watch {
  readonly #waiters = new Set<() => void>();

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  notify(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}

function nothingSeen(): Seen {
  return { informational: [], status: 0, fields: new Map(), body: "", trailers: "", ended: false };
}

class PlainHttp1 implements PlainClient {
  seen = nothingSeen();
  leaving = false;
  readonly #watch = new Watch();
  readonly #socket: Socket;
  #head = "";

  constructor({ port, protocol }: RealServer, ca: string) {
    const to = { host: "127.0.0.1", port };
    this.#socket = protocol === "http1" ? connectTcp(to) : connectTls({ ...to, ca, ALPNProtocols: ["http/1.1"] });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => this.#take(text));
    this.#socket.on("error", () => undefined);
    this.#socket.on("end", () => this.#end());
    this.#socket.on("close", () => this.#end());
  }

  request(method: string, path: string, hasBody = false): void {
    this.seen = nothingSeen();
    this.#head = "";
    const framing = hasBody ? "transfer-encoding: chunked\r\ntrailer: x-after\r\n" : "";
    this.#socket.write(`${method} ${path} HTTP/1.1\r\nhost: plain.example\r\n${framing}\r\n`);
  }

  body(text: string): void {
    this.#socket.write(`${text.length.toString(16)}\r\n${text}\r\n`);
  }

  endBody(trailer?: readonly [name: string, value: string]): void {
    this.#socket.write(`0\r\n${trailer === undefined ? "" : `${trailer.join(": ")}\r\n`}\r\n`);
  }

  until(holds: (seen: Seen) => boolean): Promise<void> {
    return this.#watch.until(() => holds(this.seen));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    if (this.seen.status === 0) {
      this.#head += text;
      this.#readHeads();
    } else this.seen.body += text;
    this.#watch.notify();
  }

  #readHeads(): void {
    for (let end = this.#head.indexOf("\r\n\r\n"); end >= 0; end = this.#head.indexOf("\r\n\r\n")) {
      const [line = "", ...fields] = this.#head.slice(0, end).split("\r\n");
      this.#head = this.#head.slice(end + 4);
      const status = Number(line.split(" ")[1]);
      if (status < 200) {
        this.seen.informational.push(status);
        continue;
      }
      this.seen.status = status;
      for (const field of fields) {
        const colon = field.indexOf(":");
        this.seen.fields.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
      }
      this.seen.body = this.#head;
      return;
    }
  }

  #end(): void {
    this.leaving = true;
    this.seen.ended = true;
    this.#watch.notify();
  }
}

class PlainHttp2 implements PlainClient {
  seen = nothingSeen();
  leaving = false;
  readonly #watch = new Watch();
  readonly #session: ClientHttp2Session;
  #stream: ClientHttp2Stream | null = null;
  #trailer: readonly [string, string] | null = null;

  constructor({ port, protocol }: RealServer, ca: string) {
    this.#session = connectHttp2(`${protocol === "h2" ? "https" : "http"}://127.0.0.1:${port}`, { ca });
    this.#session.on("error", () => undefined);
    for (const event of ["goaway", "close"]) {
      this.#session.on(event, () => {
        this.leaving = true;
        this.#watch.notify();
      });
    }
  }

  request(method: string, path: string, hasBody = false): void {
    const seen = nothingSeen();
    this.seen = seen;
    const headers = { ":method": method, ":path": path, ...(hasBody ? { trailer: "x-after" } : {}) };
    const stream = this.#session.request(headers, { endStream: !hasBody, waitForTrailers: hasBody });
    this.#stream = stream;
    this.#trailer = null;
    stream.setEncoding("latin1");
    stream.on("error", () => undefined);
    stream.on("headers", (head: IncomingHttpHeaders) => seen.informational.push(Number(head[":status"])));
    stream.on("response", (head: IncomingHttpHeaders) => {
      seen.status = Number(head[":status"]);
      for (const [name, value] of Object.entries(head)) seen.fields.set(name, String(value));
      this.#watch.notify();
    });
    stream.on("data", (text: string) => {
      seen.body += text;
      this.#watch.notify();
    });
    stream.on("trailers", (fields: IncomingHttpHeaders) => {
      seen.trailers = Object.entries(fields)
        .map(([name, value]) => `${name}: ${String(value)}\r\n`)
        .join("");
    });
    stream.on("wantTrailers", () => {
      if (this.#trailer === null) stream.close(constants.NGHTTP2_NO_ERROR);
      else stream.sendTrailers({ [this.#trailer[0]]: this.#trailer[1] });
    });
    for (const event of ["end", "close"]) {
      stream.on(event, () => {
        seen.ended = true;
        this.#watch.notify();
      });
    }
  }

  body(text: string): void {
    this.#stream?.write(text);
  }

  endBody(trailer?: readonly [name: string, value: string]): void {
    this.#trailer = trailer ?? null;
    this.#stream?.end();
  }

  until(holds: (seen: Seen) => boolean): Promise<void> {
    return this.#watch.until(() => holds(this.seen));
  }

  close(): void {
    this.#session.destroy();
  }
}
