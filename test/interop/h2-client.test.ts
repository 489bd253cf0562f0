/**
 * The HTTP/2 client against other implementations' servers over a real socket: Node's, which is nghttp2, where there is a Node, and
 * Bun's, both of which run `http2-server.mjs`; and Python's h2, which raises everything that it finds wrong with a client.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { H2Socket } from "../support/h2-socket.ts";
import type { Field } from "../support/sections.ts";
import { aioquicPython } from "./aioquic.ts";

/** What the server announces. */
const STREAMS_MAX = 50;

const SERVERS: readonly (readonly [name: string, program: string | null, script: string])[] = [
  ["Node's node:http2", Bun.which("node"), "http2-server.mjs"],
  ["Bun's node:http2", process.execPath, "http2-server.mjs"],
  ["Python's h2", aioquicPython, "http2_server.py"],
];

function head(method: string, path: string, ...more: readonly Field[]): Field[] {
  return [[":method", method], [":scheme", "http"], [":authority", "localhost"], [":path", path], ...more];
}

function start(program: string, script: string): Bun.Subprocess<"pipe", "pipe", "inherit"> {
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  return Bun.spawn([program, join(import.meta.dir, script)], { stdio: ["pipe", "pipe", "inherit"], env });
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("\n")) break;
  }
  return text.trim();
}

for (const [name, program, script] of SERVERS)
  describe(`${name} answers`, () => {
    const isThere = program !== null;
    const isBun = program === process.execPath;
    let port = 0;
    let child: ReturnType<typeof start> | null = null;

    beforeAll(async () => {
      if (program === null) return;
      child = start(program, script);
      port = Number(await firstLine(child.stdout));
    });

    afterAll(async () => {
      await child?.stdin.end();
      await child?.exited;
    });

    /** A connection for one test. */
    async function withSocket(run: (socket: H2Socket) => Promise<void>): Promise<void> {
      const socket = new H2Socket(port);
      await socket.ready;
      try {
        await run(socket);
        const failure = socket.client.failure;
        expect(failure === null || failure.fault === "lost").toBe(true);
      } finally {
        socket.close();
        await socket.closed;
      }
    }

    function when(condition: boolean, title: string, run: (socket: H2Socket) => Promise<void>): void {
      test.skipIf(!isThere || !condition)(title, () => withSocket(run));
    }

    when(true, "one request after the other, with fields that repeat and fields that do not", async (socket) => {
      for (let i = 0; i < 200; i++) {
        const fields = head("GET", `/${i}`, ["user-agent", "spooky"], ["cookie", `a=${i}`], ["x-long", "v".repeat(i)]);
        const { notes } = await socket.request({ fields });
        expect(notes[0]).toStartWith("head 204 ");
        expect(notes[0]).toContain(`["x-path","/${i}"]`);
        expect(notes[0]).toContain('["set-cookie","a=1"],["set-cookie","b=2"]');
        expect(notes.at(-1)).toBe("end");
      }
      expect(socket.client.encoder.tableBytes).toBeGreaterThan(0);
    });

    when(true, "as many requests at once as it allows", async (socket) => {
      await socket.request({ fields: head("GET", "/first") });
      expect(socket.client.streamsMax).toBe(STREAMS_MAX);
      const paths = Array.from({ length: STREAMS_MAX }, (_, i) => `/bytes/${i * 500}`);
      const answers = await Promise.all(paths.map((path) => socket.request({ fields: head("GET", path) })));
      answers.forEach(({ body, notes }, i) => {
        expect(body.length).toBe(i * 500);
        expect(notes.at(-1)).toBe("end");
      });
      expect(socket.client.streams.count).toBe(0);
    });

    when(true, "a body of 4 MiB with the same bytes, through both sides' windows", async (socket) => {
      const body = Uint8Array.from({ length: 4 * 1024 * 1024 }, (_, i) => (i * 31 + (i >> 8)) & 0x7f);
      const { body: echoed } = await socket.request({ fields: head("POST", "/echo"), body });
      expect(Bun.hash(new TextEncoder().encode(echoed))).toBe(Bun.hash(body));
      expect(socket.counters.h2SendsBlocked).toBeGreaterThan(0);
    });

    when(true, "8 MiB while other requests come and go", async (socket) => {
      const large = socket.request({ fields: head("GET", "/bytes/8388608") });
      for (let i = 0; i < 20; i++) {
        const small = await socket.request({ fields: head("GET", "/small") });
        expect(small.notes.at(-1)).toBe("end");
      }
      expect((await large).body.length).toBe(8_388_608);
    });

    when(true, "with trailers, and takes ours", async (socket) => {
      const { notes, body } = await socket.request({ fields: head("GET", "/trailers") });
      expect(body).toBe("body");
      expect(notes.slice(-2)).toEqual(['trailers [["grpc-status","0"]]', "end"]);
      const sent = await socket.request({
        fields: head("POST", "/echo", ["trailer", "checksum"]),
        body: new TextEncoder().encode("abc"),
        trailers: [["checksum", "1"]],
      });
      expect(sent.body).toBe("abc");
    });

    when(true, "a head that needs CONTINUATION frames", async (socket) => {
      const fields = head("GET", "/large", ["x-a", "a".repeat(12_000)], ["x-b", "b".repeat(12_000)]);
      expect((await socket.request({ fields })).notes.at(-1)).toBe("end");
    });

    when(!isBun, "requests with fields that repeat, while it changes the table that it allows", async (socket) => {
      for (let i = 0; i < 120; i++) {
        const path = i % 4 === 0 ? `/table/${[0, 4096, 64, 1000, 100_000][(i / 4) % 5] ?? 0}` : `/${i}`;
        const more: Field[] = Array.from({ length: 9 }, (_, f) => [
          `x-${f}`,
          `value ${(i >> (f >> 1)) & 3}`.repeat(f + 1),
        ]);
        const { notes } = await socket.request({ fields: head("GET", path, ...more) });
        expect(notes[0]).toContain(`["x-path","${path}"]`);
      }
    });

    when(!isBun, "with a 103 before the head", async (socket) => {
      const { notes } = await socket.request({ fields: head("GET", "/early") });
      expect(notes[0]).toBe('informational 103 [["link","</a>"]]');
      expect(must(notes[1], "a head follows")).toStartWith("head 200 ");
    });

    // Bun 1.4.5 ends such a stream with DATA and no head, which we refuse.
    when(!isBun, "with a refusal, which says that nothing was processed", async (socket) => {
      const { notes } = await socket.request({ fields: head("GET", "/refuse") });
      expect(notes).toEqual(["reset 7 not processed"]);
      expect((await socket.request({ fields: head("GET", "/next") })).notes.at(-1)).toBe("end");
    });

    when(!isBun, "and goes away", async (socket) => {
      const { notes } = await socket.request({ fields: head("GET", "/goaway") });
      expect(notes.at(-1)).toBe("end");
      expect(socket.client.isClosing).toBe(true);
      await socket.closed;
      expect(socket.counters.h2GoawaysReceived).toBeGreaterThan(0);
    });
  });
