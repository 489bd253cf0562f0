/**
 * What a service manager is told (sd_notify(3)): that the program serves, reloads, stops, how it is, and, if it wants to know, that it still
 * lives. How it is told is a port.
 */
import { LIMITS } from "../core/limits.ts";
import type { Timers } from "../runtime/timers.ts";
import type { NodeControl, RenewalOutcome, RenewalRequest } from "./renewal.ts";

/** What a notice is made of. */
export interface ServiceNoticeParts {
  readonly timers: Timers;
  readonly control: NodeControl;
  readonly send: (text: string) => void;
  /** CLOCK_MONOTONIC, microseconds. */
  readonly monotonicUs: () => number;
  /** The manager ends a program that has not said for so long that it lives, milliseconds; null: it does not ask. */
  readonly watchdogMs: number | null;
}

/** From one word of a renewal that waits to the next, and then to its end: two steps after new workers have started. */
const RENEWAL_WAIT_US = (LIMITS.renewalWordMs + LIMITS.workerStartMsMax + 2 * LIMITS.reloadStepMsMax) * 1000;

/** Tells the manager. */
export class ServiceNotice {
  readonly #parts: ServiceNoticeParts;
  #stopping = false;

  constructor(parts: ServiceNoticeParts) {
    this.#parts = parts;
    const { timers, watchdogMs } = parts;
    // Half the time, as sd_watchdog_enabled(3) advises.
    if (watchdogMs !== null) timers.every(watchdogMs / 2, () => this.#onWatchdog());
  }

  /** It serves. */
  serving(): void {
    this.#send("READY=1", `STATUS=${this.#state()}`);
  }

  /** It has been told to stop, which takes so long at most. */
  stopping(mostMs: number): void {
    this.#stopping = true;
    const seconds = Math.ceil(mostMs / 1000);
    this.#send(
      "STOPPING=1",
      `EXTEND_TIMEOUT_USEC=${mostMs * 1000}`,
      `STATUS=finishing requests, for ${seconds} s at most`,
    );
  }

  /** A control whose renewals the manager hears of: from `RELOADING=1` to `READY=1`, whatever comes of them. */
  around(control: NodeControl): NodeControl {
    return {
      renew: (request, tell) => this.#renew(control, request, tell),
      reopenLogs: () => control.reopenLogs(),
      status: () => control.status(),
      vitals: () => control.vitals(),
    };
  }

  async #renew(
    control: NodeControl,
    request: RenewalRequest,
    tell?: (progress: string) => void,
  ): Promise<RenewalOutcome> {
    if (!this.#stopping)
      this.#send("RELOADING=1", `MONOTONIC_USEC=${this.#parts.monotonicUs()}`, `STATUS=${request.kind} under way`);
    const outcome = await control.renew(request, tell && this.#hearing(request, tell));
    if (this.#stopping) return outcome;
    const failure = outcome.ok ? "" : `${request.kind} failed (${outcome.reason}); `;
    this.#send("READY=1", `STATUS=${failure}${this.#state()}`);
    return outcome;
  }

  /**
   * A renewal that waits for workers which finish may take longer than the manager gives it (90 s), and be a failure to whoever has asked by
   * `systemctl reload`. That one asks by the control socket, so whoever listens to no words need not be given more time.
   */
  #hearing({ kind }: RenewalRequest, tell: (progress: string) => void): (progress: string) => void {
    return (progress) => {
      if (!this.#stopping) this.#send(`EXTEND_TIMEOUT_USEC=${RENEWAL_WAIT_US}`, `STATUS=${kind}: ${progress}`);
      tell(progress);
    };
  }

  #state(): string {
    const { control } = this.#parts;
    const { serving } = control.vitals();
    return `generation ${control.status().generation} serves, workers: ${serving}`;
  }

  /** A supervisor kills and replaces workers that fall silent; where that does not help, starting it anew may. */
  #onWatchdog(): void {
    const { serving, starting } = this.#parts.control.vitals();
    if (serving + starting > 0) this.#send("WATCHDOG=1");
  }

  /** One line each. */
  #send(...lines: readonly string[]): void {
    this.#parts.send(lines.map((line) => line.replaceAll(/[\n\r\0]/g, " ")).join("\n"));
  }
}
