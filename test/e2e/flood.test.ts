/** Garbage in masses: it neither stops service nor leaves anything behind. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startBackend } from "../support/backends.ts";
import { startProcess } from "../support/process.ts";
import { startProxy } from "../support/proxy.ts";
import { HANGS_AFTER_MS } from "../support/time-limit.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquic } from "../interop/aioquic.ts";
import { stoppedLine } from "./log-lines.ts";

const FLOOD_SECONDS = 3;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a flood of garbage", () => {
  test(
    "does not keep new connections and their requests from being served, and nothing of it stays",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }] });
      const flood = startProcess({
        command: [process.execPath, join(import.meta.dir, "flood.child.ts"), String(proxy.port), String(FLOOD_SECONDS)],
      });
      await flood.waitForLine((line) => line === "flooding");
      let rounds = 0;
      for (let over = false; !over; rounds++) {
        const asked = runAioquic({
          port: proxy.port,
          connections: 3,
          events: false,
          steps: [{ do: "request", id: "r", path: "/small", count: 50, concurrency: 5 }],
        });
        const statuses = (await asked).map(({ bulks }) => bulks[0]?.statuses);
        expect(statuses).toEqual(Array(3).fill({ "200": 50 }));
        over = flood.stdout.length > 1;
      }
      const { sent } = JSON.parse(await flood.waitForLine((line) => line.startsWith("{")));
      expect(sent).toBeGreaterThan(1000);
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, requests: 150 * rounds, native_handles: 0 });
    },
    HANGS_AFTER_MS,
  );
});
