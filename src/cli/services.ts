/** What exchanges get from a server: what they share, and who their client is. */
import type { AccessLogSettings } from "../config/snapshot.ts";
import type { Introduction } from "../control/introductions.ts";
import type { Counters } from "../core/counters.ts";
import { FieldWriter } from "../core/field-writer.ts";
import type { InFlight } from "../core/in-flight.ts";
import type { Random } from "../core/random.ts";
import { RequestIds } from "../core/request-id.ts";
import type { BufferAccount } from "../guard/buffer-account.ts";
import { AccessLog } from "../observe/access.ts";
import type { Log } from "../observe/log.ts";
import type { Client, Services } from "../proxy/context.ts";
import { EarlyRequests } from "../proxy/early-requests.ts";
import type { Recorder } from "../proxy/ports.ts";
import { Provenance } from "../proxy/provenance.ts";
import type { Connection } from "../quic/connection.ts";
import { systemTimers } from "../runtime/timers.ts";

/** What all requests of a process share. */
export function makeServices(counters: Counters, random: Random, recorder: Recorder, inFlight: InFlight): Services {
  return {
    counters,
    clock: systemTimers,
    recorder,
    requestIds: new RequestIds(random.fork()),
    inFlight,
    random: random.fork(),
    writer: new FieldWriter(),
  };
}

/** Who is at the other end of a connection; `buffers`: what waits for it; `listener`: where it came in, if that says anything. */
export function clientOf(
  connection: Connection,
  buffers: BufferAccount,
  { identity, asked }: Introduction,
  earlyMethods: ReadonlySet<string>,
  { counters, listener }: { readonly counters: Counters; readonly listener: string },
): Client {
  const { peerIp: ip, peerPort: port } = connection.engine;
  const early = connection.early === null ? null : new EarlyRequests(connection.early, earlyMethods, counters);
  if (connection.early !== null) connection.early.whenEstablished = () => early?.release();
  const provenance = new Provenance(ip, identity);
  return { ip, port, listener, provenance, asked, connectionIdHex: connection.idHex, buffers, early };
}

/** A line for each request, where the configuration has any. */
export function accessRecorder({ access }: Log, rules: AccessLogSettings | null, counters: Counters): Recorder {
  if (access === null || rules === null) return { record: () => undefined };
  return new AccessLog(access, rules, counters, systemTimers.epochMs);
}
