/** A control socket over a program that only pretends, and somebody who speaks to it without our client. */
import { join } from "node:path";
import { connect, type Socket } from "node:net";
import { ControlSocket } from "../../src/control/control-socket.ts";
import type { NodeControl, NodeStatus, RenewalOutcome, RenewalRequest, Vitals } from "../../src/control/renewal.ts";
import { Counters } from "../../src/core/counters.ts";
import { ManualTimers } from "./manual-timers.ts";
import { RememberingLog } from "./remembering-log.ts";
import { tempFolder } from "./temp.ts";

/** A program that renews when the test says so. */
export class FakeNode implements NodeControl {
  readonly asked: RenewalRequest[] = [];
  readonly counts: Record<string, number> = {};
  reopened = 0;
  generation = 1;
  notice: string | null = null;
  /** Settles the renewal that was asked for last. */
  settle: (outcome: RenewalOutcome) => void = () => undefined;
  tell: (progress: string) => void = () => undefined;
  #onAsked: (() => void)[] = [];

  renew(request: RenewalRequest, tell: (progress: string) => void = () => undefined): Promise<RenewalOutcome> {
    this.asked.push(request);
    this.tell = tell;
    for (const resolve of this.#onAsked) resolve();
    return new Promise((resolve) => (this.settle = resolve));
  }

  /** Resolves when a renewal has been asked for. */
  async awaitAsked(): Promise<void> {
    if (this.asked.length === 0) await new Promise<void>((resolve) => this.#onAsked.push(resolve));
  }

  reopenLogs(): void {
    this.reopened += 1;
  }

  vitals(): Vitals {
    return { serving: 1, starting: 0, isStopping: false, unusablePools: [] };
  }

  status(): NodeStatus {
    const worker = { slot: 0, pid: 4242, phase: "serving", connections: 3, unusablePools: [] } as const;
    return {
      pid: 4241,
      version: "1.2.3",
      generation: this.generation,
      configPath: "/etc/spooky/config.yaml",
      listeners: ["0.0.0.0:443"],
      startedEpochMs: Date.UTC(2026, 0, 1),
      configuration: {
        ...{ atWorkSinceEpochMs: 6, lastSuccessEpochMs: null, lastFailureEpochMs: null, lastSuccessful: true, kept: 0 },
        reloads: { in_place: 0, new_workers: 0, unchanged: 0, failed: 0 },
      },
      crews: [{ generation: this.generation, role: "active", workers: [worker] }],
      counts: this.counts,
      notice: this.notice,
    };
  }
}

/** A socket that listens in a folder of its own. */
export class ControlBed {
  readonly node = new FakeNode();
  readonly log = new RememberingLog();
  readonly timers = new ManualTimers();
  readonly counters = new Counters();
  readonly folder = tempFolder("control");
  readonly path = join(this.folder, "control.sock");

  open(setting: string | null = this.path, env: Readonly<Record<string, string>> = {}): Promise<ControlSocket> {
    const { node: control, log, timers, counters } = this;
    return ControlSocket.open(setting, { control, log, timers, counters, env });
  }
}

/** Somebody who says what he likes, and hears lines. */
export class RawPeer {
  readonly socket: Socket;
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;
  #text = "";
  #onText: (() => void)[] = [];
  #over = false;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on("data", (bytes) => {
      this.#text += String(bytes);
      this.#wake();
    });
    this.socket.on("error", () => undefined);
    this.ended = new Promise((resolve) =>
      this.socket.once("close", () => {
        this.#over = true;
        this.#wake();
        resolve();
      }),
    );
  }

  /** Resolves when it is connected. */
  async connected(): Promise<this> {
    if (this.socket.connecting) await new Promise((resolve) => this.socket.once("connect", resolve));
    return this;
  }

  say(text: string): void {
    this.socket.write(text);
  }

  /** The next line as what it says; null when the connection ended before one came. */
  async hear(): Promise<unknown> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return JSON.parse(line);
      }
      if (this.#over) return null;
      await new Promise<void>((resolve) => this.#onText.push(resolve));
    }
  }

  #wake(): void {
    const waiting = this.#onText;
    this.#onText = [];
    for (const resolve of waiting) resolve();
  }
}
