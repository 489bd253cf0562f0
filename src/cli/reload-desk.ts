/**
 * Reloads: reads the configuration again, or goes back to a former one, decides how the program goes over to it, and keeps account. One
 * at a time; whoever asks meanwhile shares the next one, so that the last word always counts. One that needs new workers while former ones
 * still finish steps aside until these are gone, and others go on.
 */
import { fileDigests } from "../control/file-digests.ts";
import { planReload, type Weighed } from "../control/reload-plan.ts";
import type { ReloadStatus, RenewalOutcome } from "../control/renewal.ts";
import { must } from "../core/assert.ts";
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Logger } from "../observe/log.ts";
import type { Timers } from "../runtime/timers.ts";
import { type Configuration, parseConfiguration, readConfigurationAgain } from "./configuration.ts";
import type { ReloadLedger } from "./reload-ledger.ts";

/** How far a renewal is, for people. */
export type Tell = ((progress: string) => void) | undefined;

/** Workers that finish what they have: no others are started before they are gone. */
export interface Leaving {
  readonly generation: number;
  /** How long they may still take, milliseconds. */
  readonly leftMs: number;
  readonly gone: Promise<void>;
}

/** What a desk works on. */
export interface ReloadPorts {
  readonly log: Logger;
  readonly timers: Timers;
  /** Of the configuration at work. */
  readonly generation: () => number;
  /** Throws `ProxyError` for a configuration that this program cannot go over to, or that names what is not there. */
  readonly check: (configuration: Configuration) => void;
  /** Puts it to work in the processes that serve, and gives its number. Throws `ProxyError` with everything as before. */
  readonly inPlace: (configuration: Configuration) => Promise<number>;
  /** The same by other workers; null where there are none. */
  readonly byNewWorkers: ((configuration: Configuration, tell: Tell) => Promise<RenewalOutcome>) | null;
  /** Null while no others would have to be waited for. */
  readonly leaving: () => Leaving | null;
}

/** What can be asked for. */
export type ReloadKind = "reload" | "rollback";

/** Something that waits for its turn, or for workers that leave. */
interface Waiting {
  /** Null: something else. */
  readonly kind: ReloadKind | null;
  /** Null: it has stepped aside. */
  readonly run: (tell: Tell) => Promise<RenewalOutcome | null>;
  readonly answer: PromiseWithResolvers<RenewalOutcome>;
  /** Of all that share it: there are no more than peers of the control socket. */
  readonly tells: NonNullable<Tell>[];
}

/** Takes what is asked for. */
export class ReloadDesk {
  readonly #ports: ReloadPorts;
  #configuration: Configuration;
  /** Null: what the files held could not be read, so that the next reload is a change in any case. */
  #weighed: Weighed | null;
  #ledger: ReloadLedger;
  #isBusy = false;
  #queue: readonly Waiting[] = [];
  /** The one that has stepped aside. */
  #aside: Waiting | null = null;
  #told = false;

