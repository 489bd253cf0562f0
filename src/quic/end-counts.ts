/** Counts a connection's end. */
import type { Counters } from "../core/counters.ts";
import type { Connection } from "./connection.ts";
import type { CloseReason } from "./engine.ts";

/** Before the engine's object is freed. */
export function countEnd(
  { established }: Pick<Connection, "established">,
  reason: CloseReason | null,
  counters: Counters,
): void {
  counters.connectionsClosed += 1;
  if (reason?.by === "idle") counters.connectionsTimedOut += 1;
  if (!established) counters.handshakesFailed += 1;
}
