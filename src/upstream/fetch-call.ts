/** One request through fetch, from its head to the last byte of its answer. */
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { leavesBodyUnread } from "../core/methods.ts";
import { FIELD } from "../core/field-names.ts";
import type { ReceivedProtocol, ResponseSink, UpstreamCall, UpstreamRequest } from "../proxy/ports.ts";
import { type AttemptProgress, CUT_OFF, NOT_SENT, UNANSWERED, UpstreamFailure } from "../proxy/upstream-failure.ts";
import { type FetchWire, mayLackHttp2 } from "../runtime/fetch-options.ts";
import { fetchBreak, fetchErrorCode, fetchFailure } from "./fetch-errors.ts";
import { AMBIGUOUS_LENGTH, FOREIGN_CODING, requestPairs, writeFetched } from "./fetch-fields.ts";
import type { CallOwner } from "./fetch-owner.ts";
import { FETCH_METHODS, fetchTarget, isBodyless } from "./fetch-target.ts";
import { firstWire, type Lane, mayFallBack, WIRE_PROTOCOLS } from "./lane.ts";
import { RequestBody, type BodyWatcher } from "./request-body.ts";

/**
 * `unsent`: waits for a body that must be empty. `sent`: no answer yet. `reading`: the body flows. `full`: the receiver has no
 * room. `over`: the sink hears nothing more.
 */
type Phase = "unsent" | "sent" | "reading" | "full" | "over";

/** A request under way. */
export class FetchCall implements UpstreamCall, BodyWatcher {
  readonly #owner: CallOwner;
  readonly #lane: Lane;
  readonly #request: UpstreamRequest;
  readonly #sink: ResponseSink;
  readonly #abort = new AbortController();
  #phase: Phase = "unsent";
  #body: RequestBody | null = null;
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | null = null;
  /** When something last moved: the request began, a piece of its body left, a piece of the answer came. */
  #movedMs: number;
  #connectLate = false;
  #stalled = false;
  #expectsContinue = false;
  #expectedBytes = -1;
  #receivedBytes = 0;

  constructor(owner: CallOwner, lane: Lane, request: UpstreamRequest, sink: ResponseSink) {
    this.#owner = owner;
    this.#lane = lane;
    this.#request = request;
    this.#sink = sink;
    this.#movedMs = owner.timers.nowMs();
  }

  /** May fail at once. */
  begin(): void {
    const { method, path, body, contentLengthBytes } = this.#request;
    const target = fetchTarget(path);
    if (target === null) return this.#fail(new ProxyError("BAD_REQUEST", "fetch would rewrite this path"));
    if (!FETCH_METHODS.has(method))
      return this.#fail(new ProxyError("BAD_REQUEST", `fetch cannot send the method ${method}`));
    if (body === null || !isBodyless(method)) return this.#send(target);
    if (contentLengthBytes > 0)
      return this.#fail(new ProxyError("BAD_REQUEST", `fetch cannot send a body with ${method}`));
    body.onReadable = () => this.#awaitEmpty(target);
    this.#awaitEmpty(target);
  }

