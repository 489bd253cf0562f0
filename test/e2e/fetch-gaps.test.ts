/** Requests that fetch cannot carry, to `https://` backends without a `transport` key: they arrive whole, over the native client. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { startBackend } from "../support/backends.ts";
import { startProxy } from "../support/proxy.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import type { AioquicField, AioquicStep } from "../interop/aioquic.ts";
import { logLine } from "./log-lines.ts";

type Request = Extract<AioquicStep, { do: "request" }>;

function raw(id: string, method: string, path: string, ...fields: AioquicField[]): Request {
  const pseudo: AioquicField[] = [
    [":method", method],
    [":scheme", "https"],
    [":authority", "a.test"],
    [":path", path],
  ];
  return { do: "request", id, raw_headers: [...pseudo, ...fields] };
}

/** Requests, and the request line that the backend has to see. */
const ODD: readonly (readonly [Request, string])[] = [
  [raw("a method of nobody's", "BREW", "/pot"), "BREW /pot"],
  [raw("dot segments", "GET", "/a/../b/./c"), "GET /a/../b/./c"],
  [raw("two slashes", "GET", "//a//b"), "GET //a//b"],
  [raw("characters that URLs encode", "GET", `/{a}"b?c='d'`), `GET /{a}"b?c='d'`],
  [raw("OPTIONS *", "OPTIONS", "*"), "OPTIONS *"],
  [
    { do: "request", id: "GET with a body", method: "GET", path: "/upload?get", body: { text: "of GET" } },
    "GET /upload?get",
  ],
];

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "to a backend of fetch", () => {
  test.each(["h2", "https1"] as const)(
    "over %s a request that fetch would change arrives as it was sent",
    async (protocol) => {
      // Bun's server for HTTP/1.1 knows neither of these two (1.4.5), and says so with 400.
      const odd = protocol === "h2" ? ODD : ODD.filter(([, line]) => !/BREW|\*/.test(line));
      const backend = await startBackend({ protocol });
      const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }] });
      const connection = await runAioquicOnce({ port: proxy.port, steps: odd.map(([request]) => request) });
      expect(connection.exchanges.map(({ id, status, ended }) => [id, status, ended])).toEqual(
        odd.map(([{ id = "" }]) => [id, 200, true]),
      );
      expect(backend.seen.map(({ method, target }) => `${method} ${target}`)).toEqual(odd.map(([, line]) => line));
      expect(exchangeOf(connection, "GET with a body").body).toContain('"length":6');
    },
  );

  test("trailers come back to a client that takes them, a hint comes before the answer", async () => {
    const backend = await startBackend({ protocol: "h2" });
    const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }] });
    const te: AioquicField = ["te", "trailers"];
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [
        raw("trailers", "GET", "/trailers", te),
        raw("hints", "GET", "/hints", te),
        raw("plain", "GET", "/trailers"),
      ],
    });
    expect(exchangeOf(connection, "trailers").trailers).toEqual([["x-checksum", "pattern-trailers"]]);
    expect(exchangeOf(connection, "hints").informational.map(({ status }) => status)).toEqual([103]);
    expect(exchangeOf(connection, "plain")).toMatchObject({ status: 200, trailers: null, ended: true });
  });

  test("`transport: fetch` is obeyed: what it would change is 400, and the start has warned", async () => {
    const backend = await startBackend({ protocol: "h2" });
    const pools = [{ prefix: "/", backends: [backend.address], extra: { transport: "fetch" } }];
    const proxy = await startProxy({ pools });
    const [, [dots]] = [must(ODD[0], "the table has rows"), must(ODD[1], "the table has rows")];
    const steps = [dots, raw("trailers", "GET", "/trailers", ["te", "trailers"])];
    const connection = await runAioquicOnce({ port: proxy.port, steps });
    expect(connection.exchanges.map(({ status, trailers }) => [status, trailers])).toEqual([
      [400, null],
      [200, null],
    ]);
    await logLine(proxy, { level: "warn", upstream: "pool_0", key: "transport" });
  });
});
