/**
 * Counts how connections end, and what becomes of their packets: of some connections at each look, in turn, and of each once more at its
 * end. So a connection that lives for days is seen while it lives, and what a look costs has a bound whatever the number of connections.
 */
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import type { CloseReason, EngineConnection, PacketFacts } from "./engine.ts";
import { countTlsAlert } from "./tls-alerts.ts";

/** A connection as far as it is counted here. */
export interface CountedConnection {
  readonly engine: Pick<EngineConnection, "readPacketFacts" | "roundTripMs">;
  readonly established: boolean;
  /** What has been counted of it so far. */
  readonly counted: PacketFacts;
}

/** Written anew with each call. */
const now: PacketFacts = { sent: 0, lost: 0, retransmitted: 0 };

/** One endpoint's. */
export class ConnectionCounts {
  readonly #connections: ReadonlySet<CountedConnection>;
  readonly #counters: Counters;
  /** Stays valid whoever comes and goes: who has gone is left out, who has come is met at the end. */
  #next: Iterator<CountedConnection>;

  constructor(connections: ReadonlySet<CountedConnection>, counters: Counters) {
    this.#connections = connections;
    this.#counters = counters;
    this.#next = connections.values();
  }

  /** Looks at the next ones. 64 ns for each that was idle and 250 ns for each that was not (`bench/micro/connection-counts.ts`). */
  look(): void {
    const most = Math.min(this.#connections.size, LIMITS.connectionsLookedAtMax);
    for (let looked = 0; looked < most; looked++) {
      let { done, value } = this.#next.next();
      if (done === true) {
        this.#next = this.#connections.values();
        ({ done, value } = this.#next.next());
      }
      if (done === true) return;
      this.#count(value);
    }
  }

  /** Before the engine's object is freed. */
  end(connection: CountedConnection, reason: CloseReason | null): void {
    this.#counters.connectionsClosed += 1;
    if (reason?.by === "idle") this.#counters.connectionsTimedOut += 1;
    if (!connection.established) this.#counters.handshakesFailed += 1;
    countTlsAlert(this.#counters, reason);
    this.#count(connection);
  }

  /** What is new with one. Its round trip is looked at whenever it has sent something since. */
  #count({ engine, established, counted }: CountedConnection): void {
    engine.readPacketFacts(now);
    if (established && now.sent !== counted.sent) this.#counters.roundTripMs.record(engine.roundTripMs());
    this.#counters.packetsSent += now.sent - counted.sent;
    this.#counters.packetsLost += now.lost - counted.lost;
    this.#counters.packetsRetransmitted += now.retransmitted - counted.retransmitted;
    counted.sent = now.sent;
    counted.lost = now.lost;
    counted.retransmitted = now.retransmitted;
  }
}
