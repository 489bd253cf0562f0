/** The ids by which a client may reach its connection: spares for its next moves, and an end to those that it has given up. */
import type { Connection } from "./connection.ts";
import type { ConnectionHost } from "./connection-host.ts";

/** Spare ids beyond the one in use: enough for a client to move a few times between two of our turns. */
const SPARE_IDS_MAX = 3;

/** Offers the client as many ids as it takes and as it should have. True: some could not be made, and it should be tried again. */
export function offerIds(connection: Connection, host: ConnectionHost): boolean {
  const { engine, ids } = connection;
  let wanted = Math.min(engine.idsWanted(), SPARE_IDS_MAX + 1 - ids.length);
  while (wanted-- > 0) {
    const issued = host.issueId(connection);
    if (issued === null) return true;
    if (!engine.offerId(issued.id, issued.resetToken)) {
      host.releaseId(issued.id);
      return false;
    }
    ids.push(issued.id);
  }
  return false;
}

/** Takes the ids that the client has retired out of use. True if there were any. */
export function retireIds({ engine, ids }: Connection, host: ConnectionHost): boolean {
  let retired = false;
  engine.takeRetiredIds((id) => {
    const at = ids.findIndex((own) => own.every((byte, i) => byte === id[i]));
    const [own] = at < 0 ? [] : ids.splice(at, 1);
    if (own !== undefined) host.releaseId(own);
    retired = true;
  });
  return retired;
}
