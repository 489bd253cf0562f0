/** Byte streams over `node:net` and `node:tls`: for Deno. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { ProxyError } from "../core/error.ts";
import { brokenStream, connectError, connectTimeout, tlsError } from "./stream-errors.ts";
import {
  type ByteStream,
  type ConnectStream,
  type StreamAttempt,
  type StreamTarget,
  type StreamUser,
  targetText,
} from "./streams.ts";

/** Connects through Node's interfaces. */
export const connectNodeStream: ConnectStream = (target, user) => new NodeStream(target, user);

class NodeStream implements ByteStream, StreamAttempt {
  readonly #target: StreamTarget;
  readonly #user: StreamUser;
  readonly #socket: Socket | TLSSocket;
  #phase: "connecting" | "open" | "over" = "connecting";
  #timer: ReturnType<typeof setTimeout> | null;

  constructor(target: StreamTarget, user: StreamUser) {
    this.#target = target;
    this.#user = user;
    this.#timer = setTimeout(() => this.#end(connectTimeout(this.#where)), target.connectTimeoutMs);
    this.#socket = open(target);
    this.#socket.setNoDelay(true);
    this.#socket.once(target.tls === null ? "connect" : "secureConnect", () => this.#open());
    this.#socket.on("data", (bytes: Uint8Array) => {
      if (this.#phase === "open") this.#user.onData(bytes);
    });
    this.#socket.on("drain", () => {
      if (this.#phase === "open") this.#user.onDrain();
    });
    this.#socket.once("error", (error) => this.#onError(error));
    this.#socket.once("close", () => this.#end(null));
  }

  get alpn(): string | null {
    const chosen: unknown = Reflect.get(this.#socket, "alpnProtocol");
    return typeof chosen === "string" && chosen !== "" ? chosen : null;
  }

  /** Node takes everything and buffers it; what it could not send counts as taken, and `onDrain` says when to go on. */
  write(bytes: Uint8Array, at: number, end: number): number {
    if (this.#phase !== "open" || this.#socket.writableNeedDrain) return 0;
    this.#socket.write(bytes.slice(at, end));
    return end - at;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#end(null);
  }

  abandon(): void {
    this.#settle();
    this.#socket.destroy();
  }

  get #where(): string {
    return targetText(this.#target);
  }

  #open(): void {
    if (this.#phase !== "connecting") return;
    this.#phase = "open";
    this.#stopTimer();
    this.#user.onOpen(this);
  }

  #onError(error: Error): void {
    if (this.#phase === "open") return this.#end(brokenStream(error, this.#where));
    const reached = this.#target.tls !== null && this.#socket.remoteAddress !== undefined;
    this.#end(reached ? tlsError(error, this.#where) : connectError(error, this.#where));
  }

  #end(error: ProxyError | null): void {
    if (!this.#settle()) return;
    this.#socket.destroy();
    this.#user.onClose(error);
  }

  #settle(): boolean {
    this.#stopTimer();
    if (this.#phase === "over") return false;
    this.#phase = "over";
    return true;
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

function open({ host, port, tls }: StreamTarget): Socket | TLSSocket {
  const address = port === 0 ? { path: host } : { host, port };
  if (tls === null) return connectTcp(address);
  const { trust, serverName, alpn } = tls;
  return connectTls({
    ...address,
    ...(trust.roots === null ? {} : { ca: [...trust.roots] }),
    ...(trust.client === null ? {} : { cert: trust.client.chainPem, key: trust.client.keyPem }),
    ...(serverName === null ? {} : { servername: serverName }),
    rejectUnauthorized: trust.verify,
    ALPNProtocols: [...alpn],
  });
}
