/** Bodies through fetch, both ways, and how exchanges end, against real servers on loopback. */
import { expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import type { ResponseSink } from "../../src/proxy/ports.ts";
import { startBackend, type BackendProtocol } from "../support/backends.ts";
import { makeFetch } from "../support/fetch-upstream.ts";
import { waitUntil } from "../support/net.ts";
import { patternBytes } from "../support/pattern.ts";
import { begin, exchange, Outcome, PushBody, requestTo } from "../support/upstream-calls.ts";

const PROTOCOLS: readonly BackendProtocol[] = ["http1", "https1", "h2"];

test.each(PROTOCOLS)("%s: delivers small, large and unannounced bodies byte for byte", async (protocol) => {
  const backend = await startBackend({ protocol });
  const { upstream, pool } = await makeFetch(backend.address);
  for (const path of [
    "/bytes/0",
    "/bytes/1?seed=s",
    "/bytes/16384?seed=s",
    "/bytes/16385?seed=s",
    "/bytes/3000000?seed=s",
  ]) {
    for (const suffix of ["", "&length=no"]) {
      const whole = path.includes("?") ? path + suffix : path;
      const outcome = await exchange(upstream, requestTo(pool, { path: whole }));
      expect(outcome.failure).toBeNull();
      const size = Number(/\d+/.exec(path)?.[0]);
      expect(Buffer.compare(outcome.bytes, patternBytes("s", size))).toBe(0);
      expect(outcome.field("content-length")).toEqual(suffix === "" || size === 0 ? [String(size)] : []);
    }
  }
});

test.each(PROTOCOLS)(
  "%s: sends a body of declared length with Content-Length and one of unknown length without",
  async (protocol) => {
    const backend = await startBackend({ protocol });
    const { upstream, pool } = await makeFetch(backend.address);
    const bytes = patternBytes("up", 300_000);
    for (const declared of [true, false]) {
      const body = new PushBody();
      const fields = declared ? ([["content-length", "300000"]] as const) : [];
      const contentLengthBytes = declared ? 300_000 : -1;
      const { outcome } = begin(
        upstream,
        requestTo(pool, { method: "POST", path: "/upload", fields, body, contentLengthBytes }),
      );
      for (let at = 0; at < bytes.length; at += 70_000) body.push(bytes.subarray(at, at + 70_000));
      body.end();
      const { text } = await outcome.over;
      expect(JSON.parse(text)).toEqual({
        length: 300_000,
        sha256: new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),
      });
      const seen = must(backend.seen.at(-1), "the backend saw the request");
      const lengths = seen.fields.filter(([name]) => name.toLowerCase() === "content-length");
      expect(lengths.map(([, value]) => value)).toEqual(declared ? ["300000"] : []);
    }
  },
);

test.each(PROTOCOLS)(
  "%s: lets the answer begin and flow while the request still does, as it declares",
  async (protocol) => {
    const backend = await startBackend({ protocol });
    const { upstream, pool } = await makeFetch(backend.address);
    expect(upstream.abilities.fullDuplex).toBe(true);
    const body = new PushBody().push("one");
    const { outcome } = begin(upstream, requestTo(pool, { method: "POST", path: "/echo", body }));
    await outcome.received(3);
    body.push("two");
    await outcome.received(6);
    body.end();
    expect((await outcome.over).text).toBe("onetwo");
    expect(outcome.ended).toBe(true);
  },
);

test.each(PROTOCOLS)("%s: pulls no more of a request than the backend takes", async (protocol) => {
  const backend = await startBackend({ protocol });
  const { upstream, pool } = await makeFetch(backend.address);
  const body = new PushBody();
  for (let i = 0; i < 640; i++) body.push(new Uint8Array(65_536));
  const { outcome, call } = begin(upstream, requestTo(pool, { method: "POST", path: "/hold", body }));
  await backend.holding(1);
  let before = -1;
  await waitUntil(async () => {
    const settled = body.pulled === before;
    before = body.pulled;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return settled;
  });
  expect(body.pulled).toBeLessThan(20 * 1024 * 1024);
  call.cancel();
  expect(outcome.failure).toBeNull();
});

test.each(PROTOCOLS)(
  "%s: reads no more of an answer than the receiver takes, and goes on when it has room again",
  async (protocol) => {
    const backend = await startBackend({ protocol });
    const { upstream, pool } = await makeFetch(backend.address);
    const { outcome, call } = begin(upstream, requestTo(pool, { path: "/bytes/40000000?seed=big" }));
    outcome.hasRoom = false;
    await outcome.received(1);
    const held = outcome.lengthBytes;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(outcome.lengthBytes).toBe(held);
    expect(backend.counts.completed).toBe(0);
    outcome.hasRoom = true;
    call.resume();
    await outcome.over;
    expect(Buffer.compare(outcome.bytes, patternBytes("big", 40_000_000))).toBe(0);
  },
);

