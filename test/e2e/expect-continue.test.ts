/** `Expect: 100-continue`: a client that waits is told by its backend, or by us where fetch keeps the expectation; nothing hangs. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { FRAME } from "../../src/h2/codes.ts";
import { testCertificate } from "../support/certs.ts";
import { startH2RawBackend } from "../support/h2-raw-backend.ts";
import { startProxy } from "../support/proxy.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import type { AioquicField, AioquicStep } from "../interop/aioquic.ts";
import { logLine } from "./log-lines.ts";

const EXPECTING: readonly AioquicField[] = [["expect", "100-continue"]];

/** A client that sends its body when it has the 100, and not before. */
const WAITING: readonly AioquicStep[] = [
  { do: "start", id: "r", path: "/upload", method: "POST", headers: EXPECTING, fin: false },
  { do: "wait_informational", id: "r" },
  { do: "send", id: "r", text: "a body" },
  { do: "finish", id: "r" },
  { do: "wait", id: "r" },
];

describe.skipIf(aioquicPython === null)(
  aioquicPython === null ? AIOQUIC_MISSING : "a client that waits for 100",
  () => {
    test.each([
      ["http1", "native"],
      ["http1", "fetch"],
      ["h2", "fetch"],
      ["https1", null],
    ] as const)("gets it before its body is sent: %s, transport %p", async (protocol, transport) => {
      const backend = await startBackend({ protocol });
      const extra = transport === null ? {} : { transport };
      const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address], extra }] });
      const exchange = exchangeOf(await runAioquicOnce({ port: proxy.port, steps: WAITING }), "r");
      expect(exchange.informational.map(({ status }) => status)).toEqual([100]);
      expect(exchange).toMatchObject({ status: 200, ended: true });
      expect(exchange.body).toContain('"length":6');
    });

    test.each([
      ["h2c", "native"],
      ["https", "native"],
      ["https", null],
    ] as const)("gets that of an HTTP/2 backend: %s, transport %p", async (scheme, transport) => {
      const backend = await startH2RawBackend({
        ...(scheme === "https" ? { tls: await testCertificate() } : {}),
        onRequest: (peer, id) => {
          peer.say(peer.headers(id, [[":status", "100"]]));
          void peer.frame(FRAME.data).then(({ payload }) => peer.answer(id, `got ${payload.length}`));
        },
      });
      const extra = transport === null ? {} : { transport };
      const address = `${scheme}://127.0.0.1:${backend.port}`;
      const proxy = await startProxy({ pools: [{ prefix: "/", backends: [address], extra }] });
      const exchange = exchangeOf(await runAioquicOnce({ port: proxy.port, steps: WAITING }), "r");
      expect(exchange.informational.map(({ status }) => status)).toEqual([100]);
      expect(exchange).toMatchObject({ status: 200, body: "got 6", ended: true });
    });

    test("and whose backend says nothing gets 408 when its body has been awaited long enough", async () => {
      const backend = await startRawBackend({ script: () => [] });
      const performance = { client_body_idle_timeout_ms: 200 };
      const pools = [{ prefix: "/", backends: [`http://${backend.bareAddress}`] }];
      const proxy = await startProxy({ pools, extra: { performance } });
      const [start, ...rest] = WAITING;
      const steps = [start, rest[0], rest.at(-1)].filter((step) => step !== undefined);
      const exchange = exchangeOf(await runAioquicOnce({ port: proxy.port, steps }), "r");
      expect(exchange).toMatchObject({ status: 408, informational: [], ended: true });
      await logLine(proxy, { msg: "request", error: "REQUEST_TIMEOUT" });
      expect(backend.connections[0]?.text).toContain("expect: 100-continue\r\n");
    });
  },
);
