/**
 * Another configuration for workers that serve, in two steps: each makes it ready beside the one at work; when all have, all put it to work,
 * else all drop it. Policy only: whoever holds the workers tells what they say and when they end.
 */
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { TimerHandle, Timers } from "../runtime/timers.ts";
import type { Seat } from "./seat.ts";
import type { PrepareOrder, ReloadReport } from "./worker-link.ts";

/** What a reload is made of. */
interface CrewReloadParts {
  readonly order: PrepareOrder;
  /** Those that serve. */
  readonly seats: readonly Seat[];
  readonly timers: Timers;
  /** All have it ready: from here on whoever is started has it, too. */
  readonly onCommit: () => void;
}

/** One attempt. */
class CrewReload {
  /** Resolves when every worker that is left has it at work; rejects with a `ProxyError` when all have dropped it. */
  readonly done: Promise<void>;
  readonly #done = Promise.withResolvers<void>();
  readonly #parts: CrewReloadParts;
  /** Who has not answered to the present step. */
  readonly #awaited = new Set<Seat>();
  readonly #all: Set<Seat>;
  readonly #late: TimerHandle;
  #step: "prepare" | "commit" | "over" = "prepare";
  #lateCommit: TimerHandle | null = null;

  constructor(parts: CrewReloadParts) {
    this.#parts = parts;
    this.done = this.#done.promise;
    this.#all = new Set(parts.seats);
    this.#late = parts.timers.after(LIMITS.reloadStepMsMax, () => this.#onLate());
    for (const seat of this.#all) this.#ask(seat);
    this.#settle();
  }

  /** It is neither at work nor dropped yet. */
  get isOpen(): boolean {
    return this.#step !== "over";
  }

  /** A worker that was being started serves now, with the configuration that it was started with. */
  join(seat: Seat): void {
    if (this.#step !== "prepare") return;
    this.#all.add(seat);
    this.#ask(seat);
  }

  onReport(seat: Seat, report: ReloadReport): void {
    if (report.attempt !== this.#parts.order.attempt || this.#step === "over") return;
    if (report.type === "unprepared" && this.#step === "prepare") {
      this.#awaited.delete(seat);
      this.#all.delete(seat);
      return this.#abandon(new ProxyError("CONFIG_INVALID", report.text));
    }
    if (report.type === (this.#step === "prepare" ? "prepared" : "committed")) this.#awaited.delete(seat);
    this.#settle();
  }

  /** A worker has ended. One that ends over the other configuration is a reason not to have it. */
  onEnded(seat: Seat): void {
    const wasAwaited = this.#awaited.delete(seat);
    this.#all.delete(seat);
    if (this.#step === "prepare" && wasAwaited)
      return this.#abandon(new ProxyError("WORKER_FAILED", `worker ${seat.slot} ended while it made it ready`));
    this.#settle();
  }

  /** All shall end. */
  stop(): void {
    if (this.#step === "prepare") this.#abandon(new ProxyError("DRAINING", "the program stops"));
    else this.#end();
  }

  #ask(seat: Seat): void {
    this.#awaited.add(seat);
    seat.worker?.send(this.#parts.order);
  }

  #settle(): void {
    if (this.#awaited.size > 0) return;
    if (this.#step === "prepare") this.#commit();
    else if (this.#step === "commit") this.#end();
  }

  #commit(): void {
    const { order, timers, onCommit } = this.#parts;
    this.#step = "commit";
    this.#late.stop();
    this.#lateCommit = timers.after(LIMITS.reloadStepMsMax, () => this.#onLate());
    for (const seat of this.#all) {
      this.#awaited.add(seat);
      seat.worker?.send({ type: "commit", attempt: order.attempt });
    }
    onCommit();
    this.#settle();
  }

  #abandon(error: ProxyError): void {
    const { attempt } = this.#parts.order;
    for (const { worker } of this.#all) worker?.send({ type: "abandon", attempt });
    this.#done.reject(error);
    this.#end();
  }

  #onLate(): void {
    const slots = [...this.#awaited].map(({ slot }) => slot).join();
    if (this.#step === "prepare") {
      const what = `worker ${slots} has not made it ready within ${LIMITS.reloadStepMsMax / 1000} s`;
      return this.#abandon(new ProxyError("WORKER_FAILED", what));
    }
    // Whoever is started in its place has what all others have.
    for (const { worker } of this.#awaited) worker?.kill();
  }

  #end(): void {
    this.#step = "over";
    this.#late.stop();
    this.#lateCommit?.stop();
    this.#done.resolve();
  }
}

/** All attempts of one crew, and which configuration each of its workers has. */
export class CrewReloads {
  readonly #timers: Timers;
  readonly #open = new Set<CrewReload>();
  /** The number of the configuration that each worker was started with. */
  readonly #startedWith = new WeakMap<Seat, number>();
  /** What was put to work last; null: what the crew began with. */
  #latest: PrepareOrder | null = null;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** One is neither at work nor dropped yet. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  /** As `CrewReload.done`. */
  run(order: PrepareOrder, seats: readonly Seat[], onCommit: () => void): Promise<void> {
    return this.#attempt(order, seats, () => {
      this.#latest = order;
      onCommit();
    });
  }

  async #attempt(order: PrepareOrder, seats: readonly Seat[], onCommit: () => void): Promise<void> {
    const reload = new CrewReload({ order, seats, timers: this.#timers, onCommit });
    this.#open.add(reload);
    try {
      await reload.done;
    } finally {
      this.#open.delete(reload);
    }
  }

  onLaunch(seat: Seat, generation: number): void {
    this.#startedWith.set(seat, generation);
  }

  /**
   * A worker serves. Where it was started with a configuration that is no longer the one at work, it gets that, or ends; and then the one that
   * is at work by then, or is being made ready.
   */
  onReady(seat: Seat): void {
    const order = this.#latest;
    if (order === null || (this.#startedWith.get(seat) ?? Infinity) >= order.generation) {
      for (const reload of this.#open) reload.join(seat);
      return;
    }
    this.onLaunch(seat, order.generation);
    const { worker } = seat;
    // Another one may be in its seat by then.
    const isThere = (): boolean => worker !== null && seat.worker === worker;
    this.#attempt(order, [seat], () => undefined).then(
      () => isThere() && this.onReady(seat),
      () => isThere() && worker?.kill(),
    );
  }

  onReport(seat: Seat, report: ReloadReport): void {
    for (const reload of [...this.#open]) reload.onReport(seat, report);
  }

  onEnded(seat: Seat): void {
    for (const reload of [...this.#open]) reload.onEnded(seat);
  }

  /** All shall end. */
  stop(): void {
    for (const reload of [...this.#open]) reload.stop();
  }
}
