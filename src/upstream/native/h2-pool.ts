/**
 * The HTTP/2 connections of one backend, and the calls that wait for room on one. Connections are opened when a request needs one
 * (none is kept warm), at most `backend_connection_pool_size` of them; those that only finish what runs on them do not count.
 */
import type { BackendSettings, TimeoutSettings } from "../../config/snapshot.ts";
import type { Counters } from "../../core/counters.ts";
import { ProxyError } from "../../core/error.ts";
import type { FieldWriter } from "../../core/field-writer.ts";
import { Roster } from "../../core/roster.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Random } from "../../core/random.ts";
import type { ResponseSink, Upstream, UpstreamCall, UpstreamRequest } from "../../proxy/ports.ts";
import type { ConnectStream, StreamTarget } from "../../runtime/streams.ts";
import type { Timers } from "../../runtime/timers.ts";
import { expireLate } from "./deadlines.ts";
import { H2Call, type H2CallOwner } from "./h2-call.ts";
import { H2Link, type H2LinkOwner } from "./h2-link.ts";

/** What all pools of a transport share. */
export interface H2UpstreamParts {
  readonly connect: ConnectStream;
  readonly timers: Timers;
  readonly timeouts: TimeoutSettings;
  readonly counters: Counters;
  readonly random: Random;
  /** Where and how a backend is reached; null: not any more. */
  readonly targetOf: (backend: BackendSettings) => StreamTarget | null;
  /** For backends that ALPN shows not to speak HTTP/2. */
  readonly fallback: Upstream;
}

/** The pool of one backend. */
export class H2Pool implements H2LinkOwner, H2CallOwner {
  readonly counters: Counters;
  readonly writer: FieldWriter;
  readonly where: string;
  readonly #parts: H2UpstreamParts;
  readonly #target: StreamTarget;
  readonly #linksMax: number;
  readonly #links: H2Link[] = [];
  readonly #calls = new Roster<H2Call>();
  #waiting: H2Call[] = [];
  #isDraining = false;
  /** Before then no link is tried beside those that work. */
  #reopenAtMs = 0;
  /** ALPN did not choose HTTP/2 here; remembered until `relearn`. */
  #isOther = false;
  #learnedMs = -Infinity;

  constructor(
    parts: H2UpstreamParts,
    backend: BackendSettings,
    target: StreamTarget,
    linksMax: number,
    writer: FieldWriter,
  ) {
    this.counters = parts.counters;
    this.writer = writer;
    this.where = backend.address;
    this.#parts = parts;
    this.#target = target;
    this.#linksMax = linksMax;
  }

  nowMs(): number {
    return this.#parts.timers.nowMs();
  }

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    if (this.#isOther) return this.#parts.fallback.start(request, sink);
    const call = new H2Call(request, sink, this);
    this.#calls.add(call);
    this.#place(call);
    return call;
  }

