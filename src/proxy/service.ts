/** What all exchanges share, and the door through which HTTP/3 hands requests over. */
import type { Counters } from "../core/counters.ts";
import { ProxyError } from "../core/error.ts";
import { FieldWriter } from "../core/fields.ts";
import type { RequestIds } from "../core/request-id.ts";
import { H3_CODE } from "../h3/codes.ts";
import type { Malformed, RequestHead } from "../h3/head.ts";
import type { RequestHandler } from "../h3/session.ts";
import type { RequestStream } from "../h3/stream.ts";
import type { RouteTable } from "../route/table.ts";
import { Exchange } from "./exchange.ts";
import { failureText, writeFailureHead } from "./failure.ts";
import type { Clock, Recorder, Upstream } from "./ports.ts";
import type { Pool } from "./pool.ts";
import type { BackendSettings, PoolSettings } from "../config/snapshot.ts";

/** One configuration at work. An exchange keeps the generation it began with. */
export interface Generation {
  readonly routes: RouteTable;
  /** By the indexes that `routes` gives. */
  readonly pools: readonly Pool[];
  /** The transport towards a backend. */
  upstreamOf(pool: PoolSettings, backend: BackendSettings): Upstream;
  /** A backend could not be reached: evidence for its health. */
  onUnreachable(poolIndex: number, backendIndex: number, error: ProxyError): void;
}

/** What exchanges need beside their generation. */
export interface Services {
  readonly counters: Counters;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly requestIds: RequestIds;
  /** Scratch for heads: used and handed over within one call, never kept. */
  readonly writer: FieldWriter;
}

/** Who is at the other end of a connection. */
export interface Client {
  readonly ip: string;
  readonly port: number;
  /** Stays the same while the connection lives. */
  readonly connectionIdHex: string;
}

/** Makes an exchange of each request of one connection. */
export class ConnectionHandler implements RequestHandler {
  readonly #services: Services;
  readonly #client: Client;
  readonly #generation: () => Generation;

  /** `generation` gives the one that new requests belong to. */
  constructor(services: Services, client: Client, generation: () => Generation) {
    this.#services = services;
    this.#client = client;
    this.#generation = generation;
  }

  onRequest(stream: RequestStream, head: RequestHead): void {
    new Exchange(this.#services, this.#generation(), this.#client, stream, head).run();
  }

  onMalformed(stream: RequestStream, malformed: Malformed): void {
    const { counters, clock, recorder, requestIds, writer } = this.#services;
    counters.requestsMalformed += 1;
    const requestId = requestIds.next(clock.epochMs());
    const status = malformed.answer === "reset" ? 0 : malformed.answer;
    if (status === 0) {
      stream.reset(H3_CODE.messageError);
    } else {
      writeFailureHead(writer, status, requestId);
      stream.sendHead(writer.finish(), false);
      stream.sendBody(encodeAscii(failureText(status)));
      stream.end();
    }
    recorder.record({
      requestId,
      method: "",
      path: "",
      authority: "",
      status,
      pool: "",
      backend: "",
      durationMs: 0,
      bytesIn: 0,
      bytesOut: stream.sentBytes,
      clientIp: this.#client.ip,
      clientPort: this.#client.port,
      attempts: 0,
      error: new ProxyError("BAD_REQUEST", `malformed request: ${malformed.reason}`),
    });
  }
}

/** ASCII text as bytes. */
export function encodeAscii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
