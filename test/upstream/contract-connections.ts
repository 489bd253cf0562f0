/** The contract of transports: many requests at once, and connections that are used again, end or are left. */
import { expect } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { Random } from "../../src/core/random.ts";
import { waitUntil } from "../support/net.ts";
import { patternBytes } from "../support/pattern.ts";
import { PushBody, type Outcome } from "../support/upstream-calls.ts";
import { expectPattern, expectSilence, expectWhole, type ContractBench, type ContractCase } from "./contract-bench.ts";

const AT_ONCE = 200;

/** Cases. */
export const CONNECTION_CASES: readonly ContractCase[] = [
  {
    name: "200 requests at once get each its own answer",
    run: async (bench) => {
      const sizes = Array.from({ length: AT_ONCE }, (_, i) => i * 37);
      const outcomes = await Promise.all(sizes.map((size) => bench.good(`/bytes/${size}?seed=${size}`)));
      outcomes.forEach((outcome, i) => expectPattern(outcome, String(sizes[i]), sizes[i] ?? 0));
    },
  },
  {
    name: "100 bodies at once come back each to its own request",
    run: async (bench) => {
      const texts = Array.from({ length: AT_ONCE / 2 }, (_, i) => `body ${i} `.repeat(i));
      const outcomes = await Promise.all(
        texts.map((text) => bench.good("/echo", { method: "POST", body: new PushBody().push(text).end() })),
      );
      expect(outcomes.map(({ text }) => text)).toEqual(texts);
    },
  },
  {
    name: "cancelled at any point among others, calls are silent and the others go well",
    run: async (bench) => {
      const random = Random.fromEntropy([2026, 11, 22]);
      const running = Array.from({ length: AT_ONCE }, (_, i) => {
        const started = bench.begin(`/stream?pieces=5&bytes=${i}&ms=1`);
        return { ...started, bytes: i, leaves: random.nextBelow(3) === 0, turns: random.nextBelow(12) };
      });
      const left: Outcome[] = [];
      await Promise.all(
        running.map(async ({ outcome, call, bytes, leaves, turns }) => {
          if (!leaves) return expect((await wholeOf(outcome)).lengthBytes).toBe(5 * bytes);
          for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
          if (outcome.ended) return;
          call.cancel();
          left.push(outcome);
        }),
      );
      expect(left.length).toBeGreaterThan(0);
      await bench.good("/small");
      left.forEach(expectSilence);
      await bench.sees(({ active }) => active === 0);
    },
  },
  {
    name: "one request after the other goes on the same connection",
    run: async (bench) => {
      const connections = new Set<string>();
      for (const path of ["/small", "/bytes/100000", "/status/204", "/bytes/5?length=no"])
        connections.add(connectionOf(await bench.good(path)));
      connections.add(
        connectionOf(await bench.good("/echo", { method: "POST", body: new PushBody().push("x").end() })),
      );
      expect(connections.size).toBe(1);
    },
  },
  {
    name: "many at once share one connection",
    version: 2,
    run: async (bench) => {
      await bench.good("/small");
      const outcomes = await Promise.all(Array.from({ length: 50 }, () => bench.good("/small")));
      expect(new Set(outcomes.map(connectionOf)).size).toBe(1);
    },
  },
  {
    name: "a connection that was cut off is not used again",
    server: ["cutMid"],
    version: 1,
    run: async (bench) => {
      const broken = await bench.ask("/cut-mid?length=5000");
      expect(connectionOf(await bench.good("/small"))).not.toBe(connectionOf(broken));
    },
  },
  {
    name: "a server that goes away finishes what runs, and the next request goes elsewhere",
    server: ["goAway"],
    run: async (bench) => {
      const before = connectionOf(await bench.good("/small"));
      const { outcome } = bench.begin("/hold-body?bytes=10");
      await outcome.received(10);
      await bench.server.holding(1);
      await bench.server.goAway();
      await leaves(bench, before);
      expect(outcome.ended).toBe(false);
      await bench.server.release();
      expectWhole(await outcome.over);
      expect(outcome.text).toEndWith("released");
    },
  },
  {
    name: "a server that ends idle connections is asked on another, and no request is lost",
    server: ["goAway"],
    run: async (bench) => {
      const before = connectionOf(await bench.good("/small"));
      await bench.server.goAway();
      await leaves(bench, before);
    },
  },
  {
    name: "a connection that is lost fails what runs, and the next request goes well",
    server: ["drops"],
    run: async (bench) => {
      const head = bench.begin("/hold");
      const body = bench.begin("/hold-body?bytes=10");
      await body.outcome.received(10);
      await bench.server.holding(2);
      await bench.server.dropConnections();
      expect((await head.outcome.over).failure).toMatchObject({
        code: "UPSTREAM_RESET",
        responseReceived: false,
        processed: "maybe",
      });
      expect((await body.outcome.over).failure).toMatchObject({
        code: "UPSTREAM_RESET",
        responseReceived: true,
        processed: "maybe",
      });
      expect((await bench.good("/small")).bytes).toEqual(patternBytes("small", 512));
    },
  },
  {
    name: "closed, a transport finishes what runs and takes nothing new",
    run: async (bench) => {
      const { outcome } = bench.begin("/hold-body?bytes=10");
      await outcome.received(10);
      await bench.server.holding(1);
      bench.bench.upstream.close();
      expect((await bench.ask("/small")).failure).toMatchObject({
        code: "DRAINING",
        requestSent: false,
        processed: "no",
      });
      await bench.server.release();
      expectWhole(await outcome.over);
      expect(outcome.text).toEndWith("released");
    },
  },
];

/** Asks until the server answers on another connection than this; every request goes well. */
async function leaves(bench: ContractBench, connection: string): Promise<void> {
  await waitUntil(async () => connectionOf(await bench.good("/small")) !== connection);
}

function connectionOf(outcome: Outcome): string {
  const [connection] = outcome.field("x-connection");
  return must(connection, "the server tells its connections apart");
}

async function wholeOf(outcome: Outcome): Promise<Outcome> {
  expectWhole(await outcome.over);
  return outcome;
}
