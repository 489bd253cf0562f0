/**
 * The workers of one generation: keeps one alive in each of its slots for as long as the crew takes new connections, lets them finish
 * once others do, and ends them all. Policy only: how a worker is started and spoken to is a port, time is given.
 */
import { assert } from "../core/assert.ts";
import { type ErrorDetails, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { SlotRange } from "../quic/steer.ts";
import type { ProcessEnd } from "../runtime/processes.ts";
import { type Ending, endingOf, worstOf } from "./ending.ts";
import type { CrewBefore, CrewParts } from "./crew-parts.ts";
import { CrewReloads } from "./crew-reload.ts";
import type { CrewHandover } from "./handover.ts";
import { LastCall } from "./last-call.ts";
import type { SeatStatus } from "./renewal.ts";
import {
  endedEarly,
  handOverSeats,
  IS_ANOTHER,
  isAnother,
  makeSeats,
  missedTooMany,
  noteBeat,
  type Seat,
  killAll,
  restartDelayMs,
  retireSeat,
  startOf,
  serves,
  statusOf,
  stopSeat,
  UNREAD_MS_MAX,
  vacate,
  type WorkerEvents,
} from "./seat.ts";
import type { PrepareOrder, ReopenOrder, Report, SecretsOrder } from "./worker-link.ts";

/** Workers of one generation. */
export class Crew {
  readonly slots: SlotRange;
  readonly #parts: CrewParts;
  readonly #seats: readonly Seat[];
  readonly #reloads: CrewReloads;
  #generation: number;
  #drainMs: number;
  /**
   * `starting`: one failure ends all. `serving`: who ends is started again. `retired`: others take the new connections, who ends is gone.
   * `stopping`: all shall end.
   */
  #state: "starting" | "serving" | "retired" | "stopping" = "starting";
  #onStarted: (() => void) | null = null;
  #failure: ProxyError | null = null;
  readonly #lastCall: LastCall;
  #listenersGone: readonly string[] = [];
  readonly #gone = Promise.withResolvers<void>();
  #isGone = false;
  #ending: Ending = "well";

  /** With `before` it goes on; else it is started. */
  constructor(parts: CrewParts, before: CrewBefore | null = null) {
    this.#parts = parts;
    this.#generation = parts.generation;
    this.#drainMs = parts.drainMs;
    this.#reloads = new CrewReloads(parts.timers);
    this.slots = parts.slots;
    this.#lastCall = new LastCall(parts.timers, () => killAll(this.#seats, parts.log));
    this.#seats = makeSeats(parts.slots, before?.handover.seats ?? null, parts.timers.nowMs());
    if (before !== null) this.#goOn(before);
  }

  #goOn({ handover, state, adopt }: CrewBefore): void {
    this.#state = state;
    if (handover.killsInMs !== null) this.#lastCall.after(handover.killsInMs);
    for (const [i, seat] of this.#seats.entries()) {
      const worker = handover.seats[i]?.worker ?? null;
      if (worker !== null) seat.worker = adopt(worker, this.#eventsOf(seat));
      else if (seat.restartAtMs !== Infinity) this.#launchAfter(seat, seat.restartAtMs - this.#parts.timers.nowMs());
    }
  }

  /** What another program needs to go on with it; null when one of its workers has to settle first. */
  handOver(): CrewHandover | null {
    const seats = handOverSeats(this.#seats, this.#parts.timers.nowMs());
    if (seats === null || this.#reloads.isOpen) return null;
    const { generation, slots, leftMs } = this;
    const times = { drainMs: this.#drainMs, killsInMs: leftMs === Infinity ? null : leftMs };
    return { generation, firstSlot: slots.first, ...times, seats };
  }

  /** Have all been ready at one time? */
  get started(): boolean {
    return this.#state !== "starting" && this.#failure === null;
  }

  /** The number of its configuration. */
  get generation(): number {
    return this.#generation;
  }

  /** Puts another configuration to work in all workers, or in none: then it rejects with a `ProxyError`. */
  reload(order: PrepareOrder, drainMs: number, onCommit: () => void): Promise<void> {
    return this.#reloads.run(order, this.#seats.filter(serves), () => {
      this.#generation = order.generation;
      this.#drainMs = drainMs;
      onCommit();
    });
  }

  /** Has the last worker ended, and comes none any more? */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Resolves then. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** How its workers ended when they were told to: the worst end of any. A crew that has never served breaks nothing off: `well`. */
  get ending(): Ending {
    return this.#ending;
  }

  /** After so long nobody of a retired or stopping crew is left, milliseconds; Infinity for others. */
  get leftMs(): number {
    return this.#lastCall.leftMs;
  }

  /** Native objects that workers held when they last said so. */
  get nativeHandles(): number {
    return this.#seats.reduce((sum, seat) => sum + seat.nativeHandles, 0);
  }

  get workers(): readonly SeatStatus[] {
    return this.#seats.map(statusOf);
  }

  /** Slots that have a reader or soon have one again, and those that have none. */
  slotsThatAre(read: boolean): readonly number[] {
    return this.#seats.flatMap(({ slot, unread }) => (unread === read ? [] : [slot]));
  }

  /** Starts all; resolves when every one serves. Rejects with the first reason when one fails or all shall end: nobody of it is left then. */
  async start(): Promise<void> {
    assert(this.#onStarted === null && this.#state === "starting", "a crew starts once");
    const started = new Promise<void>((resolve) => (this.#onStarted = resolve));
    for (const seat of this.#seats) if (this.#state === "starting") this.#launch(seat);
    await Promise.race([started, this.gone]);
    if (this.#failure !== null) throw this.#failure;
  }

  /** Others take the new connections, and do not have the listeners `gone`: who has none left ends, the rest is killed after the drain time. */
  retire(gone: readonly string[] = []): void {
    assert(this.#state === "serving", "a crew that serves is retired, once");
    this.#reloads.stop();
    this.#state = "retired";
    this.#listenersGone = gone;
    this.#lastCall.after(this.#drainMs + LIMITS.workerEndMsMax);
    const unreadBefore = this.slotsThatAre(false).length;
    for (const seat of this.#seats) retireSeat(seat, gone);
    if (this.slotsThatAre(false).length > unreadBefore) this.#parts.onReadersChanged();
    this.#settle();
  }

  /** Tells all to finish what runs; those that outlive the drain time are killed. Before all serve, nobody has anything to finish. */
  drain(): void {
    if (this.#state === "starting") this.end();
    else this.#stop("drain", this.#drainMs + LIMITS.workerEndMsMax);
  }

  /** Tells all to end now. */
  end(): void {
    this.#stop("end", LIMITS.workerEndMsMax);
  }

  /** Each worker hears it. */
  tell(order: SecretsOrder | ReopenOrder): void {
    for (const { worker } of this.#seats) worker?.send(order);
  }

  /** Once each heartbeat's time. */
  tick(): void {
    for (const seat of this.#seats)
      if (seat.worker !== null && missedTooMany(seat)) this.#giveUpOn(seat, "says nothing: killed");
  }

  #stop(type: "drain" | "end", killAfterMs: number): void {
    if (this.#isGone) return;
    this.#failure ??=
      this.#state === "starting" ? new ProxyError("DRAINING", "the program stops before the worker serves") : null;
    this.#state = "stopping";
    this.#reloads.stop();
    this.#lastCall.after(killAfterMs);
    for (const seat of this.#seats) stopSeat(seat, type);
    this.#settle();
  }

  #giveUpOn(seat: Seat, what: string, details: ErrorDetails = {}): void {
    const { slot, phase, worker } = seat;
    this.#parts.log.error(`worker ${what}`, { slot, pid: worker?.pid ?? 0, phase });
    this.#fail(new ProxyError("WORKER_FAILED", `worker ${slot} ${what}`, details));
    worker?.kill();
  }

  /** In a start the first failure is everybody's: a start that does not work is an error, not a loop. */
  #fail(error: ProxyError): void {
    if (this.#state !== "starting") return;
    this.#failure ??= error;
    this.end();
  }

  #settle(): void {
    if (this.#isGone || !this.#seats.every(({ phase }) => phase === "ended")) return;
    this.#isGone = true;
    this.#lastCall.stop();
    this.#parts.onGone();
    this.#gone.resolve();
  }

  #launch(seat: Seat): void {
    const { timers, log } = this.#parts;
    seat.phase = "starting";
    seat.startedMs = timers.nowMs();
    seat.readyMs = Infinity;
    seat.restartAtMs = Infinity;
    this.#reloads.onLaunch(seat, this.#generation);
    try {
      seat.worker = this.#parts.launch(seat.slot, this.#eventsOf(seat));
    } catch (thrown) {
      log.error("worker cannot be started", { slot: seat.slot, reason: String(thrown) });
      this.#fail(new ProxyError("WORKER_FAILED", `worker ${seat.slot} cannot be started: ${String(thrown)}`));
      this.#onEnded(seat, { code: null, signal: null });
    }
  }

  #launchAfter(seat: Seat, delayMs: number): void {
    seat.restartAtMs = this.#parts.timers.nowMs() + delayMs;
    seat.restart = this.#parts.timers.after(delayMs, () => this.#launch(seat));
  }

  #eventsOf(seat: Seat): WorkerEvents {
    return {
      onReport: (report) => this.#onReport(seat, report),
      onGibberish: () => this.#giveUpOn(seat, "says what nobody understands: killed"),
      onEnded: (end) => this.#onEnded(seat, end),
    };
  }

  #onReport(seat: Seat, report: Report): void {
    seat.missed = 0;
    switch (report.type) {
      case "beat":
        noteBeat(seat, report);
        return this.#parts.sums.report(seat.slot, report.counts);
      case "ready":
        if (isAnother(seat, report)) return this.#giveUpOn(seat, IS_ANOTHER.what, IS_ANOTHER.details);
        return this.#onReady(seat);
      case "failed":
        this.#parts.log.error("worker cannot serve", { slot: seat.slot, reason: report.text });
        return this.#fail(new ProxyError(report.isConfig ? "CONFIG_INVALID" : "WORKER_FAILED", report.text));
      default:
        return this.#reloads.onReport(seat, report);
    }
  }

  #onReady(seat: Seat): void {
    const { timers, log } = this.#parts;
    seat.phase = "serving";
    seat.readyMs = timers.nowMs();
    log.info("worker serves", { ...startOf(seat), generation: this.generation });
    if (seat.unread) {
      seat.unread = false;
      this.#parts.onReadersChanged();
    }
    if (this.#state === "retired") seat.worker?.send({ type: "retire", gone: this.#listenersGone });
    else if (this.#state === "serving") this.#reloads.onReady(seat);
    if (this.#state !== "starting" || !this.#seats.every(({ phase }) => phase === "serving")) return;
    this.#state = "serving";
    this.#onStarted?.();
  }

  #onEnded(seat: Seat, end: ProcessEnd): void {
    const { slot, worker } = seat;
    this.#parts.sums.settle(slot);
    seat.worker = null;
    this.#reloads.onEnded(seat);
    const fields = { slot, pid: worker?.pid ?? 0, generation: this.generation, ...end };
    switch (this.#state) {
      case "starting":
        seat.phase = "ended";
        return this.#fail(endedEarly(slot, end));
      case "serving":
        return this.#onDied(seat, fields);
      case "retired":
        if (endingOf(end) === "badly") this.#parts.log.warn("worker ended badly", fields);
        // What a killed process held, the kernel has taken back.
        if (end.signal !== null) seat.nativeHandles = 0;
        vacate(seat);
        this.#parts.onReadersChanged();
        return this.#settle();
      case "stopping":
        seat.phase = "ended";
        if (this.#failure === null) this.#ending = worstOf([this.#ending, endingOf(end)]);
        if (endingOf(end) === "badly") this.#parts.log.warn("worker ended badly", fields);
        return this.#settle();
    }
  }

  #onDied(seat: Seat, fields: Readonly<Record<string, string | number | null>>): void {
    const delayMs = restartDelayMs(seat, this.#parts.timers.nowMs());
    this.#parts.log.error("worker ended: started again", { ...fields, after_ms: delayMs });
    this.#parts.onRestart();
    if (delayMs === 0) return this.#launch(seat);
    this.#launchAfter(seat, delayMs);
    if (delayMs <= UNREAD_MS_MAX || seat.unread) return;
    seat.unread = true;
    this.#parts.onReadersChanged();
  }
}
