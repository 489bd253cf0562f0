/** Much at once, and often: nothing caps the requests in flight, nothing is left of connections. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { openTestLibrary } from "../support/native.ts";
import { startProxy } from "../support/proxy.ts";
import { HANGS_AFTER_MS } from "../support/time-limit.ts";
import { AIOQUIC_MISSING, aioquicPython, startAioquic } from "../interop/aioquic.ts";
import { openClient } from "./bare-client.ts";
import { stoppedLine } from "./log-lines.ts";

/** Streams that the proxy lets a connection have at once. */
const STREAMS = 100;
const REQUESTS = 1000;
const CONNECTIONS = 1000;
const H3_NO_ERROR = 0x100;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "requests in flight", () => {
  test.each(["http1", "h2"] as const)(
    "1,000 at once wait for a backend of %s that has to see them all",
    async (protocol) => {
      const backend = await startBackend({ protocol });
      const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }] });
      const run = startAioquic({
        port: proxy.port,
        connections: REQUESTS / STREAMS,
        events: false,
        steps: [{ do: "request", id: "all", path: "/hold", count: STREAMS, concurrency: STREAMS }],
      });
      await backend.holding(REQUESTS);
      expect(backend.counts).toMatchObject({ requests: REQUESTS, active: REQUESTS });
      backend.release();
      const sums = (await run.connections).map(({ bulks }) => bulks[0]);
      expect(sums.map((sum) => sum?.statuses)).toEqual(Array(REQUESTS / STREAMS).fill({ "200": STREAMS }));
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, requests: REQUESTS, native_handles: 0 });
    },
    HANGS_AFTER_MS,
  );
});

describe("connections", () => {
  test(
    "1,000 one after another, closed in three ways, leave nothing behind",
    async () => {
      const library = openTestLibrary();
      const proxy = await startProxy({ pools: [{ prefix: "/nowhere", backends: ["127.0.0.1:9"] }] });
      for (let number = 0; number < CONNECTIONS; number++) {
        const client = openClient(library, proxy);
        while (!client.connection.isEstablished()) client.step();
        // A third closes after a request, a third at once, and a third just goes.
        if (number % 3 === 0)
          client.request(
            [
              [":method", "GET"],
              [":scheme", "https"],
              [":authority", "a"],
              [":path", "/"],
            ],
            true,
          );
        if (number % 3 === 0) while (!client.session.poll()) client.step();
        if (number % 3 !== 2) client.connection.close(true, H3_NO_ERROR, "");
        client.step();
        client.close();
      }
      expect(library.ledger.total).toBe(0);
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    },
    HANGS_AFTER_MS,
  );
});
