/** A server with several addresses that listens on all of them: everything that it sends comes from the one that was written to. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram, runQuicGo } from "../interop/quicgo.ts";
import { NETWORKS_MISSING } from "../support/netns.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

const MOVES = 4;
const lack =
  NETWORKS_MISSING ?? (aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null);

describe.skipIf(lack !== null)(lack ?? "a server on all its addresses", () => {
  // Both clients drop what comes from an address that they have not written to.
  test.each([
    ["0.0.0.0", 1],
    ["0.0.0.0", 4],
    ["::", 1],
    ["::", 4],
  ])("answers on %s from the one that was asked, Retry and moves included (%d workers)", async (address, workers) => {
    const { network, proxy } = await startPlacedProxy(workers, {
      address,
      extra: { performance: { retry: "always" } },
    });
    const both = {
      4: [network.serverHosts, network.clientHosts],
      6: [network.serverHosts6, network.clientHosts6],
    } as const;
    const families = address === "::" ? [both[4], both[6]] : [both[4]];
    let clients = 0;
    for (const [servers, locals] of families) {
      for (const host of servers) {
        clients += 2;
        const steps = Array.from({ length: MOVES }, (_, i) => [
          { do: "migrate", local_host: must(locals[i + 1], "there is one more") } as const,
          { do: "request", path: "/small" } as const,
        ]).flat();
        const plan = { host, port: proxy.port, local_hosts: locals.slice(0, 1), steps };
        const [moved] = await runQuicGo(plan, network.client);
        expect(moved).toMatchObject({ error: "", closed: "" });
        expect(moved?.requests.map(({ statuses }) => statuses["200"])).toEqual(Array(MOVES).fill(1));
        const local_host = must(locals[0], "there is a first");
        const other = must(locals[5], "there are many");
        const rebound = await runAioquicOnce(
          {
            ...{ host, port: proxy.port, local_host },
            // An unknown version first: the answer to that is made by hand.
            offer_version: 0x1a2a3a4a,
            steps: [
              { do: "request", id: "1", path: "/small" },
              { do: "rebind", local_host: other },
              { do: "request", id: "2", path: "/small" },
            ],
          },
          network.client,
        );
        expect(rebound.exchanges.map(({ status }) => status)).toEqual([200, 200]);
        expect(rebound.offered_versions).not.toBeNull();
      }
    }
    const counted = await stoppedCounts(proxy);
    expect(counted).toMatchObject({ connections_accepted: clients, tokens_valid: clients });
  });
});
