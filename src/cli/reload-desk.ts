/**
 * Reloads: reads the configuration again, or goes back to a former one, decides how the program goes over to it, and keeps account. One
 * at a time; whoever asks meanwhile shares the next one, so that the last word always counts.
 */
import { fileDigests } from "../control/file-digests.ts";
import { planReload, type Weighed } from "../control/reload-plan.ts";
import type { ReloadResult, ReloadStatus, RenewalOutcome } from "../control/renewal.ts";
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Logger } from "../observe/log.ts";
import { type Configuration, parseConfiguration, readConfigurationAgain } from "./configuration.ts";

/** How far a renewal is, for people. */
export type Tell = ((progress: string) => void) | undefined;

/** What a desk works on. */
export interface ReloadPorts {
  readonly log: Logger;
  readonly epochMs: () => number;
  /** Of the configuration at work. */
  readonly generation: () => number;
  /** Throws `ProxyError` for a configuration that this program cannot go over to, or that names what is not there. */
  readonly check: (configuration: Configuration) => void;
  /** Puts it to work in the processes that serve, and gives its number. Throws `ProxyError` with everything as before. */
  readonly inPlace: (configuration: Configuration) => Promise<number>;
  /** The same by other workers; null where there are none. */
  readonly byNewWorkers: ((configuration: Configuration, tell: Tell) => Promise<RenewalOutcome>) | null;
}

/** A configuration that was at work. */
export interface FormerConfiguration {
  readonly generation: number;
  readonly sinceEpochMs: number;
  readonly path: string;
  readonly text: string;
}

/** What outlives the program. */
export interface ReloadLedger {
  readonly sinceEpochMs: number;
  readonly lastSuccessEpochMs: number | null;
  readonly lastFailureEpochMs: number | null;
  readonly lastSuccessful: boolean;
  readonly reloads: Readonly<Record<ReloadResult, number>>;
  /** The latest comes last. */
  readonly former: readonly FormerConfiguration[];
}

type Kind = "reload" | "rollback";

interface Waiting {
  readonly kind: Kind;
  readonly outcome: Promise<RenewalOutcome>;
  readonly tells: Tell[];
}

/** Takes what is asked for. */
export class ReloadDesk {
  readonly #ports: ReloadPorts;
  #configuration: Configuration;
  /** Null: what the files held could not be read, so that the next reload is a change in any case. */
  #weighed: Weighed | null;
  #ledger: ReloadLedger;
  #running: Promise<unknown> | null = null;
  #waiting: Waiting | null = null;
  #told = false;

  constructor(configuration: Configuration, ports: ReloadPorts, before: ReloadLedger | null = null) {
    this.#ports = ports;
    this.#configuration = configuration;
    this.#weighed = weigh(configuration);
    this.#ledger = before ?? {
      ...{ sinceEpochMs: ports.epochMs(), lastSuccessEpochMs: null, lastFailureEpochMs: null, lastSuccessful: true },
      reloads: { in_place: 0, new_workers: 0, unchanged: 0, failed: 0 },
      former: [],
    };
  }

  get ledger(): ReloadLedger {
    return this.#ledger;
  }

  get status(): ReloadStatus {
    const { sinceEpochMs: atWorkSinceEpochMs, former, ...rest } = this.#ledger;
    return { atWorkSinceEpochMs, kept: former.length, ...rest };
  }

  /** Nothing runs and nothing waits. */
  get isIdle(): boolean {
    return this.#running === null;
  }

  /** Never rejects for a `ProxyError`. While another one runs, all that ask for the same share the next one. */
  ask(kind: Kind, tell: Tell): Promise<RenewalOutcome> {
    if (this.#running === null) return this.#begin(() => this.#renew(kind, tell));
    if (this.#waiting?.kind === kind) {
      this.#waiting.tells.push(tell);
      return this.#waiting.outcome;
    }
    const before = this.#waiting?.outcome ?? this.#running;
    const tells = [tell];
    const outcome = before.then(() => {
      if (this.#waiting?.tells === tells) this.#waiting = null;
      return this.#begin(() => this.#renew(kind, (text) => tells.forEach((each) => each?.(text))));
    });
    this.#waiting = { kind, outcome, tells };
    return outcome;
  }

  /** Runs something else that changes what is at work, after what runs now; reloads wait for it. */
  async alone(job: () => Promise<RenewalOutcome>): Promise<RenewalOutcome> {
    while (this.#running !== null) await this.#running;
    return this.#begin(job);
  }

  /** Another configuration is at work, whoever has put it there. */
  onAtWork(configuration: Configuration, generation: number): void {
    const { path, text } = this.#configuration;
    const epochMs = this.#ports.epochMs();
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

  #begin(job: () => Promise<RenewalOutcome>): Promise<RenewalOutcome> {
    const outcome = job();
    const settled = outcome.then(
      () => undefined,
      () => undefined,
    );
    const running = settled.then(() => {
      if (this.#running === running) this.#running = null;
    });
    this.#running = running;
    return outcome;
  }

  async #renew(kind: Kind, tell: Tell): Promise<RenewalOutcome> {
    this.#told = false;
    const outcome = await this.#tryRenew(kind, tell);
    const epochMs = this.#ports.epochMs();
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
    return outcome;
  }

  async #tryRenew(kind: Kind, tell: Tell): Promise<RenewalOutcome> {
    const former = this.#ledger.former;
    try {
      const target = kind === "rollback" ? former.at(-1) : null;
      if (target === undefined) return { ok: false, reason: "no configuration before this one is known", remedy: null };
      const configuration =
        target === null
          ? readConfigurationAgain(this.#configuration.path)
          : parseConfiguration(target.path, target.text);
      const outcome = await this.#goOver(configuration, tell);
      if (target === null || !outcome.ok) return outcome;
      this.#ledger = { ...this.#ledger, former: former.slice(0, -1) };
      const since = new Date(target.sinceEpochMs).toISOString();
      const back = `back to the configuration of generation ${target.generation}, at work since ${since}`;
      return { ...outcome, text: `${back}; ${outcome.text ?? ""}; the file ${target.path} stays as it is` };
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      return { ok: false, reason: thrown.message, remedy: thrown.remedy };
    }
  }

  async #goOver(configuration: Configuration, tell: Tell): Promise<RenewalOutcome> {
    const { generation, check, inPlace, byNewWorkers } = this.#ports;
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
    tell?.(`new workers, because of ${needs}`);
    const outcome = await byNewWorkers(configuration, tell);
    this.#told = !outcome.ok;
    if (!outcome.ok) return outcome;
    this.onAtWork(configuration, outcome.generation);
    return { ...outcome, how: "new_workers", text: `by new workers: ${changes}` };
  }
}

const UNKNOWN = { way: "in-place", needs: [], changes: ["files that could not be read before"] } as const;

function weigh({ snapshot }: Configuration): Weighed | null {
  try {
    return { snapshot, digests: fileDigests(snapshot) };
  } catch {
    return null;
  }
}
