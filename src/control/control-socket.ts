/**
 * The control socket: how people and scripts tell a running program to upgrade, to reload, to open its logs anew and to say how it is. One
 * request at a time on each connection, each with its answers; what is sent is bounded in size, number and time.
 */
import { dirname } from "node:path";
import type { Counters } from "../core/counters.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Logger } from "../observe/log.ts";
import type { TimerHandle, Timers } from "../runtime/timers.ts";
import type { UnixHost, UnixStream } from "../runtime/unix-sockets.ts";
import {
  type ControlAnswer,
  type ControlRequest,
  readRequest,
  type Refusal,
  refusal,
  renewalOf,
  statusDocument,
  writeControl,
} from "./control-message.ts";
import { checkFolder, controlPlaces, type HeldPath, holdPath, isAbsent, prepareFolder } from "./control-place.ts";
import type { NodeControl } from "./renewal.ts";
import { LineCutter } from "./worker-link.ts";

/** What a control socket works on. */
export interface ControlParts {
  readonly control: NodeControl;
  readonly timers: Timers;
  readonly log: Logger;
  readonly counters: Counters;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Listens until it is closed. */
export class ControlSocket {
  readonly #parts: ControlParts;
  readonly #peers = new Set<ControlPeer>();
  #path: string | null = null;
  #held: HeldPath | null = null;
  /** Nobody shall find this program any more. */
  #hidden = false;
  /** Looks whether the file is still there. */
  #watching: TimerHandle | null = null;

  /**
   * `setting` is the configuration's `control.socket`. With a path, throws `CONTROL_SOCKET` when it cannot be had; with `auto` a line in the
   * log says why there is none.
   */
  static async open(setting: string | null, parts: ControlParts): Promise<ControlSocket> {
    const socket = new ControlSocket(parts);
    if (setting === "auto") await socket.#openSomewhere();
    else if (setting !== null) {
      checkFolder(dirname(setting));
      await socket.#openAt(setting);
    }
    return socket;
  }

  private constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  /** Where it listens; null for nowhere. */
  get path(): string | null {
    return this.#held?.path ?? null;
  }

  /**
   * The program is about to go on as another one, whose workers of this generation serve already: whoever waits for that is told to ask the
   * next one, and nobody finds this one any more. Resolves when they have heard it, soon in any case.
   */
  async announceReplacement(generation: number): Promise<void> {
    this.#hidden = true;
    this.#release();
    const waiting = [...this.#peers].filter((peer) => peer.awaitsRenewal);
    for (const peer of waiting) peer.sayReplacing(generation);
    const late = Promise.withResolvers<void>();
    const timer = this.#parts.timers.after(LIMITS.controlProbeMsMax, () => late.resolve());
    await Promise.race([Promise.all(waiting.map(({ closed }) => closed)), late.promise]);
    timer.stop();
  }

  /** There is no replacement after all. Never rejects: without a socket there are still signals. */
  async openAgain(): Promise<void> {
    this.#hidden = false;
    if (this.#held !== null || this.#path === null) return;
    const path = this.#path;
    await this.#openAt(path).catch((thrown: unknown) => {
      this.#parts.log.warn("no control socket", { reason: messageOf(thrown) });
    });
  }

  /** Ends all connections and removes the socket, unless another program has put its own there. Idempotent. */
  close(): void {
    this.#hidden = true;
    this.#release();
    for (const peer of this.#peers) peer.cut();
  }

  #release(): void {
    this.#watching?.stop();
    this.#watching = null;
    this.#held?.release();
    this.#held = null;
  }

  /** Cleaners of temporary folders, and people, remove the file of a program that runs. Whatever else stands there by now is let alone. */
  async #restore(path: string): Promise<void> {
    if (!isAbsent(path)) return;
    this.#release();
    try {
      prepareFolder(path);
      await this.#openAt(path);
      // Meanwhile the program may have ended, or be about to go on as another one.
      if (this.#hidden) return this.#release();
      this.#parts.log.warn("the control socket was gone and is made anew", { path });
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      if (!this.#hidden) this.#watch(path);
    }
  }

  #watch(path: string): void {
    this.#watching?.stop();
    this.#watching = this.#parts.timers.every(LIMITS.heartbeatMs, () => void this.#restore(path));
  }

