/** What a connection stands on, its endpoint, and what stands on it, an HTTP/3 session. */
import type { Counters } from "../core/counters.ts";
import type { Connection } from "./connection.ts";
import type { EarlyData } from "./early-data.ts";
import type { CloseReason, EngineSession } from "./engine.ts";

/** What runs on an established connection, or on one in early data. */
export interface SessionDriver {
  /** Handles what the last datagrams brought. */
  process(): void;
  /** True while answers are awaited and none is being sent: a bare acknowledgement may then wait for one. */
  readonly awaitsAnswer: boolean;
  /** Requests that are not over for the client: under way, or with an answer that has not arrived whole. */
  readonly unfinished: number;
  /**
   * When `onTime` must be called at the latest, monotonic milliseconds; `Infinity` for never. It is read after each flush, so a session
   * that sets an earlier time outside `process` and `onTime` wakes its connection. Ignored once the connection is closing.
   */
  readonly deadlineMs: number;
  /** `deadlineMs` has come. Afterwards it lies ahead of `nowMs`, or the connection is closing. */
  onTime(nowMs: number): void;
  /** Its client is told, from `atMs` on, to go elsewhere; what is under way goes on, and then the connection ends. Shows in `deadlineMs`. */
  leave(atMs: number): void;
  /** The connection is gone; nothing may be called on its engine any more. */
  abandon(): void;
}

/** What a connection needs from its endpoint. */
export interface ConnectionHost {
  readonly counters: Counters;
  /** The turn's time, monotonic milliseconds. */
  readonly nowMs: number;
  /** What a connection may always send at once before the rest is paced, bytes; 0: nothing is. */
  readonly burstBytes: number;
  /** Puts the connection among those that are flushed at the end of the turn, and makes sure there is a turn. */
  markDirty(connection: Connection): void;
  /** Sets when the connection is next looked at; `Infinity` for not before something happens. */
  setDeadline(connection: Connection, deadlineMs: number): void;
  /** Makes and maps an id; null when there is none to be had. */
  issueId(connection: Connection): { readonly id: Uint8Array; readonly resetToken: Uint8Array } | null;
  releaseId(id: Uint8Array): void;
  /** null: early data is not taken. */
  readonly earlyData: EarlyData | null;
  onOpen(connection: Connection, session: EngineSession): SessionDriver;
  /** The handshake of one of its connections is done. */
  onEstablished(): void;
  onClosed(connection: Connection, reason: CloseReason | null): void;
}
