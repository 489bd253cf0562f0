/** Many responses that nobody takes, over several connections, in nobody's way; and once they are taken, all of them whole. */
import { describe, expect, test } from "bun:test";
import { AIOQUIC_MISSING, aioquicPython, startAioquic } from "../interop/aioquic.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { startBackend } from "../support/backends.ts";
import { patternSha256 } from "../support/pattern.ts";
import { startProxy } from "../support/proxy.ts";
import { stoppedLine } from "./log-lines.ts";

/** What the client lets each response send before it stops reading. */
const WINDOW_BYTES = 4096;
const OTHERS = 20;

const HUNDRED = { streams: 100, connections: 2, bytes: 300_000 };
/** Each of them costs aioquic 10 ms and more, so that once has to do. */
const THOUSAND = { streams: 1000, connections: 10, bytes: 12_000 };

const CASES = [
  { protocol: "http1", transport: "native", ...HUNDRED },
  { protocol: "h2c", transport: "native", ...HUNDRED },
  { protocol: "h2", transport: "native", ...HUNDRED },
  { protocol: "http1", transport: "fetch", ...HUNDRED },
  { protocol: "h2", transport: "fetch", ...HUNDRED },
  { protocol: "h2c", transport: "native", ...THOUSAND },
] as const;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "responses that stall", () => {
  test.each([...CASES])(
    "$streams of them by $transport from a backend of $protocol, $bytes bytes each",
    async ({ protocol, transport, streams, connections, bytes }) => {
      const backend = await startBackend({ protocol });
      const beside = await startBackend({ protocol: "http1" });
      const extra = { transport };
      const proxy = await startProxy({
        pools: [
          { prefix: "/", backends: [backend.address], extra },
          { prefix: "/small", backends: [beside.address] },
        ],
      });
      const ids = Array.from({ length: streams / connections }, (_, i) => `s${i}`);
      const run = startAioquic({
        ...{ port: proxy.port, connections },
        ...{ hold_flow_control: true, max_stream_data: WINDOW_BYTES, max_data: 100_000_000 },
        steps: [
          ...ids.map((id) => ({ do: "start", id, path: `/bytes/${bytes}` }) as const),
          // Less than the window: frames have heads.
          ...ids.map((id) => ({ do: "wait_bytes", id, bytes: WINDOW_BYTES / 2 }) as const),
          { do: "say", text: "stalled" },
          { do: "cue" },
          { do: "release" },
          { do: "wait" },
        ],
      });
      for (let i = 0; i < connections; i++) await run.event("said", { connection: i, text: "stalled" });
      for (let i = 0; i < OTHERS; i++)
        expect((await (await fetchHttp3(`${proxy.url}/small`)).bytes()).length).toBe(512);
      for (let i = 0; i < connections; i++) run.cue();
      const sha256 = patternSha256("bytes", bytes);
      const seen = (await run.connections).flatMap(({ exchanges }) => exchanges);
      expect(seen.length).toBe(streams);
      expect(seen.filter((one) => !one.ended || one.status !== 200 || one.sha256 !== sha256)).toEqual([]);
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    },
  );
});