  resume(): void {
    if (this.#phase !== "full") return;
    this.#phase = "reading";
    this.#setStalled(false);
    this.#moved();
    this.#read();
  }

  cancel(): void {
    if (this.#phase !== "over") this.#stop();
  }

  /** Looks at the deadlines. */
  onSweep(nowMs: number): void {
    const waitedMs = nowMs - this.#movedMs;
    if (this.#phase === "full" && waitedMs >= LIMITS.fetchStallMsMin) this.#setStalled(true);
    if (this.#phase === "unsent" || this.#body?.starved === true) this.#checkClient(waitedMs);
    else if (this.#phase === "sent") this.#checkHead(waitedMs);
    else if (this.#phase === "reading" && waitedMs >= this.#owner.timeouts.backendBodyIdleMs) {
      this.#expire("UPSTREAM_BODY_TIMEOUT", "the body stopped coming");
    }
  }

  /** No connection can be made to `lane` since `beganMs`. */
  onUnreachable(lane: Lane, error: ProxyError, beganMs: number): void {
    if (lane !== this.#lane || this.#phase !== "sent" || this.#body !== null) return;
    if (this.#movedMs > beganMs || lane.reachedMs >= this.#movedMs) return;
    this.#stop();
    // The request may have left on a connection that died since.
    this.#sink.onFailure(UpstreamFailure.of(error, UNANSWERED));
  }

  /** A connection stands. Fetch keeps the expectation from the backend, so whoever waits for a 100 gets it here. */
  onBodyWanted(): void {
    if (this.#phase !== "sent" || !this.#expectsContinue) return;
    const { writer } = this.#owner;
    writer.begin();
    this.#sink.onInformational(CONTINUE, writer.view());
  }

  onBodyProgress(): void {
    this.#moved();
  }

  /** After an answer has begun, the backend wants no more of the request. Before that it is a failure, which is told otherwise. */
  onBodyUnwanted(): void {
    if (this.#phase === "reading" || this.#phase === "full") this.#request.body?.stop();
  }

  /** Fetch takes no body with these methods, not even one that turns out to be empty. */
  #awaitEmpty(target: string): void {
    const { body, method } = this.#request;
    if (body === null || this.#phase !== "unsent") return;
    const piece = body.pull();
    if (piece !== null && piece.length > 0)
      this.#fail(new ProxyError("BAD_REQUEST", `fetch cannot send a body with ${method}`));
    else if (body.state === "broken") this.#fail(new ProxyError("CLIENT_GONE", "the client broke off its request"));
    else if (body.state === "ended") this.#send(target);
  }

  #send(target: string): void {
    const { fields, authority, body, contentLengthBytes, method } = this.#request;
    const hasBody = body !== null && !isBodyless(method);
    const { wire } = this.#lane;
    this.#phase = "sent";
    this.#expectsContinue = fields.find(FIELD.expect) >= 0;
    this.#moved();
    if (hasBody) this.#body = new RequestBody(body, contentLengthBytes, this);
    const init = {
      method,
      headers: requestPairs(fields, authority, hasBody, this.#owner.runtime),
      body: this.#body === null ? null : this.#body.stream,
      signal: this.#abort.signal,
      keepsConnection: !hasBody || !leavesBodyUnread(method),
    };
    try {
      this.#lane.fetch.send(this.#lane.origin + target, wire, init).then(
        (response) => this.#onResponse(response, WIRE_PROTOCOLS[wire]),
        (thrown: unknown) => this.#onThrown(thrown, target, wire),
      );
    } catch (thrown) {
      this.#onThrown(thrown, target, wire);
    }
  }

  /** Backends of `https` that have no HTTP/2 say so in the TLS handshake; the answer is remembered. */
  #onThrown(thrown: unknown, target: string, wire: FetchWire): void {
    if (this.#phase === "over") return;
    const unsupported = mayLackHttp2(fetchErrorCode(thrown)) && mayFallBack(this.#lane.backend);
    if (wire === "http2" && unsupported && this.#body?.begun !== true) {
      this.#lane.wire = "http1";
      this.#owner.counters.upstreamFallbacks += 1;
      this.#body?.detach();
      this.#send(target);
      return;
    }
    const failure = fetchFailure(thrown, this.#lane.backend.address);
    // Another server may stand there when it comes back.
    if (failure.processed === "no") this.#lane.wire = firstWire(this.#lane.backend);
    this.#failWith(failure);
  }

  #onResponse(response: Response, protocol: ReceivedProtocol): void {
    if (this.#phase === "over") return;
    const { writer, counters } = this.#owner;
    const { status } = response;
    const lengthBytes = writeFetched(response.headers, writer, counters);
    this.#lane.reachedMs = this.#moved();
    if (lengthBytes === AMBIGUOUS_LENGTH)
      return this.#fail(this.#error("UPSTREAM_PROTOCOL", "Content-Length beside Transfer-Encoding"));
    if (lengthBytes === FOREIGN_CODING)
      return this.#fail(this.#error("UPSTREAM_PROTOCOL", "a transfer coding other than chunked"));
    if (writer.full) return this.#fail(this.#error("UPSTREAM_PROTOCOL", "response head too large"));
    this.#phase = "reading";
    this.#sink.onHead(status, writer.view(), protocol);
    if (this.#isOver()) return;
    const bodyless = this.#request.method === "HEAD" || status === 204 || status === 304;
    this.#expectedBytes = bodyless ? 0 : lengthBytes;
    const { body } = response;
    if (body === null) {
      this.#end();
      return;
    }
    this.#reader = body.getReader();
    this.#read();
  }

  /** Piece by piece, small answers too: whatever has come is passed on. The end goes along with the last byte of an announced length. */
  #read(): void {
    this.#reader?.read().then(
      ({ done, value }) => {
        if (done) return this.#end();
        if (!this.#take(value)) return;
        if (this.#sink.onBody(value, 0, value.length, this.#isWhole) || this.#isWhole) this.#read();
        else if (!this.#isOver()) this.#phase = "full";
      },
      (thrown: unknown) => this.#onBroken(thrown),
    );
  }

  get #isWhole(): boolean {
    return this.#receivedBytes === this.#expectedBytes;
  }

  /** Whether a piece may go to the sink. */
  #take(piece: Uint8Array): boolean {
    if (this.#phase === "over") return false;
    this.#moved();
    this.#receivedBytes += piece.length;
    if (this.#expectedBytes < 0 || this.#receivedBytes <= this.#expectedBytes) return true;
    this.#fail(this.#error("UPSTREAM_PROTOCOL", "more body than Content-Length says"));
    return false;
  }

  /** Runtimes notice a body that ends early, most of the time; this is for the rest. */
  #end(): void {
    if (this.#phase === "over") return;
    if (this.#expectedBytes > this.#receivedBytes) {
      const what = `body ended after ${this.#receivedBytes} of ${this.#expectedBytes} bytes`;
      this.#fail(this.#error("UPSTREAM_RESET", what));
      return;
    }
    // Fetch sends no more of a request whose answer is complete.
    if (this.#request.body?.state === "open") this.#request.body.stop();
    this.#leave();
    this.#sink.onEnd();
  }

  #onBroken(thrown: unknown): void {
    if (this.#phase !== "over") this.#failWith(fetchBreak(thrown, this.#lane.backend.address));
  }

  /** While the client is slow the backend is not late. */
  #checkClient(waitedMs: number): void {
    if (waitedMs < this.#owner.timeouts.clientBodyIdleMs) return;
    this.#owner.counters.clientDeadlines += 1;
    this.#fail(new ProxyError("REQUEST_TIMEOUT", "the client's request body stopped coming"));
  }

  #checkHead(waitedMs: number): void {
    const { backendConnectMs, backendResponseHeadMs } = this.#owner.timeouts;
    if (waitedMs >= backendResponseHeadMs) return this.#expire("UPSTREAM_HEAD_TIMEOUT", "no answer");
    if (this.#body !== null) {
      this.#checkConnection(this.#body, waitedMs >= backendConnectMs);
    } else if (waitedMs >= backendConnectMs / 2 && this.#lane.reachedMs < this.#movedMs) {
      this.#owner.dial(this.#lane);
    }
  }

  /**
   * Fetch asks for the body as soon as a connection stands. Judged at the second look after the deadline, so that a question that
   * waits behind us in a busy process is heard first.
   */
  #checkConnection(body: RequestBody, late: boolean): void {
    if (body.begun || !late) return;
    if (this.#connectLate) this.#expire("UPSTREAM_CONNECT_TIMEOUT", "no connection");
    this.#connectLate = true;
  }

  #expire(code: TimeoutCode, what: string): void {
    this.#owner.counters.upstreamDeadlines += 1;
    this.#fail(this.#error(code, `${what} within the time allowed`));
  }

  #fail(error: ProxyError): void {
    this.#failWith(UpstreamFailure.of(error, this.#progressAt(error)));
  }

  #failWith(failure: UpstreamFailure): void {
    if (this.#phase === "over") return;
    this.#stop();
    this.#sink.onFailure(failure);
  }

  #progressAt({ code }: ProxyError): AttemptProgress {
    if (this.#phase === "unsent" || code === "UPSTREAM_CONNECT_TIMEOUT") return NOT_SENT;
    return this.#phase === "sent" ? UNANSWERED : CUT_OFF;
  }

  #error(code: "UPSTREAM_PROTOCOL" | "UPSTREAM_RESET" | TimeoutCode, what: string): ProxyError {
    return new ProxyError(code, `${this.#lane.backend.address}: ${what}`);
  }

  /** Gives the connection up. */
  #stop(): void {
    this.#leave();
    this.#abort.abort();
  }

  /** Nothing of this call is told to anyone any more. */
  #leave(): void {
    if (this.#phase === "unsent" && this.#request.body !== null) this.#request.body.onReadable = null;
    this.#phase = "over";
    this.#setStalled(false);
    this.#body?.detach();
    this.#owner.forget(this);
  }

  #setStalled(stalled: boolean): void {
    if (stalled !== this.#stalled) this.#owner.onStall(this.#lane, stalled ? 1 : -1);
    this.#stalled = stalled;
  }

  /** For after a call to the sink, which may have cancelled. */
  #isOver(): boolean {
    return this.#phase === "over";
  }

  #moved(): number {
    this.#movedMs = this.#owner.timers.nowMs();
    return this.#movedMs;
  }
}

type TimeoutCode = "UPSTREAM_CONNECT_TIMEOUT" | "UPSTREAM_HEAD_TIMEOUT" | "UPSTREAM_BODY_TIMEOUT";

const CONTINUE = 100;
