/** Bodies flow as they come, and a client that goes takes its request along. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { waitUntil } from "../support/net.ts";
import { patternBytes, patternSha256 } from "../support/pattern.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import type { AioquicStep } from "../interop/aioquic.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { accessLine } from "./log-lines.ts";
import { startPair } from "./pairs.ts";

const pairs = await Promise.all((["http1", "h2", "h3"] as const).map(startPair));

describe.each([...pairs])("streaming from a backend of $protocol", ({ backend, proxy }) => {
  test("a response's first bytes reach the client while the backend still holds the rest", async () => {
    const response = await fetchHttp3(`${proxy.url}/hold-body?bytes=100`);
    const reader = must(response.body, "the answer has a body").getReader();
    const pieces: Uint8Array[] = [];
    while (Buffer.concat(pieces).length < 100) {
      pieces.push(must((await reader.read()).value, "the first bytes come before the end"));
    }
    expect(backend.counts.active).toBe(1);
    expect(Buffer.compare(Buffer.concat(pieces), patternBytes("hold-body", 100))).toBe(0);
    backend.release();
    let rest = "";
    for (let next = await reader.read(); !next.done; next = await reader.read()) rest += Buffer.from(next.value);
    expect(rest).toBe("released");
  });
});

describe.skipIf(aioquicPython === null).each([...pairs])(
  aioquicPython === null ? AIOQUIC_MISSING : "a client of a backend of $protocol",
  ({ backend, proxy }) => {
    test("gets the echo of what it has sent while it goes on sending", async () => {
      const connection = await runAioquicOnce({
        port: proxy.port,
        steps: [
          { do: "start", id: "echo", path: "/echo", body: { bytes: 1000, seed: "e" }, fin: false },
          { do: "wait_bytes", id: "echo", bytes: 1000 },
          { do: "finish", id: "echo" },
          { do: "wait" },
        ],
      });
      expect(exchangeOf(connection, "echo")).toMatchObject({ ended: true, sha256: patternSha256("e", 1000) });
    });

    const firstBytes: AioquicStep = { do: "wait_bytes", id: "x", bytes: 1 };
    const leavings: readonly (readonly [string, string, readonly AioquicStep[]])[] = [
      ["stops reading a download", "/bytes/200000000?stop", [firstBytes, { do: "stop", id: "x" }]],
      ["closes its connection in a download", "/bytes/200000000?close", [firstBytes, { do: "close" }]],
      ["stops a request that waits for its answer", "/hold?stop", [{ do: "stop", id: "x" }]],
      ["closes its connection while it waits", "/hold?close", [{ do: "close" }]],
    ];
    test.each([...leavings])("that %s takes its request along to the backend", async (_name, path, steps) => {
      const { aborted, requests } = backend.counts;
      const run = startAioquic({
        port: proxy.port,
        steps: [{ do: "start", id: "x", path }, { do: "cue" }, ...steps, { do: "cue" }],
      });
      await waitUntil(() => backend.counts.requests > requests);
      run.cue();
      expect(await accessLine(proxy, path)).toMatchObject({ status: 499, error: "CLIENT_GONE", level: "info" });
      await waitUntil(() => backend.counts.aborted > aborted && backend.counts.active === 0);
      run.cue();
      expect(exchangeOf(must((await run.connections)[0], "one connection"), "x").ended).toBe(false);
    });

    test("that breaks off its upload leaves no complete request at the backend", async () => {
      const { aborted, completed } = backend.counts;
      const path = "/upload?reset";
      const body = { bytes: 5_000_000 };
      await runAioquicOnce({
        port: proxy.port,
        steps: [{ do: "request", id: "x", path, body, reset_after_bytes: 500_000 }],
      });
      expect(await accessLine(proxy, path)).toMatchObject({ error: "CLIENT_GONE", level: "info" });
      await waitUntil(() => backend.counts.aborted > aborted);
      expect(backend.counts.completed).toBe(completed);
    });
  },
);
