/**
 * A door: one address at which a running program is asked, over HTTP/1.1, how it is. Everything about it is bounded, so that nobody who
 * comes there can cost the program more than a little, or keep others from being answered.
 */
import type { Counters } from "../core/counters.ts";
import { messageOf } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Logger } from "../observe/log.ts";
import type { TcpHost, TcpStream } from "../runtime/tcp-sockets.ts";
import type { TimerHandle, Timers } from "../runtime/timers.ts";
import {
  type DoorAnswer,
  type DoorHandler,
  type DoorRequest,
  endOfHead,
  plainAnswer,
  readDoorRequest,
  writeDoorAnswer,
} from "./door-message.ts";

/** What a door works on. */
export interface DoorParts {
  readonly timers: Timers;
  readonly log: Logger;
  readonly counters: Counters;
}

/** What a door is told to be; it may be told anew while it is open. */
export interface DoorRules {
  readonly handlers: ReadonlyMap<string, DoorHandler>;
  readonly connectionsMax: number;
  /** For a head to be whole, and for an answer to be taken. */
  readonly connectionTimeoutMs: number;
}

/** Everybody who has come through one door. */
export class Door {
  readonly parts: DoorParts;
  rules: DoorRules;
  /** No connection is of use after its next answer. */
  #closing = false;
  /** Those that were answered longest ago come first. */
  readonly #connections = new Set<DoorConnection>();

  constructor(rules: DoorRules, parts: DoorParts) {
    this.rules = rules;
    this.parts = parts;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get isClosing(): boolean {
    return this.#closing;
  }

  /** Somebody connected. Above the most that there may be, whoever has been silent longest makes room: whoever asks at once is answered. */
  enter(stream: TcpStream): TcpHost {
    this.parts.counters.doorConnections += 1;
    const connection = new DoorConnection(stream, this);
    this.#connections.add(connection);
    if (this.#connections.size > this.rules.connectionsMax) {
      const [oldest] = this.#connections;
      this.parts.counters.doorConnectionsCut += 1;
      oldest?.cut();
    }
    return connection;
  }

  /** Whoever asks still gets an answer, and is told that it is the last one; whoever does not is sent away. */
  retire(): void {
    this.#closing = true;
    for (const connection of this.#connections) connection.endIfIdle();
  }

  /** It goes on after all. */
  goOn(): void {
    this.#closing = false;
  }

  /** Ends all connections now. */
  close(): void {
    for (const connection of [...this.#connections]) connection.cut();
  }

  /** For its connections. */
  onAnswered(connection: DoorConnection): void {
    this.#connections.delete(connection);
    this.#connections.add(connection);
  }

  /** For its connections. */
  onGone(connection: DoorConnection): void {
    this.#connections.delete(connection);
  }

  /** For its connections: the answer to a request that reads. Never throws. */
  answer(request: DoorRequest): DoorAnswer {
    const { counters, log } = this.parts;
    counters.doorRequests += 1;
    const handler = this.rules.handlers.get(request.path);
    if (handler === undefined) {
      counters.doorRefusals += 1;
      return plainAnswer(404);
    }
    try {
      return handler(request);
    } catch (thrown) {
      log.error("a question about this program could not be answered", {
        path: request.path,
        reason: messageOf(thrown),
      });
      return plainAnswer(500);
    }
  }
}

/** One of them: a request at a time. */
class DoorConnection implements TcpHost {
  readonly #stream: TcpStream;
  readonly #door: Door;
  #timer: TimerHandle;
  #text = "";
  /** `asking`: a head is awaited. `answering`: an answer waits to be taken. `ending`: nothing more is answered. */
  #phase: "asking" | "answering" | "ending" = "asking";
  /** When the answer that waits is out. */
  #endsAfter = false;
  #answered = false;

  constructor(stream: TcpStream, door: Door) {
    this.#stream = stream;
    this.#door = door;
    this.#timer = this.#startTimer();
  }

  onText(text: string): void {
    if (this.#phase === "ending") return;
    this.#text += text;
    this.#next();
  }

  onDrained(): void {
    if (this.#phase !== "answering") return;
    this.#onOut();
    this.#stream.resume();
    this.#next();
  }

  onClosed(): void {
    this.#phase = "ending";
    this.#timer.stop();
    this.#door.onGone(this);
  }

  /** Ends the connection now. */
  cut(): void {
    this.#phase = "ending";
    this.#timer.stop();
    this.#door.onGone(this);
    this.#stream.destroy();
  }

  /** It ends when all that was asked has been answered. One on which nothing was asked yet was made to ask: its question is on its way. */
  endIfIdle(): void {
    if (this.#phase === "asking" && this.#text === "" && this.#answered) this.#end();
  }

  #next(): void {
    while (this.#phase === "asking") {
      const end = endOfHead(this.#text);
      if ((end < 0 ? this.#text.length : end) > LIMITS.doorHeadBytesMax) return this.#refuse(431);
      if (end < 0) return;
      const head = this.#text.slice(0, end);
      this.#text = this.#text.slice(end);
      const request = readDoorRequest(head);
      if ("refusal" in request) return this.#refuse(request.refusal);
      const isLasting = request.isLasting && !this.#door.isClosing;
      this.#say(this.#door.answer(request), { isHead: request.isHead, isLasting });
    }
  }

  #refuse(status: number): void {
    this.#door.parts.counters.doorRefusals += 1;
    const fields = status === 405 ? { allow: "GET, HEAD" } : {};
    this.#say(plainAnswer(status, fields), { isHead: false, isLasting: false });
  }

  #say(answer: DoorAnswer, how: { readonly isHead: boolean; readonly isLasting: boolean }): void {
    const epochMs = this.#door.parts.timers.epochMs();
    this.#phase = "answering";
    this.#endsAfter = !how.isLasting;
    this.#timer.stop();
    this.#timer = this.#startTimer();
    if (this.#stream.send(writeDoorAnswer(answer, { ...how, epochMs }))) return this.#onOut();
    // What else is asked waits in the kernel until this is taken.
    this.#stream.pause();
  }

  #onOut(): void {
    this.#door.onAnswered(this);
    this.#answered = true;
    if (this.#endsAfter || this.#door.isClosing) return this.#end();
    this.#phase = "asking";
    this.#timer.stop();
    this.#timer = this.#startTimer();
  }

  /** What still comes is read and dropped, so that the answer is not lost with a reset; not for longer than anything else may take. */
  #end(): void {
    this.#phase = "ending";
    this.#text = "";
    this.#stream.end();
    this.#timer.stop();
    this.#timer = this.#startTimer();
  }

  #startTimer(): TimerHandle {
    const { parts, rules } = this.#door;
    return parts.timers.after(rules.connectionTimeoutMs, () => {
      parts.counters.doorTimeouts += 1;
      this.cut();
    });
  }
}
