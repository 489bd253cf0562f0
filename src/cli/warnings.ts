/** What is allowed and yet worth knowing: said by `spooky check`, and at each start. */
import { BACKEND_CONNECTIONS_STANDARD } from "../config/schema.ts";
import type { PoolSettings, Snapshot } from "../config/snapshot.ts";

/** One thing worth knowing of one pool, and which of its keys is about it. */
export interface Warning {
  readonly upstream: string;
  readonly key: string;
  readonly text: string;
}

/** All of them, in the order of the file. */
export function warningsOf({ pools }: Pick<Snapshot, "pools">): readonly Warning[] {
  return pools.flatMap((pool) => POOL_WARNINGS.filter(({ isDue }) => isDue(pool)).map((due) => warningOf(pool, due)));
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
