/** What is allowed and yet worth knowing: said by `spooky check`, and at each start. */
import { BACKEND_CONNECTIONS_STANDARD } from "../config/schema.ts";
import type { ConnectionSettings, DebugSettings, PoolSettings, Snapshot } from "../config/snapshot.ts";
import { isWatching } from "../control/connection-watch.ts";

/** One thing worth knowing, and which key is about it. */
export interface Warning {
  /** The pool that has the key; null: none, the key is a whole path. */
  readonly upstream: string | null;
  readonly key: string;
  readonly text: string;
}

/** The thresholds that go together. */
type RetryBounds = Pick<ConnectionSettings, "retryFromHandshakes" | "handshakesMax">;

/** What warnings are about. */
type Warned = Pick<Snapshot, "pools" | "debug" | "listenIsReplaced"> & { readonly connections: RetryBounds };

/** All of them: of the listener, of the pools in the order of the file, then the rest. */
export function warningsOf({ pools, connections, debug, listenIsReplaced }: Warned): readonly Warning[] {
  const ofPools = pools.flatMap((pool) =>
    POOL_WARNINGS.filter(({ isDue }) => isDue(pool)).map((due) => warningOf(pool, due)),
  );
  return [
    ...(listenIsReplaced ? [LISTEN_REPLACED] : []),
    ...ofPools,
    ...retryWarnings(connections),
    ...watchWarnings(debug),
  ];
}

const LISTEN_REPLACED: Warning = {
  upstream: null,
  key: "listen",
  text: "`listeners` are given and take its place: nobody listens there; move it into the list, or leave it out",
};

/** Clients without a free place for a handshake are refused: a threshold that is never reached below asks nobody. */
function retryWarnings({ retryFromHandshakes, handshakesMax }: RetryBounds): readonly Warning[] {
  if (!Number.isFinite(retryFromHandshakes) || retryFromHandshakes < handshakesMax) return [];
  const text = `${retryFromHandshakes} is not below max_handshakes (${handshakesMax}): clients are refused before any is asked for its address`;
  return [{ upstream: null, key: "performance.retry_from_handshakes", text }];
}

function watchWarnings(debug: DebugSettings): readonly Warning[] {
  const { keylogFile, qlogFolder, clients, samplePerMillion } = debug;
  if (keylogFile === null && qlogFolder === null) return [];
  const told = (key: string, text: string): Warning => ({ upstream: null, key: `debug.${key}`, text });
  if (!isWatching(debug))
    return [told("clients", "neither clients nor a share of connections are named: nothing is written down of any")];
  const who = clients.length > 0 && samplePerMillion === 0 ? "connections of the named clients" : "chosen connections";
  return [
    ...(keylogFile === null
      ? []
      : [told("keylog_file", `TLS secrets of ${who} are written to a file: whoever reads it reads their traffic`)]),
    ...(qlogFolder === null ? [] : [told("qlog_folder", `a qlog is written of ${who}, which slows them down`)]),
  ];
}

interface PoolWarning {
  readonly key: string;
  readonly text: string;
  readonly isDue: (pool: PoolSettings) => boolean;
}

const POOL_WARNINGS: readonly PoolWarning[] = [
  {
    key: "verify_certificates",
    text: "certificates of this pool's backends are NOT verified: anyone on the way can read and change traffic",
    isDue: ({ tls }) => !tls.verifyCertificates,
  },
  {
    key: "transport",
    text:
      "`transport: fetch` keeps trailers, gRPC's status and 103 from clients, and refuses methods, paths and bodies of GET that it " +
      "would change; without the key such requests go over the native client",
    isDue: ({ backends }) =>
      backends.some(({ transport, transportIsChosen }) => transport === "fetch" && transportIsChosen),
  },
  {
    // The runtime decides: one per origin and TLS session (Bun 1.4.5), whatever we say.
    key: "backend_connection_pool_size",
    text: "this key does not bound the HTTP/2 connections of fetch; `transport: native` does",
    isDue: ({ backends, backendConnectionsMax }) =>
      backendConnectionsMax !== BACKEND_CONNECTIONS_STANDARD &&
      backends.some(({ transport, protocol }) => transport === "fetch" && protocol !== "http1"),
  },
];

function warningOf({ name }: PoolSettings, { key, text }: PoolWarning): Warning {
  return { upstream: name, key, text };
}