  /** Another server may stand at the address: the next request asks again. One that fails often is not asked with each failure. */
  relearn(): void {
    if (this.nowMs() - this.#learnedMs >= LIMITS.protocolRelearnMsMin) this.#isOther = false;
  }

  repeat(call: H2Call): boolean {
    this.#place(call);
    return true;
  }

  forget(call: H2Call): void {
    this.#calls.remove(call);
    // Under overload thousands may wait, and each that ends would look through all of them.
    if (call.isUnplaced && this.#waiting.length > 0) this.#waiting = this.#waiting.filter((other) => other !== call);
  }

  onRoom(link: H2Link): void {
    while (this.#waiting.length > 0) {
      const call = this.#waiting.shift();
      if (call !== undefined && !call.begin(link)) {
        this.#waiting.unshift(call);
        break;
      }
    }
    this.#openForWaiting();
  }

  onClosing(): void {
    this.#openForWaiting();
  }

  onGone(link: H2Link, error: ProxyError | null): void {
    const at = this.#links.indexOf(link);
    if (at >= 0) this.#links.splice(at, 1);
    if (error !== null) {
      if (!this.#links.some((other) => other.isUsable)) return this.#failWaiting(error);
      this.#reopenAtMs = this.nowMs() + LIMITS.h2ReopenMsMin;
    }
    this.#openForWaiting();
  }

  onOtherProtocol(link: H2Link): void {
    if (this.#target.tls?.alpn.includes("http/1.1") !== true) {
      // Nobody waits any more when the link goes, so that no other is opened.
      this.#failWaiting(new ProxyError("UPSTREAM_PROTOCOL", `${this.where} does not speak HTTP/2`));
      return link.close();
    }
    this.#isOther = true;
    this.#learnedMs = this.nowMs();
    this.counters.upstreamFallbacks += 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    link.close();
    for (const call of waiting) call.handOver(this.#parts.fallback);
  }

  /** Calls under way and those that wait go on; no link is kept beyond them. */
  drain(): void {
    this.#isDraining = true;
    this.#drainUnneeded(this.nowMs());
  }

  /** Nothing is left of a pool that was drained. */
  get isEmpty(): boolean {
    return this.#links.length === 0 && this.#calls.size === 0;
  }

  sweep(nowMs: number): void {
    for (const link of [...this.#links]) {
      link.onTime(nowMs);
      if (link.isUsable && nowMs >= link.agedAtMs) this.#replace(link, nowMs);
    }
    this.#drainUnneeded(nowMs);
    this.#openForWaiting();
    expireLate(this.#calls, nowMs, this.#parts.timeouts, this.counters);
  }

  /**
   * Few connections are cheapest: the first with room takes the call; another is made only when all are full. Each is asked, even one
   * that looks full: only who was refused hears of a stream that becomes free.
   */
  #place(call: H2Call): void {
    for (const link of this.#links) if (link.isUsable && call.begin(link, call.movedMs)) return;
    if (this.#waiting.length >= LIMITS.h2WaitingMax) {
      this.counters.upstreamOverflows += 1;
      call.onUnplaced(new ProxyError("OVERLOADED", `too many requests wait for ${this.where}`));
      return;
    }
    this.#waiting.push(call);
    this.#openForWaiting();
  }

  /** Links that have idled; and all, once nothing but what runs on them is to be done. */
  #drainUnneeded(nowMs: number): void {
    const isLast = this.#isDraining && this.#waiting.length === 0;
    for (const link of [...this.#links]) {
      const isIdle = link.isUsable && link.connection.streams.count === 0;
      if (isLast || (isIdle && nowMs - link.idleSinceMs > LIMITS.upstreamIdleMsMax)) link.drain();
    }
  }

  /** An old link goes when younger ones have room for as much as runs on it; where they have not, another is opened first. */
  #replace(aged: H2Link, nowMs: number): void {
    let spareStreams = 0;
    for (const link of this.#links) if (nowMs < link.agedAtMs) spareStreams += link.spareStreams;
    const neededStreams = Math.max(1, aged.connection.streams.count);
    if (!this.#isOther && !this.#isDraining && spareStreams < neededStreams) return this.#open(1);
    this.counters.h2ConnectionsAged += 1;
    aged.drain();
  }

  #openForWaiting(): void {
    if (this.#waiting.length > 0) this.#open(0);
  }

  /** Opens a link unless there are enough; `extra` of them may be too many for a while. */
  #open(extra: number): void {
    let usable = 0;
    for (const link of this.#links) {
      // One at a time: a connection that is being made, or is still to say how many requests it takes, will take what waits.
      if (link.isBeginning) return;
      if (link.isUsable) usable += 1;
    }
    if (usable >= this.#linksMax + extra || this.#links.length - usable >= LIMITS.h2ConnectionsDrainingMax) return;
    const nowMs = this.nowMs();
    if (usable > 0 && nowMs < this.#reopenAtMs) return;
    const link = new H2Link(this.#parts.connect, this.#target, this, this.#ageMs());
    // What takes the place of another is asked first, so that the other becomes empty.
    if (extra > 0) this.#links.unshift(link);
    else this.#links.push(link);
  }

  /** How old the next link may become. */
  #ageMs(): number {
    const percent = 100 - this.#parts.random.nextBelow(LIMITS.h2ConnectionAgeJitterPercentMax + 1);
    return (LIMITS.h2ConnectionAgeMsMax * percent) / 100;
  }

  #failWaiting(error: ProxyError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call.onUnplaced(error);
  }
}
