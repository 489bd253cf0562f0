/**
 * What the endpoints of one process have together. The bounds of a configuration hold for all of them; and an id leads to one connection
 * whichever socket it comes by, so that a packet which somebody sends to another listener than its connection's is known to belong to a
 * living connection. A stateless reset would end that (RFC 9000 21.11).
 */
import { LIMITS } from "../core/limits.ts";
import { Admission } from "../guard/admission.ts";
import { IdTable } from "./cid-table.ts";
import type { Connection } from "./connection.ts";
import type { EndpointOptions } from "./endpoint-options.ts";
import { ResetGate } from "./stateless-reset.ts";

/** Ids in use at once: the one of the handshake and the spares. */
const IDS_PER_CONNECTION = 4;

/** Of one process. */
export class EndpointShare {
  readonly admission: Admission;
  readonly ids: IdTable<Connection>;
  readonly resets: ResetGate;
  /** Places that the table of ids has at most. */
  readonly entriesMax: number;

  constructor({ admission, counters, ids }: Pick<EndpointOptions, "admission" | "counters" | "ids">, nowMs: number) {
    const [{ scheme }] = ids;
    this.admission = new Admission(admission, counters, nowMs);
    this.entriesMax = admission.connectionsMax * IDS_PER_CONNECTION;
    this.ids = new IdTable(scheme, this.entriesMax);
    this.resets = new ResetGate({ perSecond: LIMITS.resetsPerSecond, burst: LIMITS.resetsAtOnceMax }, nowMs);
  }
}
