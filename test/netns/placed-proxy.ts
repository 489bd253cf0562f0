/** A proxy on the server's side of a network, with a backend beside it. */
import { must } from "../../src/core/assert.ts";
import { type LogLine, logLine, stoppedLine } from "../e2e/log-lines.ts";
import { type NetworkBackend, startNetwork, type TestNetwork } from "../support/netns.ts";
import { type ProxyOptions, type RunningProxy, startProxy } from "../support/proxy.ts";

/** All of it. */
export interface PlacedProxy {
  readonly network: TestNetwork;
  readonly backend: NetworkBackend;
  readonly proxy: RunningProxy;
}

/**
 * Starts a proxy of so many workers, which listens on the server's first address unless told otherwise, in a network of its own or in one that
 * is there.
 */
export async function startPlacedProxy(
  workers: number,
  options: Partial<ProxyOptions> = {},
  there: TestNetwork | null = null,
): Promise<PlacedProxy> {
  const network = there ?? (await startNetwork());
  const backend = await network.backend();
  const { extra, ...rest } = options;
  const proxy = await startProxy({
    pools: [{ prefix: "/", backends: [backend.address] }],
    address: must(network.serverHosts[0], "the server has an address"),
    place: network.server,
    ...rest,
    extra: { workers, ...extra },
  });
  return { network, backend, proxy };
}

/** Stops it and gives what it has counted, all workers together; fails if it did not end in order. */
export async function stoppedCounts(proxy: RunningProxy): Promise<LogLine> {
  const { code, requests, native_handles } = await stoppedLine(proxy.process);
  if (code !== 0 || native_handles !== 0) throw new Error(`it ended with ${code}:\n${proxy.process.output()}`);
  return { requests, ...(await logLine(proxy, { msg: "counted" })) };
}
