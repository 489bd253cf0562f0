/** One HTTP/3 session on the fake engine with a clock of its own: what a connection does for it, and who answers its requests. */
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { BufferAccount } from "../../src/guard/buffer-account.ts";
import type { Malformed, RequestHead } from "../../src/h3/head.ts";
import { Http3Session } from "../../src/h3/session.ts";
import type { RequestHandler, SessionHost, SessionRules } from "../../src/h3/session-host.ts";
import type { RequestStream } from "../../src/h3/stream.ts";
import { FakeSession } from "./fake-engine.ts";
import { type Field, flatOf } from "./sections.ts";
import { STANDARD } from "./settings.ts";

export const GET: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "example.com"],
  [":path", "/"],
];
export const POST: readonly Field[] = [[":method", "POST"], ...GET.slice(1)];

/** A session with everything around it. */
export class SessionBed implements SessionHost, RequestHandler {
  readonly counters = new Counters();
  readonly engine = new FakeSession();
  readonly buffers = new BufferAccount(1_000_000);
  readonly session: Http3Session;
  readonly streams = new Map<number, RequestStream>();
  /** What owners and the handler of malformed requests heard, and what was asked of the connection. */
  readonly heard: string[] = [];
  readonly closes: { readonly code: number; readonly reason: string }[] = [];
  wakes = 0;
  nowMs = 1000;

  /** `rules`: those that are not the configuration's own. */
  constructor(rules: Partial<SessionRules> = {}) {
    this.session = new Http3Session(this.engine, this, this, {
      ...STANDARD.connections,
      ...STANDARD.timeouts,
      ...rules,
    });
  }

  onRequest(stream: RequestStream, _head: RequestHead): void {
    this.#own(stream);
  }

  /** Answers as the proxy does: a head and a line of text, or a reset. */
  onMalformed(stream: RequestStream, malformed: Malformed): void {
    this.#own(stream);
    this.heard.push(`${stream.id} ${malformed.reason}`);
    if (malformed.answer === "reset") return stream.reset(0x10e);
    stream.sendHead(flatOf([[":status", String(malformed.answer)]]), false);
    stream.sendBody(new Uint8Array(10), true);
  }

  wake(): void {
    this.wakes += 1;
  }
  again(): void {}

  close(code: number, reason: string): void {
    this.closes.push({ code, reason });
  }

  /** A turn with `packets` new packets of `bytes` each. */
  turn(packets: number = 1, bytes: number = 50): void {
    this.engine.counts.packetsReceived += packets;
    this.engine.counts.bytesReceived += packets * bytes;
    this.session.process();
  }

  /** A request that arrives whole, or with a body to follow. */
  request(id: number, hasBody: boolean = false, fields: readonly Field[] = hasBody ? POST : GET): RequestStream {
    this.engine.emitFields(id, fields, hasBody);
    this.turn();
    return must(this.streams.get(id) ?? null, "the request has begun");
  }

  /** Time passes as it does with a connection: the session is called when its deadline has come, and at the end if that is due. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.closes.length === 0 && this.session.deadlineMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.session.deadlineMs);
      this.session.onTime(this.nowMs);
      if (this.closes.length === 0 && this.session.deadlineMs <= this.nowMs)
        throw new RangeError("a session whose time has come waits for a later one");
    }
    this.nowMs = untilMs;
  }

  #own(stream: RequestStream): void {
    this.streams.set(stream.id, stream);
    stream.owner = {
      onRoom: () => void this.heard.push(`${stream.id} room`),
      onSent: () => void this.heard.push(`${stream.id} sent`),
      onAborted: (reason) => void this.heard.push(`${stream.id} ${reason}`),
    };
  }
}

/** A whole answer without a body, or the head of a longer one. */
export function answer(stream: RequestStream, fin: boolean = true): void {
  stream.sendHead(flatOf([[":status", "200"]]), fin);
}
