/** What a running proxy is made of, each part from settings and from what the process has. */
import { randomBytes } from "node:crypto";
import type { BackendSettings, Snapshot } from "../config/snapshot.ts";
import { Backends } from "../control/backends.ts";
import { type HeldFiles, loadClientAuth, loadIdentities } from "../control/certificates.ts";
import type { Seat } from "../control/listener.ts";
import type { ListenerFace } from "../control/listeners.ts";
import { makeNodeKeys, type NodeSecretLists } from "../control/node-keys.ts";
import { must } from "../core/assert.ts";
import type { Counters } from "../core/counters.ts";
import { Random } from "../core/random.ts";
import type { LogFields } from "../observe/line.ts";
import type { Log } from "../observe/log.ts";
import { type RuntimeFetch, runtimeFetch } from "../runtime/fetch-options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { systemTimers } from "../runtime/timers.ts";
import type { ClearProtocol } from "../upstream/native/protocol-inquiry.ts";
import { Transports } from "../upstream/transports.ts";
import { readTrust, trustDigest } from "../upstream/trust.ts";
import type { Library } from "../../ffi/library.ts";
import { formatAddress } from "../../ffi/sockaddr.ts";
import type { BoundSocket } from "../../ffi/udp-open.ts";
import { warningsOf } from "./warnings.ts";

/** What a server stands on. */
export interface ServerParts {
  readonly runtime: Runtime;
  readonly library: Library;
  readonly log: Log;
  readonly counters: Counters;
  /** Its place among the workers of a supervisor; null: the only process, which says itself what it serves. */
  readonly seat?: Seat | null;
  /** What it begins with in place of the files of its listeners; null: the files. */
  readonly held?: HeldFiles | null;
}

const ENTROPY_BYTES = 16;

/** What people want to know of a proxy that serves from now on: a line for each listener. */
export function tellServing(
  log: Log,
  snapshot: Snapshot,
  sockets: readonly BoundSocket[],
  fields: LogFields = {},
): void {
  tellWarnings(log, snapshot);
  for (const bound of sockets) tellListening(log, snapshot, bound, fields);
}

/** A listener serves. */
export function tellListening(log: Log, snapshot: Snapshot, bound: BoundSocket, fields: LogFields = {}): void {
  log.info("listening", {
    address: formatAddress(bound.local),
    protocol: "http3",
    udp_receive_buffer_wanted_bytes: snapshot.connections.udpReceiveBufferBytes,
    udp_receive_buffer_bytes: bound.receiveBufferBytes,
    udp_send_buffer_wanted_bytes: snapshot.connections.udpSendBufferBytes,
    udp_send_buffer_bytes: bound.sendBufferBytes,
    ...fields,
  });
}

/** What is allowed and yet worth knowing. */
export function tellWarnings(log: Log, snapshot: Snapshot): void {
  for (const { upstream, key, text } of warningsOf(snapshot))
    log.warn(text, upstream === null ? { key } : { upstream, key });
}

/** What is known of backends, which none is yet. */
export function makeBackends({ runtime, log, counters }: ServerParts): Backends {
  const onLearned = ({ id, address }: BackendSettings, protocol: ClearProtocol): void =>
    log.info("backend protocol found out", { backend: id, address, protocol: PROTOCOL_NAMES[protocol] });
  return new Backends({
    makeTransports: (times) => makeTransports(times, runtime, counters, onLearned),
    readTrust,
    digestOf: trustDigest,
  });
}

/** The transports of a snapshot. Throws `CONFIG_INVALID` or `CERTIFICATE` for backends that they cannot reach as configured. */
export function makeTransports(
  snapshot: Pick<Snapshot, "pools" | "timeouts">,
  runtime: Runtime,
  counters: Counters,
  onLearned: (backend: BackendSettings, protocol: ClearProtocol) => void = () => undefined,
): Transports {
  const { connectStream: connect } = runtime;
  const shared = { snapshot, connect, timers: systemTimers, random: freshRandom(), counters, onLearned };
  return new Transports({ ...shared, fetch: runtimeFetchHere() });
}

/** Reads what listeners show, from the disk or as it was `held`. Throws `CERTIFICATE`. */
export function loadFaces({ listeners }: Snapshot, held: HeldFiles | null = null): readonly ListenerFace[] {
  return listeners.map((listen) => ({
    listen,
    tls: { identities: loadIdentities(listen, held), clientAuth: loadClientAuth(listen, held) },
  }));
}

/** Seeded by the system. */
export function freshRandom(): Random {
  return Random.fromEntropy(new Uint32Array(Uint8Array.from(randomBytes(ENTROPY_BYTES)).buffer));
}

/** What people call them. */
const PROTOCOL_NAMES: Readonly<Record<ClearProtocol, string>> = { h2c: "HTTP/2", http1: "HTTP/1.1" };

function runtimeFetchHere(): RuntimeFetch {
  return must(runtimeFetch(globalThis), "both runtimes have fetch");
}

/** The seat of the only process: no other one has its secrets, unless they are the cluster's. */
export function loneSeat({ cluster }: Snapshot, secrets: NodeSecretLists): Seat {
  const keys = makeNodeKeys(secrets, cluster);
  return { slot: 0, keys, sockets: null, ticketsAreOlder: cluster.keyFile !== null };
}
