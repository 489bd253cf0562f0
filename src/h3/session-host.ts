/** What an HTTP/3 session stands on: its connection, whoever answers its requests, and what it holds its client to. */
import type { ConnectionSettings, TimeoutSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import type { BufferAccount } from "../guard/buffer-account.ts";
import type { HeadLimits, Malformed, RequestHead } from "./head.ts";
import type { BudgetBounds } from "./peer-budget.ts";
import type { RequestStream } from "./stream.ts";

/** Whoever answers requests. */
export interface RequestHandler {
  onRequest(stream: RequestStream, head: RequestHead): void;
  /** A head that breaks the rules; `answer` says whether the client gets a 400, a 431 or a reset. */
  onMalformed(stream: RequestStream, malformed: Malformed): void;
}

/** What a session needs from its connection. */
export interface SessionHost {
  readonly counters: Counters;
  /** The turn's time, monotonic milliseconds; what upstreams do between turns finds that of the last one. */
  readonly nowMs: number;
  /** Of the connection's output that waits for its client. */
  readonly buffers: BufferAccount;
  /** Something is to be sent. */
  wake(): void;
  /** There is more to do than one turn allows. */
  again(): void;
  /** Close the connection with an HTTP/3 code, and a word on the reason. */
  close(code: number, reason: string): void;
}

/** What a session holds its client to, and how long it waits for it. */
export type SessionRules = HeadLimits &
  BudgetBounds &
  Pick<ConnectionSettings, "streamsPerConnectionMax" | "requestsPerConnectionMax"> &
  Pick<TimeoutSettings, "requestHeadMs" | "clientSendMs" | "connectionIdleMs">;