  constructor(configuration: Configuration, ports: ReloadPorts, before: ReloadLedger | null = null) {
    this.#ports = ports;
    this.#configuration = configuration;
    this.#weighed = weigh(configuration);
    this.#ledger = before ?? {
      ...{
        sinceEpochMs: ports.timers.epochMs(),
        lastSuccessEpochMs: null,
        lastFailureEpochMs: null,
        lastSuccessful: true,
      },
      reloads: { in_place: 0, new_workers: 0, unchanged: 0, failed: 0 },
      former: [],
      isReloadPending: false,
    };
  }

  /** To be left to another program. */
  get ledger(): ReloadLedger {
    const isReloadPending = [this.#aside, ...this.#queue].some((waiting) => waiting?.kind === "reload");
    return { ...this.#ledger, isReloadPending };
  }

  get status(): ReloadStatus {
    const { sinceEpochMs: atWorkSinceEpochMs, former, isReloadPending: _, ...rest } = this.#ledger;
    return { atWorkSinceEpochMs, kept: former.length, ...rest };
  }

  /** Never rejects for a `ProxyError`. While another one runs, all that ask for the same share the next one. */
  ask(kind: ReloadKind, tell: Tell): Promise<RenewalOutcome> {
    const last = this.#queue.at(-1);
    if (last?.kind === kind) {
      if (tell !== undefined) last.tells.push(tell);
      return last.answer.promise;
    }
    return this.#enqueue(kind, (tellAll) => this.#renew(kind, tellAll), tell);
  }

  /** Runs something else that changes what is at work, when its turn comes. */
  alone(job: () => Promise<RenewalOutcome>): Promise<RenewalOutcome> {
    return this.#enqueue(null, job, undefined);
  }

  /** Another configuration is at work, whoever has put it there. */
  onAtWork(configuration: Configuration, generation: number): void {
    const { path, text } = this.#configuration;
    const epochMs = this.#ports.timers.epochMs();
    const former = { generation: generation - 1, sinceEpochMs: this.#ledger.sinceEpochMs, path, text };
    if (text !== configuration.text)
      this.#ledger = {
        ...this.#ledger,
        former: [...this.#ledger.former, former].slice(-LIMITS.configurationsKeptMax),
      };
    this.#ledger = { ...this.#ledger, sinceEpochMs: epochMs };
    this.#configuration = configuration;
    this.#weighed = weigh(configuration);
  }

  #enqueue(kind: Waiting["kind"], run: Waiting["run"], tell: Tell): Promise<RenewalOutcome> {
    if (this.#queue.length >= LIMITS.renewalsWaitingMax) {
      if (kind !== null) this.#account(kind, TOO_MANY);
      return Promise.resolve(TOO_MANY);
    }
    const answer = Promise.withResolvers<RenewalOutcome>();
    this.#queue = [...this.#queue, { kind, run, answer, tells: tell === undefined ? [] : [tell] }];
    if (!this.#isBusy) void this.#runAll();
    return answer.promise;
  }

  async #runAll(): Promise<void> {
    this.#isBusy = true;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      this.#queue = this.#queue.slice(1);
      await this.#run(next);
    }
    this.#isBusy = false;
  }

  async #run(waiting: Waiting): Promise<void> {
    try {
      const outcome = await waiting.run(tellAll(waiting));
      if (outcome === null) return this.#stepAside(waiting);
      if (outcome.ok) this.#settleAside(waiting.kind, outcome);
      waiting.answer.resolve(outcome);
    } catch (thrown) {
      waiting.answer.reject(thrown);
    }
  }

  /** It comes again when the workers before are gone, with the file as it is then, unless another one has made it needless. */
  #stepAside(waiting: Waiting): void {
    const { log, timers } = this.#ports;
    const leaving = must(this.#ports.leaving(), "it waits for somebody");
    const before = this.#aside;
    if (before !== null && before.kind === waiting.kind) {
      before.tells.push(...waiting.tells);
      before.answer.promise.then(waiting.answer.resolve, waiting.answer.reject);
      return tellWait(before, leaving);
    }
    before?.answer.resolve(superseded(waiting.kind));
    this.#aside = waiting;
    const most = { waits_for: leaving.generation, most_ms: Math.ceil(leaving.leftMs) };
    log.info(`${waiting.kind} waits for workers that finish what they have`, most);
    tellWait(waiting, leaving);
    const telling = timers.every(LIMITS.renewalWordMs, () => {
      if (this.#aside === waiting) tellWait(waiting, leaving);
    });
    void leaving.gone.then(() => {
      telling.stop();
      if (this.#aside !== waiting) return;
      this.#aside = null;
      this.#queue = [waiting, ...this.#queue];
      if (!this.#isBusy) void this.#runAll();
    });
  }

  /** What is at work now is what the file says, or what was asked for since. */
  #settleAside(kind: Waiting["kind"], outcome: RenewalOutcome): void {
    const aside = this.#aside;
    this.#aside = null;
    aside?.answer.resolve(aside.kind === kind ? outcome : superseded(kind));
  }

  async #renew(kind: ReloadKind, tell: Tell): Promise<RenewalOutcome | null> {
    this.#told = false;
    const outcome = await this.#tryRenew(kind, tell);
    if (outcome !== null) this.#account(kind, outcome);
    return outcome;
  }

  #account(kind: ReloadKind, outcome: RenewalOutcome): void {
    const epochMs = this.#ports.timers.epochMs();
    const { log } = this.#ports;
    const how = outcome.ok ? (outcome.how ?? "new_workers") : "failed";
    const reloads = { ...this.#ledger.reloads, [how]: this.#ledger.reloads[how] + 1 };
    this.#ledger = { ...this.#ledger, reloads, lastSuccessful: outcome.ok };
    if (outcome.ok) {
      this.#ledger = { ...this.#ledger, lastSuccessEpochMs: epochMs };
      log.info(`${kind} done`, { generation: outcome.generation, how, changes: outcome.text ?? "" });
    } else {
      this.#ledger = { ...this.#ledger, lastFailureEpochMs: epochMs };
      // What new workers could not do has been told by whoever starts them.
      if (!this.#told) log.error("renewal failed: all stays as it is", { reason: outcome.reason, what: kind });
    }
  }

  async #tryRenew(kind: ReloadKind, tell: Tell): Promise<RenewalOutcome | null> {
    const former = this.#ledger.former;
    try {
      const target = kind === "rollback" ? former.at(-1) : null;
      if (target === undefined) return { ok: false, reason: "no configuration before this one is known", remedy: null };
      const configuration =
        target === null
          ? readConfigurationAgain(this.#configuration.path)
          : parseConfiguration(target.path, target.text);
      const outcome = await this.#goOver(configuration, tell);
      if (target === null || outcome === null || !outcome.ok) return outcome;
      this.#ledger = { ...this.#ledger, former: former.slice(0, -1) };
      const since = new Date(target.sinceEpochMs).toISOString();
      const back = `back to the configuration of generation ${target.generation}, at work since ${since}`;
      return { ...outcome, text: `${back}; ${outcome.text ?? ""}; the file ${target.path} stays as it is` };
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      return { ok: false, reason: thrown.message, remedy: thrown.remedy };
    }
  }

  /** Null: it has to wait for workers that leave. */
  async #goOver(configuration: Configuration, tell: Tell): Promise<RenewalOutcome | null> {
    const { generation, check, inPlace, byNewWorkers, leaving } = this.#ports;
    check(configuration);
    const after = { snapshot: configuration.snapshot, digests: fileDigests(configuration.snapshot) };
    const plan = this.#weighed === null ? UNKNOWN : planReload(this.#weighed, after);
    const changes = plan.changes.join("; ");
    if (plan.way === "nothing")
      return { ok: true, generation: generation(), how: "unchanged", text: "nothing has changed" };
    if (plan.way === "in-place") {
      const number = await inPlace(configuration);
      this.onAtWork(configuration, number);
      return { ok: true, generation: number, how: "in_place", text: `in place: ${changes}` };
    }
    const needs = plan.needs.join(", ");
    if (byNewWorkers === null)
      throw new ProxyError(
        "CONFIG_INVALID",
        `${needs} cannot be changed while one process serves without a supervisor`,
        {
          remedy: "restart it, or leave as it was what cannot be changed",
        },
      );
    if (leaving() !== null) return null;
    tell?.(`new workers, because of ${needs}`);
    const outcome = await byNewWorkers(configuration, tell);
    this.#told = !outcome.ok;
    if (!outcome.ok) return outcome;
    this.onAtWork(configuration, outcome.generation);
    return { ...outcome, how: "new_workers", text: `by new workers: ${changes}` };
  }
}

const TOO_MANY = {
  ok: false,
  reason: `${LIMITS.renewalsWaitingMax} others wait for their turn`,
  remedy: "ask again when they are done",
} as const;

function superseded(kind: Waiting["kind"]): RenewalOutcome {
  const reason = `it waited for workers that finish what they have, and ${kind ?? "an upgrade"} was asked for after it`;
  return { ok: false, reason, remedy: null };
}

function tellAll({ tells }: Waiting): Tell {
  return (text) => {
    for (const tell of tells) tell(text);
  };
}

function tellWait(waiting: Waiting, { generation, leftMs }: Leaving): void {
  const most = Math.ceil(leftMs / 1000);
  tellAll(waiting)?.(`it waits: generation ${generation} still finishes what it has, for ${most} s at most`);
}

const UNKNOWN = { way: "in-place", needs: [], changes: ["files that could not be read before"] } as const;

function weigh({ snapshot }: Configuration): Weighed | null {
  try {
    return { snapshot, digests: fileDigests(snapshot) };
  } catch {
    return null;
  }
}
