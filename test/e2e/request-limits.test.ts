/** What one request may cost, seen from outside: its body, its time, and its place among all others. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { startProxy } from "../support/proxy.ts";
import type { ProxyPool } from "../support/proxy.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import type { AioquicStep } from "../interop/aioquic.ts";
import { accessLine, logLine } from "./log-lines.ts";

const INTERNAL_ERROR = 0x102;
const BODY_BYTES_MAX = 100_000;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a request body", () => {
  const ways: readonly (readonly ["http1" | "h2c" | "h2", "native" | "fetch"])[] = [
    ["http1", "native"],
    ["http1", "fetch"],
    ["h2c", "native"],
    ["h2", "fetch"],
  ];
  test.each([...ways])(
    "larger than allowed is 413 and never whole at a backend: %s, %s",
    async (protocol, transport) => {
      const backend = await startBackend({ protocol });
      const extra = { transport, max_request_body_bytes: BODY_BYTES_MAX };
      const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address], extra }] });
      const upload = (id: string, bytes: number, told: boolean): AioquicStep => {
        const headers = told ? [["content-length", `${bytes}`] as const] : [];
        return { do: "request", id, path: `/upload?${id}`, headers, body: { bytes } };
      };
      const connection = await runAioquicOnce({
        port: proxy.port,
        steps: [
          upload("told", BODY_BYTES_MAX + 1, true),
          upload("allowed", BODY_BYTES_MAX, true),
          upload("untold", 2_000_000, false),
          upload("allowed-untold", BODY_BYTES_MAX, false),
        ],
      });
      expect(connection.exchanges.map(({ id, status, ended }) => [id, status, ended])).toEqual([
        ["told", 413, true],
        ["allowed", 200, true],
        ["untold", 413, true],
        ["allowed-untold", 200, true],
      ]);
      expect(backend.seen.map(({ target }) => target)).not.toContain("/upload?told");
      expect(backend.counts).toMatchObject({ completed: 2 });
      expect(await accessLine(proxy, "/upload?untold")).toMatchObject({ status: 413, error: "REQUEST_BODY_TOO_LARGE" });
      const { code } = await proxy.stop();
      expect(code).toBe(0);
      expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ requests_body_too_large: 2 });
    },
  );
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "requests under way", () => {
  test.each([
    ["global_inflight_limit", "process", 1],
    ["per_upstream_inflight_limit", "pool", 1],
    ["per_backend_inflight_limit", "backend", 2],
  ] as const)("above %s are 503 with Retry-After until one has ended", async (key, cause, room) => {
    const backends = await Promise.all([0, 1].map((i) => startBackend({ protocol: "http1", id: `b${i}` })));
    const pools: ProxyPool[] = [{ prefix: "/", backends: backends.map(({ address }) => address) }];
    const proxy = await startProxy({ pools, extra: { performance: { [key]: 1 } } });
    const holds = Array.from({ length: room }, (_, i): AioquicStep => ({
      do: "start",
      id: `hold-${i}`,
      path: "/hold",
    }));
    const run = startAioquic({
      port: proxy.port,
      steps: [
        ...holds,
        { do: "cue" },
        { do: "request", id: "over", path: "/over" },
        { do: "say", text: "refused" },
        { do: "wait" },
        { do: "request", id: "after", path: "/after" },
      ],
    });
    const held = backends.slice(0, room);
    if (room === 1) await Promise.race(backends.map((backend) => backend.holding(1)));
    else await Promise.all(held.map((backend) => backend.holding(1)));
    run.cue();
    await run.event("said", { text: "refused" });
    for (const backend of backends) backend.release();
    const [connection] = await run.connections;
    const statuses = connection?.exchanges.map(({ id, status }) => [id, status]);
    expect(statuses).toEqual([...holds.map((_, i) => [`hold-${i}`, 200]), ["over", 503], ["after", 200]]);
    expect(connection?.exchanges.find(({ id }) => id === "over")?.headers).toContainEqual(["retry-after", "1"]);
    expect(await accessLine(proxy, "/over")).toMatchObject({ error: "OVERLOADED", attempts: 0 });
    await proxy.stop();
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ [`requests_shed.${cause}`]: 1 });
  });
});

describe.skipIf(aioquicPython === null)(
  aioquicPython === null ? AIOQUIC_MISSING : "the time of a whole request",
  () => {
    test("ends it with 504 before its answer and a reset within; events go on", async () => {
      const backend = await startBackend({ protocol: "http1" });
      const events = await startRawBackend({
        script: () => [
          { read: "\r\n\r\n" },
          { send: "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 10\r\n\r\ndata:" },
          { hold: true },
          { send: " end\n" },
        ],
      });
      const proxy = await startProxy({
        pools: [
          { prefix: "/", backends: [backend.address] },
          { prefix: "/events", backends: [`http://${events.bareAddress}`] },
        ],
        extra: { performance: { backend_total_request_timeout_ms: 250 } },
      });
      const run = startAioquic({
        port: proxy.port,
        steps: [
          { do: "start", id: "events", path: "/events" },
          { do: "wait_bytes", id: "events", bytes: 5 },
          { do: "request", id: "late", path: "/hold" },
          { do: "request", id: "cut", path: "/hold-body" },
          { do: "say", text: "both are over" },
          { do: "wait" },
        ],
      });
      // Events began first, and would have been late first.
      await run.event("said", { text: "both are over" });
      events.release();
      const [connection] = await run.connections;
      if (connection === undefined) throw new RangeError("there is a connection");
      expect(exchangeOf(connection, "late")).toMatchObject({ status: 504, ended: true });
      expect(exchangeOf(connection, "cut")).toMatchObject({ status: 200, ended: false, reset_code: INTERNAL_ERROR });
      expect(exchangeOf(connection, "events")).toMatchObject({ status: 200, body: "data: end\n", ended: true });
      expect(await accessLine(proxy, "/hold")).toMatchObject({ error: "REQUEST_TOTAL_TIMEOUT" });
    });
  },
);
