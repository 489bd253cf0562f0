/** The door through which HTTP/3 hands requests over: an exchange for each, an answer for those that are none. */
import { ProxyError } from "../core/error.ts";
import { H3_CODE } from "../h3/codes.ts";
import type { Malformed, RequestHead } from "../h3/head.ts";
import type { RequestHandler } from "../h3/session-host.ts";
import type { RequestStream } from "../h3/stream.ts";
import type { Client, Generation, Services } from "./context.ts";
import { Exchange } from "./exchange.ts";
import { sendFailure } from "./failure.ts";

const URI_TOO_LONG = 414;
const HEAD_TOO_LARGE = 431;

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
    stream.bodies = this.#services.counters.bodies.unrouted;
    new Exchange(this.#services, this.#generation(), this.#client, stream, head).run();
  }

  onMalformed(stream: RequestStream, malformed: Malformed): void {
    const { counters, clock, recorder, requestIds, writer } = this.#services;
    stream.bodies = counters.bodies.unrouted;
    counters.requestsFailed += 1;
    const isLate = malformed.reason === "head-late";
    if (!isLate) {
      counters.requestsMalformed += 1;
      counters.malformedReasons.add(malformed.reason);
    }
    const requestId = requestIds.next(clock.epochMs());
    const status = malformed.answer === "reset" ? 0 : malformed.answer;
    if (status === HEAD_TOO_LARGE) counters.requestsHeadTooLarge += 1;
    else if (status === URI_TOO_LONG) counters.requestsUriTooLong += 1;
    if (status === 0) {
      stream.reset(H3_CODE.messageError);
    } else {
      sendFailure(stream, writer, { status, requestId, withBody: true });
    }
    recorder.record({
      requestId: requestId.text,
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
      clientSubject: this.#client.provenance.identity.subject,
      listener: this.#client.listener ?? "",
      attempts: 0,
      fields: null,
      accessLog: "on",
      error: isLate
        ? new ProxyError("REQUEST_TIMEOUT", "the request's head did not come whole in time")
        : new ProxyError("BAD_REQUEST", `malformed request: ${malformed.reason}`),
    });
  }
}
