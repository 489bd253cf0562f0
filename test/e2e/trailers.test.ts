/** Interim heads and trailers through the whole proxy, and the ways that backends may be reached in clear. */
import { describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { startBackend } from "../support/backends.ts";
import { waitUntil } from "../support/net.ts";
import { startProxy } from "../support/proxy.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { tempFolder } from "../support/temp.ts";

const NATIVE = ["http1", "https1", "h2", "h2c"] as const;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "aioquic", () => {
  test.each([...NATIVE])("gets the interim head and the trailers of a native backend of %s", async (protocol) => {
    const backend = await startBackend({ protocol });
    const pools = [{ prefix: "/", backends: [backend.address], extra: { transport: "native" } }];
    const { port } = await startProxy({ pools });
    const connection = await runAioquicOnce({
      port,
      steps: [
        { do: "request", id: "hints", path: "/hints" },
        { do: "request", id: "trailers", path: "/trailers", headers: [["te", "trailers"]] },
      ],
    });
    const hints = exchangeOf(connection, "hints");
    expect(hints.informational.map(({ status }) => status)).toEqual([103]);
    expect(hints.informational[0]?.headers).toContainEqual(["link", "</style.css>; rel=preload; as=style"]);
    expect([hints.status, hints.ended]).toEqual([200, true]);
    const trailers = exchangeOf(connection, "trailers");
    expect(trailers.trailers).toEqual([["x-checksum", "pattern-trailers"]]);
    expect([trailers.status, trailers.body_bytes, trailers.ended]).toEqual([200, 100, true]);
  });

  test("sends trailers on to a backend of HTTP/1.1, behind the last chunk", async () => {
    const raw = await startRawBackend({
      script: () => [{ read: "x-sum: 7\r\n\r\n" }, { send: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" }],
    });
    const { port } = await startProxy({ pools: [{ prefix: "/", backends: [`http://${raw.bareAddress}`] }] });
    const connection = await runAioquicOnce({
      port,
      steps: [{ do: "request", id: "x", path: "/", body: { text: "abc" }, trailers: [["x-sum", "7"]] }],
    });
    expect(exchangeOf(connection, "x")).toMatchObject({ status: 200, body: "ok", ended: true });
    const seen = must(raw.connections[0], "the backend was asked").text;
    expect(seen).toEndWith("3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n");
  });
});

describe("a backend without a scheme", () => {
  test.each([
    ["http1", "HTTP/1.1"],
    ["h2c", "HTTP/2"],
  ] as const)(
    "that speaks %s is found out, asked for its health in it, and told of in the log",
    async (protocol, name) => {
      const backend = await startBackend({ protocol });
      const health_check = { path: "/health", interval: 50 };
      const proxy = await startProxy({
        pools: [{ prefix: "/", backends: [{ address: backend.bareAddress, health_check }] }],
      });
      const answers = await Promise.all(["a", "b", "c"].map((path) => fetchHttp3(`${proxy.url}/${path}`)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      await waitUntil(() => backend.seen.some(({ target }) => target === "/health"));
      const told = proxy.logs().filter(({ msg }) => msg === "backend protocol found out");
      expect(told).toEqual([
        expect.objectContaining({ backend: "backend-0", address: backend.bareAddress, protocol: name }),
      ]);
    },
  );

  test("may be a socket of the file system", async () => {
    const path = join(tempFolder("unix"), "app.sock");
    const server = createServer((request, response) => response.end(`${request.httpVersion} ${request.headers.host}`));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const proxy = await startProxy({ pools: [{ prefix: "/", backends: [`unix:${path}`] }] });
    const answer = await fetchHttp3(`${proxy.url}/`);
    expect([answer.status, await answer.text()]).toEqual([200, `1.1 127.0.0.1:${proxy.port}`]);
    server.close();
  });
});
