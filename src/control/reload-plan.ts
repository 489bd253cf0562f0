/**
 * What is different in another configuration, and whether the processes that serve can go over to it where they are. Pure: what files hold
 * is given as digests.
 */
import { listenerNames } from "../config/listeners.ts";
import type { Snapshot } from "../config/snapshot.ts";

/** A configuration with what the files hold that it names. */
export interface Weighed {
  readonly snapshot: Snapshot;
  readonly digests: FileDigests;
}

/** Texts that are the same for files that say the same. */
export interface FileDigests {
  /** Certificates and keys of listeners. */
  readonly certificates: string;
  /** Authorities that vouch for backends, and the certificates that backends are shown. */
  readonly trust: string;
  readonly cluster: string;
}

/** How to go over. */
export interface ReloadPlan {
  /** `nothing`: all is as it was. `in-place`: the processes that serve can. `new-workers`: others have to be started, because of `needs`. */
  readonly way: "nothing" | "in-place" | "new-workers";
  /** Keys that a process that serves cannot change. */
  readonly needs: readonly string[];
  /** What is different, in words for people; empty for nothing. */
  readonly changes: readonly string[];
}

/** From one to the other. */
export function planReload(before: Weighed, after: Weighed): ReloadPlan {
  const needs = BOUND_KEYS.filter(({ of }) => differs(of(before), of(after))).map(({ key }) => key);
  const parts = PARTS.filter(({ of }) => differs(of(before), of(after))).map(({ words }) => words);
  const changes = [...poolChanges(before.snapshot, after.snapshot), ...parts];
  if (needs.length > 0) return { way: "new-workers", needs, changes };
  return { way: changes.length > 0 ? "in-place" : "nothing", needs, changes };
}

interface BoundKey {
  readonly key: string;
  readonly of: (weighed: Weighed) => unknown;
}

const snapshotKey = (key: string, of: (snapshot: Snapshot) => unknown): BoundKey => ({
  key,
  of: ({ snapshot }) => of(snapshot),
});

/** What a process, its sockets and its engine are made with. */
const BOUND_KEYS: readonly BoundKey[] = [
  snapshotKey("addresses and ports of listeners", ({ listeners }) => listenerNames(listeners).toSorted()),
  snapshotKey("workers", ({ workers }) => workers.count),
  snapshotKey("performance.pin_workers", ({ workers }) => workers.pinned),
  {
    key: "cluster (all but key_rotation_ms)",
    of: ({ snapshot, digests }) => [{ ...snapshot.cluster, keyRotationMs: null }, digests.cluster],
  },
  snapshotKey("log.file", ({ log }) => log.file),
  snapshotKey("log.access.file", ({ log }) => log.access?.file ?? null),
  snapshotKey("debug", ({ debug }) => debug),
  snapshotKey("resilience.protocol.allow_0rtt", ({ earlyData }) => earlyData.allowed),
  snapshotKey("resilience.protocol.max_headers_bytes", ({ connections }) => connections.headerBytesMax),
  snapshotKey("performance.quic_max_idle_timeout_ms", ({ timeouts }) => timeouts.quicIdleMs),
  snapshotKey("performance.quic_initial_max_streams_bidi", ({ connections }) => connections.streamsPerConnectionMax),
  snapshotKey("performance.quic_initial_max_data", ({ connections }) => connections.connectionWindowBytes),
  snapshotKey("performance.quic_initial_max_stream_data", ({ connections }) => connections.streamWindowBytes),
  snapshotKey("performance.quic_congestion_control", ({ connections }) => connections.congestionControl),
  snapshotKey("performance.quic_initial_window_packets", ({ connections }) => connections.initialWindowPackets),
  snapshotKey("performance.quic_max_udp_payload_bytes", ({ connections }) => connections.udpPayloadBytesMax),
  snapshotKey("performance.quic_pmtu_discovery", ({ connections }) => connections.pmtuDiscovery),
  snapshotKey("performance.quic_pacing", ({ connections }) => connections.pacing),
  snapshotKey("performance.udp_recv_buffer_bytes", ({ connections }) => connections.udpReceiveBufferBytes),
  snapshotKey("performance.udp_send_buffer_bytes", ({ connections }) => connections.udpSendBufferBytes),
];

/** Everything but pools, as people are told of it. */
const PARTS: readonly { readonly words: string; readonly of: (weighed: Weighed) => unknown }[] = [
  {
    words: "listeners or their certificates",
    of: ({ snapshot, digests }) => [snapshot.listeners, digests.certificates],
  },
  { words: "certificate authorities of backends", of: ({ digests }) => digests.trust },
  { words: "bounds on clients", of: ({ snapshot }) => snapshot.connections },
  { words: "bounds on requests", of: ({ snapshot }) => snapshot.requests },
  { words: "time-outs", of: ({ snapshot }) => snapshot.timeouts },
  { words: "log", of: ({ snapshot }) => snapshot.log },
  { words: "workers", of: ({ snapshot }) => snapshot.workers },
  { words: "cluster", of: ({ snapshot, digests }) => [snapshot.cluster, digests.cluster] },
  { words: "early data", of: ({ snapshot }) => snapshot.earlyData },
  { words: "debug", of: ({ snapshot }) => snapshot.debug },
  { words: "control", of: ({ snapshot }) => snapshot.control },
  { words: "observability", of: ({ snapshot }) => snapshot.observability },
];

function poolChanges(before: Snapshot, after: Snapshot): readonly string[] {
  const [old, now] = [byName(before), byName(after)];
  const added = [...now.keys()].filter((name) => !old.has(name));
  const removed = [...old.keys()].filter((name) => !now.has(name));
  const changed = [...now].filter(([name, text]) => old.has(name) && old.get(name) !== text).map(([name]) => name);
  const isReordered = added.length + removed.length === 0 && differs([...old.keys()], [...now.keys()]);
  return [
    ...words("pools added", added),
    ...words("pools removed", removed),
    ...words("pools changed", changed),
    ...(isReordered ? ["order of pools"] : []),
  ];
}

function byName({ pools }: Snapshot): ReadonlyMap<string, string> {
  return new Map(pools.map((pool) => [pool.name, textOf(pool)]));
}

/** Many are counted, so that a line stays a line. */
const NAMES_MAX = 8;

function words(what: string, names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const rest = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  return [`${what}: ${names.slice(0, NAMES_MAX).join(", ")}${rest}`];
}

function differs(one: unknown, other: unknown): boolean {
  return textOf(one) !== textOf(other);
}

/** JSON has no word for what has no bound. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (part === Infinity ? "unbounded" : part));
}
