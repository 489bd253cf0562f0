/**
 * Crews of workers over time: one takes new connections, and when another one takes over from it, it finishes what it has. At most two
 * are there at any time. Policy only: sockets, programs and the kernel are behind ports.
 */
import { assert, must } from "../core/assert.ts";
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { slotsOfBank } from "../quic/steer.ts";
import type { TimerHandle } from "../runtime/timers.ts";
import { CounterSums } from "./counter-sums.ts";
import { Crew } from "./crew.ts";
import { type Ending, worstOf } from "./ending.ts";
import type { CrewBefore, CrewParts } from "./crew-parts.ts";
import type { SupervisorHandover } from "./handover.ts";
import { Steering } from "./steering-ways.ts";
import {
  type Configured,
  type CrewLayout,
  type CrewPlan,
  layoutOf,
  OWN_COUNTS,
  RETIRED_PLAN,
  stillFinishes,
  type Refused,
  stops,
  statusOfCrew,
  type SupervisorBefore,
  type SupervisorParts,
} from "./supervisor-parts.ts";
import type { ReopenOrder, SecretsOrder } from "./worker-link.ts";
import type { CrewStatus, SeatStatus, RenewalOutcome } from "./renewal.ts";

/** Watches all crews. */
export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly sums: CounterSums;
  readonly #ticking: TimerHandle;
  #generation = 0;
  #attempts = 0;
  #active: Crew | null = null;
  #starting: Crew | null = null;
  #draining: Crew | null = null;
  readonly #steering: Steering;
  #leaving = false;
  #stopping = false;
  #stopped: (() => void)[] = [];
  /** Of workers that have ended after their crew was retired. */
  #nativeHandlesGone: number;
  readonly #counts = { worker_restarts: 0, renewals: 0, renewals_failed: 0 };

  /** With `before` it goes on at once; else it is started. */
  constructor(parts: SupervisorParts, before: SupervisorBefore | null = null) {
    this.#parts = parts;
    this.#steering = new Steering(parts);
    this.sums = new CounterSums(before?.handover);
    this.#nativeHandlesGone = before?.handover.nativeHandlesGone ?? 0;
    this.#ticking = parts.timers.every(LIMITS.heartbeatMs, () => this.#tick());
    if (before !== null) this.#goOn(before);
  }

  #goOn({ handover, adopt, plan, onDrainingGone }: SupervisorBefore): void {
    const { active, draining, own } = handover;
    for (const name of OWN_COUNTS) this.#counts[name] = own[name] ?? 0;
    this.#active = this.#makeCrew({ ...plan, ...layoutOf(active) }, { handover: active, state: "serving", adopt });
    if (draining !== null)
      this.#draining = this.#makeCrew(
        { ...RETIRED_PLAN, onGone: onDrainingGone, ...layoutOf(draining) },
        { handover: draining, state: "retired", adopt },
      );
    this.#generation = handover.generation;
    this.#steer();
  }

  /** What another program needs to go on; null while crews are on their way, and when all shall end. */
  handOver(): SupervisorHandover | null {
    const { alive, gone } = this.sums.handOver(this.#parts.counted?.());
    if (this.isStopping || this.#starting !== null || this.#active?.started !== true) return null;
    const active = this.#active.handOver();
    const draining = this.#draining?.handOver() ?? null;
    if (active === null || (draining === null) !== (this.#draining === null)) return null;
    const numbers = { generation: this.#generation, nativeHandlesGone: this.#nativeHandlesGone };
    return { ...numbers, active, draining, alive, gone, own: { ...this.#counts } };
  }

  /** All shall end, now or soon. */
  get isStopping(): boolean {
    return this.#leaving || this.#stopping;
  }

  /** All go on as before, and shall end soon: nothing new is begun any more. */
  announceStop(): void {
    this.#leaving = true;
  }

  /** Counters of all workers together, those that are gone included; and what became of workers and renewals. */
  get counts(): Record<string, number> {
    const own = Object.fromEntries(Object.entries(this.#counts).filter(([, count]) => count > 0));
    return { ...this.sums.sums(this.#parts.counted?.()), ...own };
  }

  /** Native objects that workers held when they last said so. */
  get nativeHandles(): number {
    return this.#crews.reduce((sum, crew) => sum + crew.nativeHandles, this.#nativeHandlesGone);
  }

  /** How all workers ended when they were told to: the worst end of any. */
  get ending(): Ending {
    return worstOf(this.#crews.map((crew) => crew.ending));
  }

  /** Of the crew that takes new connections. */
  get generation(): number {
    return this.#active?.generation ?? 0;
  }

  /** It finishes what it has, and no other crew is started before it is gone. Null when all shall end: no other crew is started at all. */
  get draining(): Pick<Crew, "generation" | "leftMs" | "gone"> | null {
    return this.isStopping ? null : this.#draining;
  }

  get crews(): readonly CrewStatus<SeatStatus>[] {
    return this.#crews.map((crew) => statusOfCrew(crew, this.#active, this.#draining));
  }

  /** Starts the first crew. Resolves when every worker serves; rejects when one ends or fails before, and nobody is left then. */
  async start(plan: CrewPlan): Promise<void> {
    assert(this.#generation === 0, "a supervisor starts once");
    const crew = this.#makeNextCrew(plan, 0);
    this.#active = crew;
    try {
      this.#steering.steerOrThrow(this.#steered, this.#draining);
      await crew.start();
    } catch (thrown) {
      this.#ticking.stop();
      throw thrown;
    }
  }

  /**
   * Starts another crew, lets it take the new connections once all its workers serve, and retires the one before. `prepare` is asked
   * only when nothing stands against it, and may throw a `ProxyError` as its answer. Never rejects for one. `tell` hears how far it is.
   */
  async renew(prepare: () => CrewPlan, tell?: (progress: string) => void): Promise<RenewalOutcome> {
    const outcome = this.#refusal() ?? (await this.#tryRenew(prepare, tell));
    this.#counts[outcome.ok ? "renewals" : "renewals_failed"] += 1;
    if (!outcome.ok) {
      this.#parts.log.error("renewal failed: all stays as it is", {
        reason: outcome.reason,
        generation: this.generation,
      });
    }
    return outcome;
  }

  /**
   * Puts another configuration to work in the workers that take new connections, where they are. Gives its number; throws a `ProxyError` with
   * everything as before.
   */
  async reload(configuration: Configured, drainMs: number, onCommit: () => void): Promise<number> {
    const [crew, refusal] = [this.#active, this.#busy()];
    if (refusal !== null || crew === null) throw new ProxyError("DRAINING", refusal?.reason ?? "nobody serves");
    const generation = this.#generation + 1;
    const order = { type: "prepare", attempt: (this.#attempts += 1), generation, ...configuration } as const;
    await crew.reload(order, drainMs, onCommit);
    return (this.#generation = generation);
  }

  /** Tells all to finish what runs; resolves when all have ended, by force after the drain time. */
  drain(): Promise<void> {
    return this.#stop((crew) => crew.drain());
  }

  /** Tells all to end now; resolves when they have. */
  end(): Promise<void> {
    return this.#stop((crew) => crew.end());
  }

  /** Secrets are for workers that take new connections, for others may be of another build. False while some start with those before. */
  tell(order: ReopenOrder | SecretsOrder): boolean {
    const isForAll = order.type === "reopen";
    if (!isForAll && this.#busy() !== null) return false;
    for (const crew of isForAll ? this.#crews : [this.#active]) crew?.tell(order);
    return true;
  }

  get #crews(): readonly Crew[] {
    return [this.#draining, this.#active, this.#starting].filter((crew) => crew !== null);
  }

  /** Why workers cannot be spoken to; null when they can. */
  #busy(): Refused | null {
    if (this.isStopping) return { ok: false, reason: "the program stops", remedy: null };
    const busy = this.#starting ?? (this.#active?.started === true ? null : this.#active);
    if (busy === null && this.#active !== null) return null;
    const reason = `generation ${busy?.generation ?? 1} is being started`;
    return { ok: false, reason, remedy: "ask again when it serves" };
  }

  /** Why there can be no renewal now; null when there can. */
  #refusal(): RenewalOutcome | null {
    const busy = this.#busy();
    return busy !== null || this.#draining === null ? busy : stillFinishes(this.#draining);
  }

  async #tryRenew(prepare: () => CrewPlan, tell?: (progress: string) => void): Promise<RenewalOutcome> {
    const before = must(this.#active, "a program that is renewed has a crew");
    try {
      const plan = prepare();
      const crew = this.#makeNextCrew(plan, before.slots.first === 0 ? 1 : 0);
      plan.onSlots(crew.slots);
      this.#starting = crew;
      this.#parts.log.info("crew starts", { generation: crew.generation, workers: crew.slots.count });
      tell?.(`generation ${crew.generation} starts, workers: ${crew.slots.count}`);
      await crew.start();
      const refused = this.#takeOver(crew, before);
      if (refused !== null) {
        crew.end();
        await crew.gone;
        throw refused;
      }
      before.retire(plan.onTakenOver());
      return { ok: true, generation: crew.generation };
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      return { ok: false, reason: thrown.message, remedy: thrown.remedy };
    }
  }

  /** Every worker of a new crew serves: from one datagram to the next all go their new ways. Null, or why not. */
  #takeOver(crew: Crew, before: Crew): ProxyError | null {
    // Between its last worker's word and here everything may have been told to end.
    if (this.#stopping) return stops();
    this.#starting = null;
    this.#active = crew;
    this.#draining = before;
    try {
      this.#steering.steerOrThrow(this.#steered, this.#draining);
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      this.#starting = crew;
      this.#active = before;
      this.#draining = null;
      return thrown;
    }
    this.#parts.log.info("crew has taken over", { generation: crew.generation, workers: crew.slots.count });
    return null;
  }

  #makeNextCrew(plan: CrewPlan, bank: number): Crew {
    this.#generation += 1;
    const slots = slotsOfBank(bank, this.#parts.bankSlots, plan.workers);
    return this.#makeCrew({ ...plan, generation: this.#generation, slots }, null);
  }

  #makeCrew(plan: CrewLayout & Pick<CrewPlan, "launch" | "onGone">, before: CrewBefore | null): Crew {
    const [{ timers, log }, { generation, slots, drainMs, launch }] = [this.#parts, plan];
    const parts: CrewParts = {
      ...{ generation, slots, timers, log, sums: this.sums, drainMs, launch },
      onRestart: () => void (this.#counts.worker_restarts += 1),
      onReadersChanged: () => this.#onReadersChanged(crew),
      onGone: () => {
        plan.onGone();
        this.#onGone(crew);
      },
    };
    const crew = new Crew(parts, before);
    return crew;
  }

  #onGone(crew: Crew): void {
    if (this.#stopping) return this.#settleStop();
    // A first crew that fails stays for its counts.
    if (crew === this.#active) return;
    this.#nativeHandlesGone += crew.nativeHandles;
    if (crew === this.#starting) this.#starting = null;
    if (crew !== this.#draining) return;
    this.#draining = null;
    this.#parts.log.info("crew is gone", { generation: crew.generation });
    this.#steer();
  }

  #onReadersChanged(crew: Crew): void {
    if (this.#stopping || crew === this.#starting) return;
    const slots = crew.slotsThatAre(false);
    if (crew === this.#active && slots.length > 0)
      this.#parts.log.warn("datagrams of slots without a worker go to others", { slots: slots.join() });
    this.#steer();
  }

  get #steered(): Crew {
    return must(this.#active, "there are workers to steer to");
  }

  /** The ways as they should be. */
  #steer(): void {
    this.#steering.steer(this.#steered, this.#draining);
  }

  #stop(tell: (crew: Crew) => void): Promise<void> {
    this.#stopping = true;
    return new Promise((resolve) => {
      this.#stopped.push(resolve);
      for (const crew of this.#crews) tell(crew);
      this.#settleStop();
    });
  }

  #settleStop(): void {
    if (!this.#crews.every((crew) => crew.isGone)) return;
    this.#ticking.stop();
    for (const resolve of this.#stopped) resolve();
    this.#stopped = [];
  }

  #tick(): void {
    for (const crew of this.#crews) crew.tick();
    if (this.#steering.isDue && !this.#stopping) this.#steer();
  }
}
