/** A TCP (or TLS) server that plays a script of bytes and records what it gets: for answers that no HTTP library would send. */
import { afterAll } from "bun:test";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { listen } from "./backend-tcp.ts";

/** One step of a script. After the last step the connection stays open and is still recorded. */
export type RawStep =
  /** Waits until the bytes received since the last read step contain this; later steps see what follows it. */
  | { readonly read: string | Uint8Array }
  | { readonly readBytes: number }
  | { readonly send: string | Uint8Array }
  /** Waits for `release()`. */
  | { readonly hold: true }
  /** Orderly end, or a TCP reset (over TLS: an end without close_notify). */
  | { readonly end: "fin" | "reset" };

/** What to start. */
export interface RawBackendOptions {
  /** Steps for the n-th connection, from 0. Strings are latin1. */
  readonly script: (connection: number) => readonly RawStep[];
  /** Speaks TLS, offering these ALPN protocols. */
  readonly tls?: { readonly certPem: string; readonly keyPem: string; readonly alpn: readonly string[] };
  readonly host?: string;
  readonly port?: number;
}

/** A running one. It stops at the end of the test, group or file that started it. */
export interface RawBackend {
  readonly port: number;
  /** `host:port`. */
  readonly bareAddress: string;
  /** One entry for each connection so far. */
  readonly connections: readonly RawConnection[];
  release(): void;
  stop(): Promise<void>;
}

/** One connection, recorded. */
export class RawConnection {
  readonly #pieces: Uint8Array[] = [];
  readonly #socket: Socket;
  #unread = Buffer.alloc(0);
  #wake: (() => void) | null = null;
  /** True when the other side has ended or reset the connection. */
  ended = false;
  /** Resolves then. */
  readonly end: Promise<void>;
  readonly #endSeen = Promise.withResolvers<void>();
  /** Resolves when the script has been played to its end or the other side has gone. */
  readonly played: Promise<void>;

  constructor(socket: Socket, steps: readonly RawStep[], released: () => Promise<void>) {
    this.#socket = socket;
    this.end = this.#endSeen.promise;
    socket.on("data", (piece: Uint8Array) => {
      this.#pieces.push(piece);
      this.#unread = Buffer.concat([this.#unread, piece]);
      this.#wake?.();
    });
    for (const event of ["end", "close", "error"]) socket.on(event, () => this.#end());
    this.played = this.#play(steps, released);
  }

  /** Everything received, as latin1 text. */
  get text(): string {
    return this.bytes.toString("latin1");
  }

  /** Everything received. */
  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #play(steps: readonly RawStep[], released: () => Promise<void>): Promise<void> {
    for (const step of steps) {
      if ("read" in step) await this.#readUntil(bytesOf(step.read));
      else if ("readBytes" in step) await this.#readBytes(step.readBytes);
      else if ("send" in step) await this.#send(bytesOf(step.send));
      else if ("hold" in step) await released();
      else if (step.end === "fin") this.#socket.end();
      else if ("encrypted" in this.#socket) this.#socket.destroy();
      else this.#socket.resetAndDestroy();
    }
  }

  async #readUntil(mark: Uint8Array): Promise<void> {
    for (let at = this.#unread.indexOf(mark); ; at = this.#unread.indexOf(mark)) {
      if (at >= 0) this.#unread = this.#unread.subarray(at + mark.length);
      if (at >= 0 || this.ended) return;
      await this.#more();
    }
  }

  async #readBytes(count: number): Promise<void> {
    while (this.#unread.length < count && !this.ended) await this.#more();
    this.#unread = this.#unread.subarray(count);
  }

  #send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#socket.write(bytes, () => resolve()));
  }

  #more(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  #end(): void {
    this.ended = true;
    this.#endSeen.resolve();
    this.#wake?.();
  }
}

/** Starts it. */
export async function startRawBackend(options: RawBackendOptions): Promise<RawBackend> {
  const host = options.host ?? "127.0.0.1";
  const connections: RawConnection[] = [];
  let gate = Promise.withResolvers<void>();
  const accept = (socket: Socket) => {
    connections.push(new RawConnection(socket, options.script(connections.length), () => gate.promise));
  };
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer({ allowHalfOpen: true }, accept)
      : createTlsServer({ cert: tls.certPem, key: tls.keyPem, ALPNProtocols: [...tls.alpn] }, accept);
  const port = await listen(server, { host, port: options.port ?? 0 });
  const release = () => {
    gate.resolve();
    gate = Promise.withResolvers<void>();
  };
  const stop = () => {
    release();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    for (const connection of connections) connection.destroy();
    return promise;
  };
  afterAll(stop);
  return { port, bareAddress: `${host.includes(":") ? `[${host}]` : host}:${port}`, connections, release, stop };
}

function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? Buffer.from(value, "latin1") : value;
}
