/**
 * The contract of transports, held to fetch: every case over HTTP/1.1, in clear and over TLS, and over HTTP/2. What fetch is declared
 * not to do is shown here to be missing, so that the declaration cannot be stale.
 */
import { describe, expect, test } from "bun:test";
import { testCertificate } from "../support/certs.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { startRealServer } from "../support/real-servers.ts";
import { makeTransport } from "../support/transport-bench.ts";
import { exchange, PushBody, requestTo } from "../support/upstream-calls.ts";
import { holdToContract } from "./contract.ts";

const PROTOCOLS = ["http1", "https1", "h2"] as const;

await holdToContract("fetch", PROTOCOLS);

describe("what fetch is declared not to do, it does not", () => {
  test.each(PROTOCOLS)("%s: no trailers, either way, and no interim heads", async (protocol) => {
    const { address } = await startRealServer({ kind: "bun", protocol });
    const { upstream, pool, close } = await makeTransport({ transport: "fetch", protocol, address });
    expect(upstream.abilities).toMatchObject({ trailers: false, informational: false });
    expect((await exchange(upstream, requestTo(pool, { path: "/trailers" }))).trailers).toBeNull();
    expect((await exchange(upstream, requestTo(pool, { path: "/hints" }))).informational).toEqual([]);
    const body = new PushBody().push("body").end("ended", [["x-after", "1"]]);
    const post = requestTo(pool, { method: "POST", path: "/request-trailers", fields: [["trailer", "x-after"]], body });
    expect(JSON.parse((await exchange(upstream, post)).text)).toEqual({ length: 4, trailers: [] });
    close();
  });

  test("h2: a whole answer is lost when CANCEL comes with its end, which native keeps", async () => {
    const outcomes = [];
    for (const transport of ["fetch", "native"] as const) {
      const server = await startRawBackend({
        tls: { ...(await testCertificate()), alpn: ["h2"] },
        script: () => [{ read: PREFACE }, { readBytes: FIRST_FRAMES_BYTES }, { send: ANSWER_AND_CANCEL }],
      });
      const address = `https://${server.bareAddress}`;
      const { upstream, pool, close } = await makeTransport({ transport, protocol: "h2", address });
      const { status, text, failure } = await exchange(upstream, requestTo(pool, { path: "/" }));
      outcomes.push([transport, status, text, failure?.code]);
      close();
    }
    expect(outcomes).toEqual([
      ["fetch", 0, "", "UPSTREAM_RESET"],
      ["native", 200, "ok", undefined],
    ]);
  });
});

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** More than the client's SETTINGS, so that its request is there. */
const FIRST_FRAMES_BYTES = 60;
/** SETTINGS, SETTINGS with ACK, HEADERS with `:status: 200`, DATA with END_STREAM, RST_STREAM with CANCEL. */
const ANSWER_AND_CANCEL = Uint8Array.from([
  ...[0, 0, 0, 4, 0, 0, 0, 0, 0],
  ...[0, 0, 0, 4, 1, 0, 0, 0, 0],
  ...[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88],
  ...[0, 0, 2, 0, 1, 0, 0, 0, 1, 0x6f, 0x6b],
  ...[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8],
]);
