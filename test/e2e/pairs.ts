/** A backend with a proxy of its own in front, for tests that ask the same of every protocol. */
import { startBackend } from "../support/backends.ts";
import type { BackendProtocol, TestBackend } from "../support/backends.ts";
import { startProxy } from "../support/proxy.ts";
import type { ProxyPool, RunningProxy } from "../support/proxy.ts";

/** Both, running; they end with the scope that started them. */
export interface Pair {
  readonly protocol: BackendProtocol;
  readonly backend: TestBackend;
  readonly proxy: RunningProxy;
}

/** Starts them: all paths lead to the backend. */
export async function startPair(protocol: BackendProtocol): Promise<Pair> {
  const backend = await startBackend({ protocol });
  const pools = [{ prefix: "/", backends: [backend.address], extra: trustOf(protocol) }];
  return { protocol, backend, proxy: await startProxy({ pools }) };
}

/** What a pool of such backends has to say about trust: Bun's fetch over HTTP/3 takes no authority of ours. */
export function trustOf(protocol: BackendProtocol): NonNullable<ProxyPool["extra"]> {
  return protocol === "h3" || protocol === "h3-quic" ? { tls: { verify_certificates: false } } : {};
}
