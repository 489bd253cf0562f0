/** A desk for reloads over a file that the test writes, and processes that do what the test says. */
import { readFileSync, writeFileSync } from "node:fs";
import { type Configuration, readConfiguration } from "../../src/cli/configuration.ts";
import { type Leaving, ReloadDesk } from "../../src/cli/reload-desk.ts";
import type { ReloadLedger } from "../../src/cli/reload-ledger.ts";
import type { RenewalOutcome } from "../../src/control/renewal.ts";
import { ProxyError } from "../../src/core/error.ts";
import { testCertificateFiles } from "./certs.ts";
import { ManualTimers } from "./manual-timers.ts";
import { proxyConfig } from "./proxy.ts";
import { RememberingLog } from "./remembering-log.ts";
import { tempFolder, writeTemp } from "./temp.ts";

interface Leaver extends Leaving {
  /** The last of them has ended. */
  finish(): void;
}

/** A desk with all that it works on. */
export class DeskBed {
  readonly timers = new ManualTimers();
  readonly log = new RememberingLog();
  readonly path: string;
  readonly desk: ReloadDesk;
  /** What was put to work: how, and the weight of the only backend. */
  readonly done: string[] = [];
  /** Progress that was told to the last who asked. */
  readonly heard: string[] = [];
  generation = 1;
  /** Workers that finish what they have. */
  leaver: Leaver | null = null;
  /** What is put to work in place waits for this. */
  slowly: Promise<void> = Promise.resolve();
  /** Those that cannot be told fail with these words. */
  failure: string | null = null;

  static async open(before: ReloadLedger | null = null): Promise<DeskBed> {
    const pools = [{ prefix: "/", backends: [{ address: "127.0.0.1:1", weight: 1 }] }];
    const text = proxyConfig({ pools, extra: { workers: 1 } }, await testCertificateFiles());
    return new DeskBed(writeTemp(tempFolder("desk"), "config.yaml", text), before);
  }

  private constructor(path: string, before: ReloadLedger | null) {
    this.path = path;
    const ports = {
      ...{ log: this.log, timers: this.timers, generation: () => this.generation },
      check: () => undefined,
      inPlace: (configuration: Configuration) => this.#put("in place", configuration),
      byNewWorkers: async (configuration: Configuration): Promise<RenewalOutcome> => {
        const generation = await this.#put("by new workers", configuration);
        return { ok: true, generation };
      },
      leaving: () => this.leaver,
    };
    this.desk = new ReloadDesk(readConfiguration(path), ports, before);
  }

  /** Changes what can be changed in place. */
  reweigh(weight: number): void {
    this.change((text) => text.replace(/"weight": \d+/, `"weight": ${weight}`));
  }

  /** Changes what needs new workers. */
  employ(workers: number): void {
    this.change((text) => text.replace(/"workers": \d+/, `"workers": ${workers}`));
  }

  change(change: (text: string) => string): void {
    writeFileSync(this.path, change(readFileSync(this.path, "utf8")));
  }

  ask(kind: "reload" | "rollback" = "reload"): Promise<RenewalOutcome> {
    return this.desk.ask(kind, (text) => this.heard.push(text));
  }

  /** From now on workers of that generation finish what they have. */
  retire(generation: number, leftMs: number): void {
    const gone = Promise.withResolvers<void>();
    const untilMs = this.timers.nowMs() + leftMs;
    const { timers } = this;
    const finish = (): void => {
      this.leaver = null;
      gone.resolve();
    };
    this.leaver = {
      ...{ generation, gone: gone.promise, finish },
      get leftMs() {
        return untilMs - timers.nowMs();
      },
    };
  }

  async #put(how: string, { snapshot }: Configuration): Promise<number> {
    await this.slowly;
    if (this.failure !== null) throw new ProxyError("WORKER_FAILED", this.failure);
    this.done.push(`${how}: ${snapshot.pools[0]?.backends[0]?.weight ?? 0}`);
    return (this.generation += 1);
  }
}

/** Everything that can go on without time or processes has. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
