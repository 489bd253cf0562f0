/** quiche's client half against a proxy: connections by the thousand, and clients that leave in the middle. */
import { randomFillSync } from "node:crypto";
import { QuicheClient } from "../../ffi/quiche/client.ts";
import type { Library } from "../../ffi/library.ts";
import { Counters } from "../../src/core/counters.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { TEST_SETTINGS } from "../support/quic-pair.ts";

/** A client that has sent nothing yet; the caller steps and closes it. */
export function openClient(library: Library, proxy: Pick<RunningProxy, "host" | "port">): QuicheClient {
  const options = {
    serverName: "localhost",
    server: { ip: proxy.host, port: proxy.port },
    ip: proxy.host,
    settings: TEST_SETTINGS,
    id: randomFillSync(new Uint8Array(16)),
  };
  return new QuicheClient(library, options, new Counters());
}
