/** Bodies through the proxy, byte for byte, in both directions and over every protocol towards backends. */
import { describe, expect, test } from "bun:test";
import type { TestBackend } from "../support/backends.ts";
import { patternBytes, PatternCheck, patternPieces, patternSha256 } from "../support/pattern.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, textOf } from "../interop/aioquic.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { accessLine } from "./log-lines.ts";
import { startPair } from "./pairs.ts";

const MEBIBYTE = 1024 * 1024;
const SIZES: readonly number[] = [0, 1, 64 * 1024 + 1, 5 * MEBIBYTE];
const pairs = await Promise.all((["http1", "h2", "h3"] as const).map(startPair));

describe.each([...pairs])("bodies with a backend of $protocol", ({ protocol, backend, proxy }) => {
  test.each([...SIZES])("%d bytes of declared length come back as they were sent", async (size) => {
    const path = `/echo?declared=${size}`;
    const response = await fetchHttp3(proxy.url + path, { method: "POST", body: patternBytes("up", size) });
    expect(response.status).toBe(200);
    expect(await compare(response, "up")).toEqual({ length: size, wrongAt: -1 });
    expect(lengthSeen(backend, path)).toBe(String(size));
    expect(await accessLine(proxy, path)).toMatchObject({ bytes_in: size, bytes_out: size, status: 200 });
  });

  test.each([...SIZES])("%d bytes of unknown length come back as they were sent", async (size) => {
    const path = `/echo?unknown=${size}`;
    const response = await fetchHttp3(proxy.url + path, { method: "POST", body: streamOf("up", size) });
    expect(response.status).toBe(200);
    expect(await compare(response, "up")).toEqual({ length: size, wrongAt: -1 });
    // Of an empty stream the client finds out before it sends the head.
    if (size > 0) expect(lengthSeen(backend, path)).toBeUndefined();
  });

  test.each(["yes", "no"])("10 MiB are downloaded byte for byte, with Content-Length: %s", async (announced) => {
    const size = 10 * MEBIBYTE;
    const response = await fetchHttp3(`${proxy.url}/bytes/${size}?seed=down&length=${announced}`);
    // Bun's server over HTTP/3 never says a length.
    const length = announced === "yes" && protocol !== "h3" ? String(size) : null;
    expect(response.headers.get("content-length")).toBe(length);
    expect(await compare(response, "down")).toEqual({ length: size, wrongAt: -1 });
  });

  test.skipIf(aioquicPython === null)(
    aioquicPython === null ? AIOQUIC_MISSING : "aioquic uploads, downloads and gets an echo of the same bytes",
    async () => {
      const connection = await runAioquicOnce({
        port: proxy.port,
        ca_file: proxy.certificate.caFile,
        steps: [
          { do: "request", id: "upload", path: "/upload", body: { bytes: MEBIBYTE, seed: "u" } },
          { do: "request", id: "echo", path: "/echo", body: { bytes: 65_537, seed: "e" } },
          { do: "request", id: "empty", path: "/echo", body: { text: "" } },
          { do: "request", id: "download", path: `/bytes/${MEBIBYTE}?seed=d` },
          { do: "request", id: "compressed", path: "/gzip/1000" },
        ],
      });
      const upload = JSON.parse(textOf(exchangeOf(connection, "upload")));
      expect(upload).toEqual({ length: MEBIBYTE, sha256: patternSha256("u", MEBIBYTE) });
      expect(exchangeOf(connection, "echo")).toMatchObject({ ended: true, sha256: patternSha256("e", 65_537) });
      expect(exchangeOf(connection, "empty")).toMatchObject({ status: 200, ended: true, body_bytes: 0 });
      expect(exchangeOf(connection, "download")).toMatchObject({ ended: true, sha256: patternSha256("d", MEBIBYTE) });
      // Compressed it is, and compressed it stays.
      const { headers, body } = exchangeOf(connection, "compressed");
      expect(headers).toContainEqual(["content-encoding", "gzip"]);
      const unpacked = Bun.gunzipSync(Buffer.from(body ?? "", "latin1"));
      expect(Buffer.compare(unpacked, patternBytes("bytes", 1000))).toBe(0);
    },
  );

  test("leave no fault at the backend", () => {
    expect(backend.faults).toEqual([]);
  });
});

/** Reads a body to its end without keeping it. */
async function compare(response: Response, seed: string): Promise<{ length: number; wrongAt: number }> {
  const check = new PatternCheck(seed);
  for await (const piece of response.body ?? []) check.add(piece);
  return { length: check.length, wrongAt: check.wrongAt };
}

/** A body that a client cannot know the length of. */
function streamOf(seed: string, size: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const pieces = patternPieces(seed, size);
  return new ReadableStream({
    pull: (controller) => {
      const { done, value } = pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
}

function lengthSeen(backend: TestBackend, path: string): string | undefined {
  const request = backend.seen.find(({ target }) => target === path);
  return request?.fields.find(([name]) => name.toLowerCase() === "content-length")?.[1];
}