test.each(PROTOCOLS)(
  "%s: a cancelled request ends at the backend and says nothing more, before the head and after it",
  async (protocol) => {
    const backend = await startBackend({ protocol });
    const { upstream, pool } = await makeFetch(backend.address);
    for (const path of ["/hold", "/hold-body"]) {
      const { outcome, call } = begin(upstream, requestTo(pool, { path }));
      await backend.holding(1);
      if (path === "/hold-body") await outcome.received(1);
      const aborted = backend.counts.aborted;
      call.cancel();
      call.cancel();
      await waitUntil(() => backend.counts.aborted === aborted + 1);
      backend.release();
      expect([outcome.ended, outcome.failure, upstream.running]).toEqual([false, null, 0]);
    }
  },
);

test.each(PROTOCOLS)("%s: a broken answer is a failure, before the head and after it", async (protocol) => {
  const backend = await startBackend({ protocol });
  const { upstream, pool } = await makeFetch(backend.address);
  const before = await exchange(upstream, requestTo(pool, { path: "/reset-before" }));
  expect([before.failure?.code, before.failure?.processed, before.status]).toEqual(["UPSTREAM_RESET", "maybe", 0]);
  const mid = await exchange(upstream, requestTo(pool, { path: "/reset-mid?bytes=1000&length=2000" }));
  expect([mid.failure?.code, mid.ended]).toEqual(["UPSTREAM_RESET", false]);
  const unannounced = await exchange(upstream, requestTo(pool, { path: "/reset-mid?bytes=100000" }));
  expect([unannounced.failure?.code, unannounced.ended]).toEqual(["UPSTREAM_RESET", false]);
});

test.each(PROTOCOLS)(
  "%s: a client that breaks off its request body breaks the request, and the backend sees no clean end",
  async (protocol) => {
    const backend = await startBackend({ protocol });
    const { upstream, pool } = await makeFetch(backend.address);
    const body = new PushBody().push("half");
    const { outcome } = begin(upstream, requestTo(pool, { method: "POST", path: "/upload", body }));
    await waitUntil(() => backend.counts.requests === 1);
    body.end("broken");
    expect((await outcome.over).failure?.code).toBe("CLIENT_GONE");
    await waitUntil(() => backend.counts.aborted === 1);
    expect(backend.counts.completed).toBe(0);
  },
);

test.each(PROTOCOLS)(
  "%s: a request body that differs from its declared length breaks the request",
  async (protocol) => {
    const backend = await startBackend({ protocol });
    const { upstream, pool } = await makeFetch(backend.address);
    for (const sent of ["abc", "abcdefgh"]) {
      const request = requestTo(pool, {
        method: "POST",
        path: "/upload",
        fields: [["content-length", "5"]],
        body: new PushBody().push(sent).end(),
        contentLengthBytes: 5,
      });
      expect((await exchange(upstream, request)).failure?.code).toBe("BAD_REQUEST");
    }
    await waitUntil(() => backend.counts.active === 0);
    expect(backend.counts.completed).toBe(0);
  },
);

test.each(PROTOCOLS)("%s: an answer that is complete before the request tells the client to stop", async (protocol) => {
  const backend = await startBackend({ protocol });
  const { upstream, pool } = await makeFetch(backend.address);
  const body = new PushBody().push("some");
  const outcome = await exchange(upstream, requestTo(pool, { method: "POST", path: "/ignore-body", body }));
  expect([outcome.ended, body.stopped]).toEqual([true, true]);
});

test("a receiver that cancels inside a call hears nothing more", async () => {
  const backend = await startBackend({ protocol: "http1" });
  const { upstream, pool } = await makeFetch(backend.address);
  for (const [path, where] of [
    ["/small", "head"],
    ["/status/204", "head"],
    ["/small", "body"],
    ["/bytes/500000", "body"],
  ] as const) {
    const outcome = new Outcome();
    const cancelled = Promise.withResolvers<void>();
    const cancel = (): void => {
      call.cancel();
      cancelled.resolve();
    };
    const sink: ResponseSink = {
      onInformational() {},
      onHead(status, fields, protocol) {
        outcome.onHead(status, fields, protocol);
        if (where === "head") cancel();
      },
      onBody(bytes, at, end) {
        outcome.onBody(bytes, at, end);
        cancel();
        return true;
      },
      onTrailers() {},
      onEnd: () => outcome.onEnd(),
      onFailure: (error) => outcome.onFailure(error),
    };
    const call = upstream.start(requestTo(pool, { path }), sink);
    await cancelled.promise;
    // Another exchange gives whatever might still come the time to come.
    await exchange(upstream, requestTo(pool, { path: "/bytes/500000" }));
    expect([outcome.ended, outcome.failure, outcome.pieces.length]).toEqual([false, null, where === "head" ? 0 : 1]);
  }
});
