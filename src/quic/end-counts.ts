/** Counts a connection's end and what became of its packets: to ask for these earlier would cost each connection more than it tells. */
import type { Counters } from "../core/counters.ts";
import type { Connection } from "./connection.ts";
import type { CloseReason, PacketFacts } from "./engine.ts";

/** Written anew with each call. */
const facts: PacketFacts = { sent: 0, lost: 0, retransmitted: 0, roundTripMs: 0 };

/** Before the engine's object is freed. */
export function countEnd(
  { engine, established }: Pick<Connection, "engine" | "established">,
  reason: CloseReason | null,
  counters: Counters,
): void {
  counters.connectionsClosed += 1;
  if (reason?.by === "idle") counters.connectionsTimedOut += 1;
  if (!established) counters.handshakesFailed += 1;
  engine.readPacketFacts(facts);
  counters.packetsSent += facts.sent;
  counters.packetsLost += facts.lost;
  counters.packetsRetransmitted += facts.retransmitted;
  if (established) counters.roundTripMs.record(facts.roundTripMs);
}
