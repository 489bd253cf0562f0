/** `spooky demo` on every runtime: the same requests get the same answers. */
import { describe, expect, test } from "bun:test";
import { startProcess } from "../support/process.ts";
import { hasRunner, listeningAddress, runnerCommand } from "../support/proxy.ts";
import type { ProxyRunner } from "../support/proxy.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, textOf } from "../interop/aioquic.ts";

const MISSING: Readonly<Record<ProxyRunner, string>> = {
  source: "",
  deno: "deno: its package is not installed for this processor",
  binary: "dist/spooky is not built (./scripts/build makes it)",
};

for (const runner of ["source", "deno", "binary"] as const) {
  const skip = !hasRunner(runner) || aioquicPython === null;
  const name = hasRunner(runner)
    ? aioquicPython === null
      ? AIOQUIC_MISSING
      : `the demo by ${runner}`
    : MISSING[runner];

  describe.skipIf(skip)(name, () => {
    test("answers on each of its pools, shows how to ask, and ends in order", async () => {
      const child = startProcess({ command: [...runnerCommand(runner), "demo", "--port", "0"] });
      const { port } = await listeningAddress(child);
      const hint = await child.waitForLine((line) => line.includes("curl --http3-only"));
      const [, caFile = "", url] = /--cacert (\S+) (\S+)$/.exec(hint) ?? [];
      expect(url).toBe(`https://127.0.0.1:${port}/api/hello`);
      const connection = await runAioquicOnce({
        port,
        ca_file: caFile,
        steps: [
          { do: "request", id: "api", path: "/api/hello?x=1" },
          { do: "request", id: "again", path: "/api/hello?x=2" },
          { do: "request", id: "static-1", path: "/static/a.txt" },
          { do: "request", id: "static-2", path: "/static/a.txt" },
          { do: "request", id: "echo", path: "/echo", body: { text: "hello" } },
        ],
      });
      expect(connection.exchanges.map(({ status, ended }) => [status, ended])).toEqual(Array(5).fill([200, true]));
      const api = JSON.parse(textOf(exchangeOf(connection, "api")));
      expect(api).toMatchObject({ method: "GET", path: "/api/hello?x=1", host: `localhost:${port}` });
      expect(api.headers).toMatchObject({
        via: "3 spooky",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": `localhost:${port}`,
      });
      // The consistent-hash pool keeps a client, the round-robin pool does not.
      expect(JSON.parse(textOf(exchangeOf(connection, "again"))).backend).toBe(api.backend);
      const texts = [exchangeOf(connection, "static-1"), exchangeOf(connection, "static-2")].map(textOf).sort();
      expect(texts).toEqual(["a", "b"].map((half) => `This is /static/a.txt, served by demo-h1-${half}.\n`));
      expect(exchangeOf(connection, "echo").body).toBe("hello");
      expect(await child.stop()).toEqual({ code: 0, signal: null });
    });
  });
}
