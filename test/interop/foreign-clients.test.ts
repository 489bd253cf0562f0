/** The foreign clients against foreign HTTP/3 servers: proves the instruments before they are held to the proxy. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { testCertificateFiles } from "../support/certs.ts";
import { startBackend } from "../support/backends.ts";
import { patternBytes, patternSha256 } from "../support/pattern.ts";
import { certificateFiles, testLeaf } from "../support/certs.ts";
import {
  AIOQUIC_MISSING,
  aioquicPython,
  exchangeOf,
  runAioquic,
  runAioquicOnce,
  startAioquic,
  textOf,
} from "./aioquic.ts";
import type { AioquicField } from "./aioquic.ts";
import { fetchHttp3, fetchHttp3Verified } from "./bun-fetch.ts";
import { CURL_MISSING, curlHttp3, findCurl } from "./curl.ts";

const curl = await findCurl();
const testAioquic = test.skipIf(aioquicPython === null);

describe(aioquicPython === null ? AIOQUIC_MISSING : "aioquic", () => {
  testAioquic(
    "downloads, uploads and echoes the same bytes on both HTTP/3 servers",
    async () => {
      const { caFile } = await testCertificateFiles();
      for (const protocol of ["h3", "h3-quic"] as const) {
        const backend = await startBackend({ protocol });
        const connection = await runAioquicOnce({
          port: backend.port,
          ca_file: caFile,
          steps: [
            { do: "request", id: "small", path: "/small" },
            { do: "request", id: "download", path: "/bytes/3000000?seed=d" },
            { do: "request", id: "upload", path: "/upload", body: { bytes: 1_000_000, seed: "u" } },
            { do: "request", id: "echo", path: "/echo", body: { bytes: 500_000, seed: "e" } },
          ],
        });
        expect(connection).toMatchObject({
          connected: true,
          alpn: "h3",
          version: 1,
          closed: null,
          offered_versions: null,
        });
        expect(exchangeOf(connection, "small")).toMatchObject({
          status: 200,
          body_bytes: 512,
          ended: true,
          error: null,
        });
        expect(exchangeOf(connection, "download").sha256).toBe(patternSha256("d", 3_000_000));
        expect(JSON.parse(textOf(exchangeOf(connection, "upload")))).toEqual({
          length: 1_000_000,
          sha256: patternSha256("u", 1_000_000),
        });
        expect(exchangeOf(connection, "echo").sha256).toBe(patternSha256("e", 500_000));
        expect(backend.faults).toEqual([]);
      }
    },
    30_000,
  );

  testAioquic("sends lists of fields as it is told, right or wrong", async () => {
    const backend = await startBackend({ protocol: "h3-quic" });
    const request = [
      [":method", "GET"],
      [":scheme", "https"],
      [":authority", "a"],
      [":path", "/headers"],
    ] as const;
    const lists: AioquicField[][] = [
      [...request, ["x-b", "1"], ["x-a", ""], ["x-c", "caf\u00e9"]],
      [...request, ["Upper", "1"], ["a b", "1"], ["x", "a\nb"], ["connection", "close"]],
      [
        [":path", "/headers"],
        [":foo", "bar"],
        ["x", "1"],
        [":method", "GET"],
      ],
    ];
    const steps = lists.map((raw_headers) => ({ do: "request", raw_headers }) as const);
    const connection = await runAioquicOnce({ port: backend.port, steps });
    expect(connection.exchanges.map((exchange) => JSON.parse(textOf(exchange)).fields)).toEqual(lists);
  });

  testAioquic("keeps duplicates, in order among themselves", async () => {
    const backend = await startBackend({ protocol: "h3-quic" });
    const headers = [
      ["x-a", "1"],
      ["x-b", "2"],
      ["x-a", "3"],
    ] as const;
    const connection = await runAioquicOnce({
      port: backend.port,
      steps: [{ do: "request", path: "/headers", headers }],
    });
    const { fields } = JSON.parse(textOf(connection.exchanges[0]));
    expect(fields.slice(4)).toEqual([
      ["x-a", "1"],
      ["x-a", "3"],
      ["x-b", "2"],
    ]);
  });

  testAioquic("sees a server close the connection over a malformed list", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const step = { do: "request", headers: [["Upper", "1"]] } as const;
    const connection = await runAioquicOnce({ port: backend.port, steps: [step] });
    expect(connection.closed).toMatchObject({ by: "peer", code: 0x10e, application: true });
    expect(connection.exchanges[0]).toMatchObject({ status: null, error: "connection closed" });
  });

  testAioquic("writes frames by hand: DATA before HEADERS is answered with H3_FRAME_UNEXPECTED", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const connection = await runAioquicOnce({
      port: backend.port,
      steps: [{ do: "request", id: "x", frames: [{ data: "early" }] }],
    });
    expect(connection.closed).toMatchObject({ by: "peer", code: 0x105, application: true });
  });

  testAioquic("sees trailers, interim responses and resets with their codes", async () => {
    const backend = await startBackend({ protocol: "h3-quic" });
    const connection = await runAioquicOnce({
      port: backend.port,
      steps: [
        { do: "request", id: "trailers", path: "/trailers" },
        { do: "request", id: "hints", path: "/hints" },
        { do: "request", id: "before", path: "/reset-before" },
        { do: "request", id: "mid", path: "/reset-mid" },
      ],
    });
    expect(exchangeOf(connection, "trailers")).toMatchObject({
      trailers: [["x-checksum", "pattern-trailers"]],
      ended: true,
    });
    expect(exchangeOf(connection, "hints").informational).toMatchObject([{ status: 103 }]);
    expect(exchangeOf(connection, "before")).toMatchObject({ status: null, reset_code: 0x102, ended: false });
    expect(exchangeOf(connection, "mid")).toMatchObject({ status: 200, reset_code: 0x102, ended: false });
  });

  testAioquic("resets its request after some bytes, and asks the server to stop", async () => {
    const backend = await startBackend({ protocol: "h3-quic" });
    const connection = await runAioquicOnce({
      port: backend.port,
      steps: [
        { do: "request", id: "reset", path: "/upload", body: { bytes: 200_000 }, reset_after_bytes: 50_000 },
        { do: "request", id: "stop", path: "/bytes/5000000", stop_after_bytes: 10_000 },
        { do: "request", id: "after", path: "/small" },
      ],
    });
    expect(exchangeOf(connection, "reset")).toMatchObject({ sent_bytes: 50_000, error: "reset by the client" });
    expect(exchangeOf(connection, "stop").body_bytes).toBeLessThan(5_000_000);
    expect(exchangeOf(connection, "after").status).toBe(200);
  });

  testAioquic("holds flow control until it is released", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const run = startAioquic({
      port: backend.port,
      max_stream_data: 50_000,
      max_data: 100_000,
      hold_flow_control: true,
      steps: [
        { do: "start", id: "slow", path: "/bytes/400000?seed=s" },
        { do: "wait_bytes", id: "slow", bytes: 45_000 },
        { do: "ping" },
        { do: "say", text: "stuck" },
        { do: "cue" },
        { do: "release" },
        { do: "wait" },
      ],
    });
    await run.event("said", { text: "stuck" });
    expect(backend.counts.active).toBe(1);
    run.cue();
    const connection = (await run.connections)[0];
    expect(connection?.exchanges[0]).toMatchObject({ ended: true, sha256: patternSha256("s", 400_000) });
  });

  testAioquic("goes on from another port after a rebind, with new connection ids and new keys", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const connection = await runAioquicOnce({
      port: backend.port,
      steps: [
        { do: "request", id: "before", path: "/small" },
        { do: "rebind" },
        { do: "request", id: "after", path: "/small" },
        { do: "change_connection_id" },
        { do: "key_update" },
        { do: "request", id: "last", path: "/small" },
      ],
    });
    expect(connection.exchanges.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(connection.local_ports).size).toBe(2);
  });

  testAioquic("offers an unknown version first and gets the server's versions", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const connection = await runAioquicOnce({
      port: backend.port,
      offer_version: 0x1a2a3a4a,
      steps: [{ do: "request", id: "r", path: "/small" }],
    });
    expect(connection.offered_versions).toContain(1);
    expect(connection.version).toBe(1);
    expect(exchangeOf(connection, "r").status).toBe(200);
  });

  testAioquic("sees GOAWAY when a server drains", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const run = startAioquic({
      port: backend.port,
      steps: [
        { do: "start", id: "held", path: "/hold" },
        { do: "wait_goaway" },
        { do: "say", text: "told" },
        { do: "wait" },
      ],
    });
    await backend.holding(1);
    backend.goAway();
    await run.event("said", { text: "told" });
    backend.release();
    const connection = (await run.connections)[0];
    expect(connection?.goaways).toEqual([4]);
    expect(connection?.exchanges[0]).toMatchObject({ status: 200, body: "held\n", ended: true });
  });

  testAioquic("runs many requests on many connections and adds them up", async () => {
    const backend = await startBackend({ protocol: "h3", id: "many" });
    const connections = await runAioquic({
      port: backend.port,
      connections: 3,
      events: false,
      steps: [{ do: "request", id: "b", path: "/small", count: 100, concurrency: 10 }],
    });
    const digest = createHash("sha256").update(patternBytes("small", 512)).digest("hex");
    expect(connections.map(({ bulks }) => bulks[0])).toEqual(
      Array.from({ length: 3 }, () => ({
        id: "b",
        count: 100,
        body_bytes: 51_200,
        failures: [],
        statuses: { "200": 100 },
        sha256s: { [digest]: 100 },
        backends: { many: 100 },
      })),
    );
    expect(backend.counts.requests).toBe(300);
  });

  testAioquic("refuses a certificate that it has no reason to trust, or that is for another name", async () => {
    const elsewhere = certificateFiles(await testLeaf({ names: ["example.org"] }));
    const backend = await startBackend({ protocol: "h3", certificate: await testLeaf({ names: ["example.org"] }) });
    const steps = [{ do: "request", path: "/small" }] as const;
    const wrongName = await runAioquicOnce({ port: backend.port, ca_file: elsewhere.caFile, steps });
    const rightName = { port: backend.port, server_name: "example.org", steps };
    expect(wrongName).toMatchObject({ connected: false, closed: { by: "client" } });
    expect(await runAioquicOnce({ ...rightName, ca_file: elsewhere.caFile })).toMatchObject({ connected: true });
    expect(await runAioquicOnce({ ...rightName, ca_file: elsewhere.certFile })).toMatchObject({ connected: false });
  });

  testAioquic("tells of a client that vanishes, and of a plan that it cannot play", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const gone = await runAioquicOnce({
      port: backend.port,
      steps: [{ do: "start", id: "held", path: "/hold" }, { do: "vanish" }],
    });
    expect(gone.closed?.by).toBe("vanished");
    expect(runAioquicOnce({ port: backend.port, steps: [{ do: "wait", id: "nobody" }] })).rejects.toThrow(
      "aioquic ended",
    );
  });
});

describe("Bun's fetch over HTTP/3", () => {
  test("gets, posts and streams", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const base = `https://${backend.bareAddress}`;
    const small = await fetchHttp3(`${base}/small`);
    expect([small.status, small.headers.get("x-backend")]).toEqual([200, "h3"]);
    expect(await small.bytes()).toEqual(patternBytes("small", 512));
    const echoed = await fetchHttp3(`${base}/echo`, { method: "POST", body: patternBytes("e", 2_000_000) });
    expect(Buffer.compare(await echoed.bytes(), patternBytes("e", 2_000_000))).toBe(0);
    expect(backend.seen.map(({ method, target }) => `${method} ${target}`)).toEqual(["GET /small", "POST /echo"]);
  });

  test("leaves a compressed body as it is", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const response = await fetchHttp3(`https://${backend.bareAddress}/gzip/1000?seed=z`);
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(Buffer.compare(gunzipSync(await response.bytes()), patternBytes("z", 1000))).toBe(0);
  });

  test("does not speak to a server that has no HTTP/3", async () => {
    const backend = await startBackend({ protocol: "https1" });
    const failed = await fetchHttp3(`https://${backend.bareAddress}/`, { signal: AbortSignal.timeout(300) }).then(
      () => false,
      () => true,
    );
    expect(failed).toBe(true);
    expect(backend.counts.requests).toBe(0);
  });

  test("verifies the certificate in a process that was told whom to trust", async () => {
    const { caFile } = await testCertificateFiles();
    const backend = await startBackend({ protocol: "h3" });
    const url = `https://${backend.bareAddress}/status/200`;
    expect(await fetchHttp3Verified(url, caFile)).toEqual({ status: 200, body: "status 200\n", error: null });
    expect(await fetchHttp3Verified(url, null)).toEqual({ status: null, body: null, error: "HTTP3HandshakeFailed" });
  });
});

describe(curl === null ? CURL_MISSING : "curl over HTTP/3", () => {
  test.skipIf(curl === null)("gets a response with its fields and sees trailers and a reset", async () => {
    const backend = await startBackend({ protocol: "h3-quic" });
    const base = `https://${backend.bareAddress}`;
    const answer = await curlHttp3(curl ?? "", `${base}/status/418?field=x-a:1&field=x-a:2`, ["-k"]);
    expect(answer).toMatchObject({ code: 0, status: 418, version: "3", body: "status 418\n" });
    expect(answer.headers.filter(([name]) => name === "x-a").map(([, value]) => value)).toEqual(["1", "2"]);
    const broken = await curlHttp3(curl ?? "", `${base}/reset-mid`, ["-k"]);
    expect(broken.code).not.toBe(0);
    expect(broken.status).toBe(200);
  });
});