  async #openSomewhere(): Promise<void> {
    const { env, log } = this.#parts;
    const places = controlPlaces(env);
    try {
      const place = places.find(prepareFolder);
      if (place !== undefined) return await this.#openAt(place);
      log.info("no control socket: there is no folder for it", { tried: places.join() });
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      log.warn("no control socket", { reason: thrown.message, remedy: thrown.remedy });
    }
  }

  async #openAt(path: string): Promise<void> {
    this.#held = await holdPath(path, (stream) => this.#onStream(stream));
    this.#path = path;
    this.#watch(path);
    this.#parts.log.info("control socket", { path });
  }

  #onStream(stream: UnixStream): UnixHost {
    const peer = new ControlPeer(stream, this.#parts, () => this.#peers.delete(peer));
    if (this.#peers.size >= LIMITS.controlConnectionsMax)
      peer.refuse(refusal("busy", `${LIMITS.controlConnectionsMax} others are connected already`, "try again"));
    this.#peers.add(peer);
    return peer;
  }
}

function doneOf({ generation, text }: { readonly generation: number; readonly text?: string }): ControlAnswer {
  return text === undefined ? { is: "done", generation } : { is: "done", generation, text };
}

/** Somebody connected. */
class ControlPeer implements UnixHost {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly #closed = Promise.withResolvers<void>();
  readonly #stream: UnixStream;
  readonly #parts: ControlParts;
  readonly #onGone: () => void;
  readonly #cutter = new LineCutter("", LIMITS.controlRequestCharactersMax);
  #idle: TimerHandle;
  #running: ControlRequest | null = null;
  #over = false;

  constructor(stream: UnixStream, parts: ControlParts, onGone: () => void) {
    this.closed = this.#closed.promise;
    this.#stream = stream;
    this.#parts = parts;
    this.#onGone = onGone;
    this.#idle = this.#waitForIdle();
  }

  /** A renewal that it asked for is under way. */
  get awaitsRenewal(): boolean {
    return this.#running !== null && renewalOf(this.#running) !== null;
  }

  onText(text: string): void {
    if (this.#over) return;
    const lines = this.#cutter.push(text);
    if (lines === null) return this.refuse(refusal("form", "the request is too long"));
    for (const line of lines) {
      if (this.#over) return;
      if (this.#running !== null) return this.refuse(refusal("busy", "one request at a time: the one before runs"));
      this.#onLine(line);
    }
  }

  onClosed(): void {
    this.#over = true;
    this.#idle.stop();
    this.#onGone();
    this.#closed.resolve();
  }

  /** Says no to what is no request, and ends the connection. */
  refuse(answer: Refusal): void {
    this.#parts.counters.controlRefusals += 1;
    this.#say(answer);
    this.#end();
  }

  sayReplacing(generation: number): void {
    this.#say({ is: "replacing", generation });
    this.#end();
  }

  /** Ends the connection now. */
  cut(): void {
    this.#over = true;
    this.#stream.destroy();
  }

  #onLine(line: string): void {
    const request = readRequest(line);
    if ("is" in request) return this.refuse(request);
    this.#idle.stop();
    const { control, log } = this.#parts;
    if (request.do === "status") this.#say({ is: "status", status: statusDocument(control.status()) });
    else log.info("asked for by the control socket", { what: request.do });
    if (request.do === "reopen") {
      control.reopenLogs();
      this.#say({ is: "done", generation: control.status().generation });
    }
    const renewal = renewalOf(request);
    if (renewal === null) {
      this.#idle = this.#waitForIdle();
      return;
    }
    this.#running = request;
    const tell = (text: string): void => this.#say({ is: "progress", text });
    void control.renew(renewal, tell).then((outcome) => {
      this.#running = null;
      if (outcome.ok) this.#say(doneOf(outcome));
      else this.#say({ is: "refused", code: "failed", reason: outcome.reason, remedy: outcome.remedy });
      this.#idle = this.#waitForIdle();
    });
  }

  #say(answer: ControlAnswer): void {
    if (this.#over) return;
    this.#stream.send(writeControl(answer));
    if (this.#stream.waitingBytes > LIMITS.controlOutputBytesMax) this.cut();
  }

  #end(): void {
    this.#over = true;
    this.#stream.end();
    // Whoever does not read to the end is not waited for.
    this.#idle.stop();
    this.#idle = this.#waitForIdle();
  }

  #waitForIdle(): TimerHandle {
    return this.#parts.timers.after(LIMITS.controlIdleMsMax, () => this.cut());
  }
}
