/**
 * Nothing small is held back: a piece is written only when the one before has arrived at the other end, so that a proxy that waits for
 * more before it passes something on would wait for ever. Down as events, and both ways at once, by every way to a backend.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, startAioquic } from "../interop/aioquic.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { startHttp1 } from "../support/backend-http1.ts";
import { startHttp2 } from "../support/backend-http2.ts";
import { testCertificate } from "../support/certs.ts";
import type { BackendExchange } from "../support/exchange.ts";
import { startProxy } from "../support/proxy.ts";

const EVENTS = 200;

const NATIVE = [
  { name: "native HTTP/1.1", start: startHttp1, scheme: "http", transport: "native" },
  { name: "native HTTP/1.1 over TLS", start: startHttp1, scheme: "https", transport: "native" },
  { name: "native HTTP/2 in clear", start: startHttp2, scheme: "h2c", transport: "native" },
  { name: "native HTTP/2 over TLS", start: startHttp2, scheme: "https", transport: "native" },
] as const;
const FETCH = [
  { name: "fetch HTTP/1.1", start: startHttp1, scheme: "http", transport: "fetch" },
  { name: "fetch HTTP/2", start: startHttp2, scheme: "https", transport: "fetch" },
] as const;

describe.each([...NATIVE, ...FETCH])("events by $name", (way) => {
  test.each(["", "content-length"])("reach the client one by one %s", async (length) => {
    const line = new Turns();
    const event = (i: number): Buffer => Buffer.from(`data: ${String(i).padStart(4, "0")}\n\n`);
    const url = await startBed(way, async (exchange) => {
      const total = String(EVENTS * event(0).length);
      exchange.head(200, [
        ["content-type", "text/event-stream"],
        ...(length === "" ? [] : ([[length, total]] as const)),
      ]);
      for (let i = 0; i < EVENTS; i++) {
        await line.turn(i);
        await exchange.write(event(i));
      }
      exchange.end();
    });
    const response = await fetchHttp3(url);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    line.next();
    let text = "";
    for await (const piece of must(response.body, "there is a body")) {
      text += Buffer.from(piece).toString();
      if (text.endsWith("\n\n")) line.next();
    }
    expect(text).toBe(Array.from({ length: EVENTS }, (_, i) => event(i)).join(""));
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a byte to and fro", () => {
  test.each([...NATIVE])("by $name, while request and response are open", async (way) => {
    const arrived: number[] = [];
    const url = await startBed(way, async (exchange) => {
      exchange.head(200, []);
      for await (const piece of exchange.body) {
        arrived.push(piece.length);
        await exchange.write(piece);
      }
      exchange.end();
    });
    const rounds = Array.from({ length: 50 }, (_, i) => i + 1);
    const connection = await startAioquic({
      port: Number(new URL(url).port),
      steps: [
        { do: "start", id: "x", method: "POST", path: "/", body: { text: "" }, fin: false },
        { do: "wait_head", id: "x" },
        ...rounds.flatMap((bytes) => [
          { do: "send", id: "x", text: "." } as const,
          { do: "wait_bytes", id: "x", bytes } as const,
        ]),
        { do: "finish", id: "x" },
        { do: "wait" },
      ],
    }).connections;
    expect(must(connection[0]?.exchanges[0], "an exchange")).toMatchObject({ ended: true, body: ".".repeat(50) });
    expect(arrived).toEqual(rounds.map(() => 1));
  });
});

/** Lets one side do its next step only when the other has done its own. */
class Turns {
  #given = 0;
  #wake: (() => void) | null = null;

  next(): void {
    this.#given += 1;
    this.#wake?.();
  }

  async turn(index: number): Promise<void> {
    while (this.#given <= index) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

async function startBed(
  way: (typeof NATIVE | typeof FETCH)[number],
  serve: (exchange: BackendExchange) => Promise<void>,
): Promise<string> {
  const server = await way.start({
    host: "127.0.0.1",
    port: 0,
    tls: way.scheme === "https" ? await testCertificate() : null,
    onConnection: () => undefined,
    onExchange: (exchange) => void serve(exchange),
  });
  afterAll(() => server.stop());
  const pools = [
    { prefix: "/", backends: [`${way.scheme}://127.0.0.1:${server.port}`], extra: { transport: way.transport } },
  ];
  return (await startProxy({ pools })).url;
}
