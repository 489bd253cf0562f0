/** Clients behind a translator on a bad line, in networks of their own. Rows 61, 62, 66 and 68. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, type AioquicStep, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram, runQuicGo } from "../interop/quicgo.ts";
import { BEHIND, NETWORKS_MISSING, OUTER_HOSTS } from "../support/netns.ts";
import { patternSha256 } from "../support/pattern.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

const TIMES = 10;
const BODY_BYTES = 3_000_000;
const BODY = `/bytes/${BODY_BYTES}?seed=t`;
const BODY_SHA256 = patternSha256("t", BODY_BYTES);
const PIECE_BYTES = BODY_BYTES / (TIMES + 2);
const WINDOW = 150_000;
/** A client that hears nothing for so long closes, and the test ends with what it got. */
const GIVES_UP_MS = 10_000;
const CLIENTS = 4;
const WORKERS = [1, 2, 4] as const;
const aioquicLack = NETWORKS_MISSING ?? (aioquicPython === null ? AIOQUIC_MISSING : null);
const quicGoLack = NETWORKS_MISSING ?? (quicGoProgram === null ? QUICGO_MISSING : null);

/** A line over which not everything comes as it was sent. */
const BAD_LINE = { lossPercent: 2, reorderPercent: 2, duplicationPercent: 2, delayMs: 2 } as const;
const LINES = [
  ["a good line, always at the same address", { farHosts: OUTER_HOSTS.slice(0, 1) }],
  ["a good line, each time at another address", {}],
  ["a bad line, each time at another address", BAD_LINE],
] as const;

describe.skipIf(aioquicLack !== null)(aioquicLack ?? "aioquic behind a translator", () => {
  describe.each(LINES)("on %s,", (_, line) => {
    test.each(WORKERS)(
      "is forgotten ten times in the middle of a response and gets all of it from %d workers",
      async (workers) => {
        const { network, proxy } = await startPlacedProxy(workers, { address: BEHIND });
        const translator = await network.translator(proxy.port, { seed: workers, ...line });
        const steps: AioquicStep[] = [{ do: "start", id: "d", path: BODY }];
        for (let i = 1; i <= TIMES; i++)
          steps.push(
            { do: "wait_bytes", id: "d", bytes: i * PIECE_BYTES },
            { do: "say", text: `${i}` },
            { do: "cue" },
            { do: "ping" },
          );
        steps.push({ do: "wait" });
        const { host, port } = translator;
        const windows = { max_stream_data: WINDOW, max_data: WINDOW };
        const local = { local_host: "10.77.1.11", host, port };
        const run = startAioquic({ ...local, ...windows, idle_timeout_ms: GIVES_UP_MS, steps }, network.client);
        for (let i = 1; i <= TIMES; i++) {
          await run.event("said", { text: `${i}` });
          await translator.forget();
          run.cue();
        }
        const connection = must((await run.connections)[0], "there is one");
        const [exchange] = connection.exchanges;
        expect(exchange).toMatchObject({ status: 200, body_bytes: BODY_BYTES, sha256: BODY_SHA256, ended: true });
        // Each new address is challenged.
        expect(connection.path_challenges).toBeGreaterThanOrEqual(TIMES);
        const { flows, forgotten, lost } = await translator.counts();
        expect([forgotten, flows > TIMES]).toEqual([TIMES, true]);
        expect(lost > 0).toBe("lossPercent" in line);
        const counted = await stoppedCounts(proxy);
        expect(counted).toMatchObject({ requests: 1, connections_accepted: 1 });
        // Not every one is validated before the next one comes.
        expect(Number(counted["migrations"])).toBeGreaterThan(0);
      },
    );
  });
});

describe.skipIf(aioquicLack !== null)(aioquicLack ?? "aioquic that is asked by Retry behind a translator", () => {
  const RETRY = { extra: { performance: { retry: "always" } }, address: BEHIND } as const;
  const asked = { local_host: "10.77.1.11", steps: [{ do: "request", path: "/small", count: 20 }] } as const;

  test.each(WORKERS)("is served by %d workers", async (workers) => {
    const { network, proxy } = await startPlacedProxy(workers, RETRY);
    const { host, port } = await network.translator(proxy.port, { seed: 61 });
    const { bulks } = await runAioquicOnce({ ...asked, host, port }, network.client);
    expect(bulks[0]?.statuses).toEqual({ "200": 20 });
    expect(await stoppedCounts(proxy)).toMatchObject({ retries_sent: 1, tokens_valid: 1, connections_accepted: 1 });
  });

  test.each([
    ["another address", OUTER_HOSTS],
    ["another port", OUTER_HOSTS.slice(0, 1)],
  ])("is refused with INVALID_TOKEN when it brings its token from %s", async (_, farHosts) => {
    const { network, proxy } = await startPlacedProxy(2, RETRY);
    const { host, port } = await network.translator(proxy.port, { seed: 62, farHosts, forgetsAfterAnswers: 1 });
    const connection = await runAioquicOnce({ ...asked, host, port }, network.client);
    expect(connection).toMatchObject({ connected: false, closed: { by: "peer", code: 0x0b } });
    expect(await stoppedCounts(proxy)).toMatchObject({ retries_sent: 1, requests: 0 });
  });
});

describe.skipIf(quicGoLack !== null)(quicGoLack ?? "quic-go that is asked by Retry", () => {
  // It compares the ids of the transport parameters with those of the Retry, and refuses the connection when they are not the same.
  test.each(WORKERS)("is served by %d workers", async (workers) => {
    const { network, proxy } = await startPlacedProxy(workers, { extra: { performance: { retry: "always" } } });
    const steps = [{ do: "request", path: "/small", count: 10, concurrency: 2 }] as const;
    const { host, port } = proxy;
    const connections = await runQuicGo({ host, port, connections: CLIENTS, steps }, network.client);
    for (const { error, requests, frames } of connections) {
      expect([error, requests[0]?.statuses["200"], frames["retry_received"]]).toEqual(["", 10, 1]);
    }
    const counted = await stoppedCounts(proxy);
    expect(counted).toMatchObject({ tokens_valid: CLIENTS, requests: CLIENTS * 10 });
    // Its first flight is two datagrams, each of which may be asked.
    expect(Number(counted["retries_sent"])).toBeGreaterThanOrEqual(CLIENTS);
  });
});
