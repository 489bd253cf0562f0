/** The contract of transports: heads and bodies of answers, and what comes before and after them. */
import { expect } from "bun:test";
import { gunzipSync } from "node:zlib";
import { LIMITS } from "../../src/core/limits.ts";
import { PatternCheck, patternBytes } from "../support/pattern.ts";
import { expectPattern, expectWhole, type ContractCase } from "./contract-bench.ts";

const MEBIBYTE = 1024 * 1024;

/** Cases. */
export const ANSWER_CASES: readonly ContractCase[] = [
  {
    name: "a small answer comes with its status, its fields and its body",
    run: async (bench) => {
      const outcome = await bench.good("/small");
      expect([outcome.status, outcome.field("x-backend"), outcome.trailers]).toEqual([200, [bench.server.kind], null]);
      expect(outcome.bytes).toEqual(patternBytes("small", 512));
      expect(outcome.protocol).toBe(bench.server.protocol.startsWith("h2") ? "2" : "1.1");
    },
  },
  {
    name: "statuses come as they are, and fields of one name apart and in order",
    run: async (bench) => {
      for (const status of [201, 302, 404, 418, 500, 503]) {
        const outcome = await bench.good(`/status/${status}?field=set-cookie:a%3D1&field=set-cookie:b%3D2,%20c`);
        expect([outcome.status, outcome.text]).toEqual([status, `status ${status}\n`]);
        expect(outcome.field("set-cookie")).toEqual(["a=1", "b=2, c"]);
      }
    },
  },
  {
    name: "method, path, query, authority and fields arrive as they were given",
    run: async (bench) => {
      for (const method of ["GET", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"]) {
        const outcome = await bench.good("/headers/a%20b;c=1?x=%2F&y=[z]", {
          method,
          authority: "front.example:99",
          fields: [
            ["x-mine", "1"],
            ["x-twice", "one"],
            ["x-twice", "two"],
            ["cookie", "a=1; b=2"],
            ["user-agent", "probe/1"],
          ],
        });
        const told = JSON.parse(outcome.text);
        expect([told.method, told.target]).toEqual([method, "/headers/a%20b;c=1?x=%2F&y=[z]"]);
        const values = (name: string) => fieldsIn(told, name).join(", ");
        expect(values(":authority") || values("host")).toBe("front.example:99");
        expect([values("x-mine"), values("x-twice"), values("user-agent")]).toEqual(["1", "one, two", "probe/1"]);
        expect(fieldsIn(told, "cookie").join("; ")).toBe("a=1; b=2");
      }
    },
  },
  {
    name: "a body comes with its length and without one, and an empty one too",
    run: async (bench) => {
      for (const path of ["/bytes/300000?seed=s", "/bytes/300000?seed=s&length=no"]) {
        expectPattern(await bench.good(path), "s", 300_000);
      }
      expectPattern(await bench.good("/bytes/0"), "s", 0);
      expectPattern(await bench.good("/bytes/0?length=no"), "s", 0);
    },
  },
  {
    name: "a length is told as the server tells it",
    server: ["contentLength"],
    run: async (bench) => {
      expect((await bench.good("/bytes/200000")).field("content-length")).toEqual(["200000"]);
      const head = await bench.good("/bytes/1000", { method: "HEAD" });
      expect([head.status, head.field("content-length"), head.lengthBytes]).toEqual([200, ["1000"], 0]);
    },
  },
  {
    name: "an answer without a body ends: HEAD, 204 and 304, and the next one is not mistaken for it",
    run: async (bench) => {
      for (const round of [1, 2]) {
        const head = await bench.good(`/bytes/1000?round=${round}`, { method: "HEAD" });
        expect([head.status, head.lengthBytes]).toEqual([200, 0]);
        for (const status of [204, 304]) {
          const outcome = await bench.good(`/status/${status}`);
          expect([outcome.status, outcome.lengthBytes]).toEqual([status, 0]);
        }
        await bench.next();
      }
    },
  },
  {
    name: "a compressed body is left as it is",
    run: async (bench) => {
      const outcome = await bench.good("/gzip/5000?seed=z", { fields: [["accept-encoding", "gzip"]] });
      expect(outcome.field("content-encoding")).toEqual(["gzip"]);
      expect(new Uint8Array(gunzipSync(outcome.bytes))).toEqual(patternBytes("z", 5000));
    },
  },
  {
    name: "10 MB come unchanged",
    run: async (bench) => expectPattern(await bench.good("/bytes/10000000?seed=ten&piece=1000000"), "ten", 10_000_000),
  },
  {
    name: "a piece of an answer comes before the next is made",
    run: async (bench) => {
      const { outcome } = bench.begin("/hold-body?bytes=1000");
      await outcome.received(1000);
      await bench.server.holding(1);
      expect([outcome.status, outcome.ended]).toEqual([200, false]);
      await bench.server.release();
      expectWhole(await outcome.over);
      expect(outcome.text).toEndWith("released");
    },
  },
  {
    name: "an answer comes in many small pieces",
    run: async (bench) => {
      expect((await bench.good("/drip?bytes=20")).bytes).toEqual(patternBytes("drip", 20));
      expect((await bench.good("/stream?pieces=20&bytes=100")).lengthBytes).toBe(2000);
    },
  },
  {
    name: "a head that takes its time comes",
    run: async (bench) => expect((await bench.good("/slow?ms=20")).text).toBe("slow\n"),
  },
  {
    name: "a receiver without room stops the server, and nobody else",
    run: async (bench) => {
      const { outcome, call } = bench.begin(`/bytes/${400 * MEBIBYTE}?seed=stuck`);
      outcome.hasRoom = false;
      await outcome.received(1);
      let [sent, before, others] = [0, -1, 0];
      while (sent !== before) {
        before = sent;
        for (let round = 0; round < 5; round++) others += (await bench.good("/bytes/100000")).lengthBytes;
        sent = (await bench.seen()).bytesSent - others;
      }
      // What was under way when the room ended: one more piece, and with HTTP/2 what the stream's window allowed.
      const underWay = outcome.lengthBytes - Math.max(...outcome.pieces.slice(0, 2).map(({ length }) => length));
      expect(underWay).toBeLessThanOrEqual(LIMITS.h2StreamWindowBytesMax);
      // Sockets on the way hold some megabytes each, and Bun's fetch holds 16 MiB over HTTP/2.
      expect(sent - outcome.lengthBytes).toBeLessThan(64 * MEBIBYTE);
      for (let round = 0; round < 10; round++) {
        const had = outcome.lengthBytes;
        call.resume();
        await outcome.received(had + 1);
      }
      outcome.hasRoom = true;
      call.resume();
      await outcome.received(outcome.lengthBytes + 2 * MEBIBYTE);
      call.cancel();
      const check = new PatternCheck("stuck");
      for (const piece of outcome.pieces) check.add(piece);
      expect(check.wrongAt).toBe(-1);
      await bench.sees(({ aborted }) => aborted === 1);
    },
  },
  {
    name: "trailers follow an answer",
    transport: "trailers",
    server: ["trailersResponse"],
    run: async (bench) => {
      const outcome = await bench.good("/trailers");
      expect([outcome.lengthBytes, outcome.trailers]).toEqual([100, [["x-checksum", "pattern-trailers"]]]);
      expect((await bench.good("/small")).trailers).toBeNull();
    },
  },
  {
    name: "trailers that follow an answer do it no harm",
    server: ["trailersResponse"],
    run: async (bench) => {
      for (let round = 0; round < 3; round++) expect((await bench.good("/trailers")).lengthBytes).toBe(100);
    },
  },
  {
    name: "an interim head comes before the final one",
    transport: "informational",
    server: ["informational"],
    run: async (bench) => {
      const outcome = await bench.good("/hints");
      expect(outcome.informational).toMatchObject([[103, [["link", "</style.css>; rel=preload; as=style"]]]]);
      expect([outcome.status, outcome.text]).toEqual([200, "after the hints\n"]);
    },
  },
  {
    name: "an interim head is not taken for the final one",
    server: ["informational"],
    run: async (bench) => {
      const outcomes = await Promise.all([1, 2, 3].map(() => bench.good("/hints")));
      for (const { status, text } of outcomes) expect([status, text]).toEqual([200, "after the hints\n"]);
      await bench.next();
    },
  },
  {
    name: "heads of 30,000 and 60,000 bytes come",
    run: async (bench) => {
      for (const pad of [30_000, 60_000])
        expect((await bench.good(`/status/200?pad=${pad}`)).field("x-pad")).toEqual(["p".repeat(pad)]);
      await bench.next();
    },
  },
  {
    name: "a head of more than 64 KiB is whole or a failure, and the next request goes well",
    run: async (bench) => {
      const outcome = await bench.ask("/status/200?pad=80000");
      // fetch takes it over HTTP/1.1. Some servers notice it themselves and reset the stream.
      if (outcome.ended) expect(outcome.field("x-pad")).toEqual(["p".repeat(80_000)]);
      else {
        expect(["UPSTREAM_PROTOCOL", "UPSTREAM_RESET"]).toContain(outcome.failure?.code ?? "");
        expect([outcome.status, outcome.failure?.processed, outcome.late]).toEqual([0, "maybe", 0]);
      }
      await bench.nextAfterFault();
    },
  },
];

function fieldsIn(told: { readonly fields: readonly (readonly [string, string])[] }, name: string): string[] {
  return told.fields.filter(([known]) => known.toLowerCase() === name).map(([, value]) => value);
}
