/** A transport towards backends by script. What breaks the port's rules, on either side, throws at once. */
import { assert } from "../../src/core/assert.ts";
import type { ErrorCode } from "../../src/core/error.ts";
import type { ReceivedProtocol, ResponseSink, Upstream, UpstreamCall, UpstreamRequest } from "../../src/proxy/ports.ts";
import {
  type AttemptProgress,
  CUT_OFF,
  NOT_SENT,
  UNANSWERED,
  UpstreamFailure,
} from "../../src/proxy/upstream-failure.ts";
import { type Field, fieldsOf, sectionOf } from "./sections.ts";

/** One attempt, as the backend sees it. */
export class FakeCall implements UpstreamCall {
  readonly request: UpstreamRequest;
  /** The fields it was given, as strings; the section itself is only read while the attempt begins. */
  readonly fields: readonly Field[];
  readonly #sink: ResponseSink;
  /** `sent`: no head yet. `answering`: the head is out. The others are final. */
  state: "sent" | "answering" | "ended" | "failed" | "cancelled" = "sent";
  /** The receiver said that it is full, and has not said otherwise since. */
  full = false;
  resumes = 0;

  constructor(request: UpstreamRequest, sink: ResponseSink) {
    this.request = request;
    this.fields = fieldsOf(request.fields);
    this.#sink = sink;
  }

  get over(): boolean {
    return this.state !== "sent" && this.state !== "answering";
  }

  inform(status: number, fields: readonly Field[] = []): void {
    assert(this.state === "sent", "informational heads come before the final one");
    this.#sink.onInformational(status, sectionOf(fields));
  }

  head(status: number, fields: readonly Field[] = [], protocol: ReceivedProtocol = "1.1"): void {
    assert(this.state === "sent", "a response has one head");
    this.state = "answering";
    this.#sink.onHead(status, sectionOf(fields), protocol);
  }

  /** What the receiver said: whether it takes more. */
  body(text: string): boolean {
    assert(this.state === "answering", "a body comes after its head");
    const bytes = new TextEncoder().encode(`<${text}>`);
    const more = this.#sink.onBody(bytes, 1, bytes.length - 1, false);
    // Whoever looks at them later has kept what was only lent.
    bytes.fill(0);
    this.full = !more;
    return more;
  }

  trailers(fields: readonly Field[]): void {
    assert(this.state === "answering", "trailers come after the head");
    this.#sink.onTrailers(sectionOf(fields));
  }

  end(): void {
    assert(this.state === "answering", "an answer has a head");
    this.state = "ended";
    this.#sink.onEnd();
  }

  /** Without `progress`: what goes with the code at this point. */
  fail(code: ErrorCode, progress?: AttemptProgress): void {
    assert(!this.over, "an attempt fails once");
    const usual = this.state === "answering" ? CUT_OFF : UNSENT.has(code) ? NOT_SENT : UNANSWERED;
    this.state = "failed";
    this.#sink.onFailure(new UpstreamFailure(code, `scripted ${code}`, progress ?? usual));
  }

  resume(): void {
    assert(!this.over, "an attempt that is over is not resumed");
    this.resumes += 1;
    this.full = false;
  }

  cancel(): void {
    assert(!this.over, "an attempt is cancelled once, while it runs");
    this.state = "cancelled";
  }
}

const UNSENT: ReadonlySet<ErrorCode> = new Set([
  "UPSTREAM_REFUSED",
  "UPSTREAM_UNREACHABLE",
  "UPSTREAM_NAME",
  "UPSTREAM_TLS",
  "UPSTREAM_CONNECT_TIMEOUT",
]);

/** Hands every attempt to the test. */
export class FakeUpstream implements Upstream {
  readonly abilities = { trailers: true, informational: true, fullDuplex: true };
  readonly calls: FakeCall[] = [];
  /** Called with each attempt before `start` returns. */
  onStart: (call: FakeCall) => void = () => undefined;

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    const call = new FakeCall(request, sink);
    this.calls.push(call);
    this.onStart(call);
    return call;
  }

  close(): void {
    // Nothing idles.
  }
}
