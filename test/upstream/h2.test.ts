/** The native HTTP/2 transport over real sockets: a backend that vanishes, and what Node's server does at the end of a window. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { Random } from "../../src/core/random.ts";
import { connectBunStream } from "../../src/runtime/bun-streams.ts";
import type { ConnectStream } from "../../src/runtime/streams.ts";
import { systemTimers } from "../../src/runtime/timers.ts";
import { Transports } from "../../src/upstream/transports.ts";
import { startBackend } from "../support/backends.ts";
import { certificateFiles, testCertificate } from "../support/certs.ts";
import { hereFetch } from "../support/fetch-upstream.ts";
import { ManualTimers } from "../support/manual-timers.ts";
import { NativeBench } from "../support/native-bench.ts";
import { waitUntil } from "../support/net.ts";
import { hasNode, startNodeServer } from "../support/node-server.ts";
import { startRelay } from "../support/relay.ts";
import {
  backendOf,
  begin,
  exchange,
  type Outcome,
  PATIENT,
  poolOf,
  PushBody,
  requestTo,
} from "../support/upstream-calls.ts";

describe("a backend that vanishes without a word", () => {
  test("is found by a PING; the next request goes over a new connection", async () => {
    const backend = await startBackend({ protocol: "h2c" });
    const relay = await startRelay(backend.port);
    const native = new NativeBench(connectBunStream, { address: `h2c://127.0.0.1:${relay.port}` });
    expect((await exchange(native.h2, native.request({ path: "/bytes/5" }))).lengthBytes).toBe(5);
    const { outcome } = begin(native.h2, native.request({ path: "/hold" }));
    await backend.holding(1);
    relay.goSilent();
    native.timers.advance(LIMITS.h2PingAfterMs);
    expect([native.counters.h2PingsSent, outcome.failure]).toEqual([1, null]);
    native.timers.advance(LIMITS.h2PingAnswerMsMax);
    expect((await outcome.over).failure?.message).toContain("ping-timeout");
    expect((await exchange(native.h2, native.request({ path: "/bytes/5" }))).lengthBytes).toBe(5);
    expect([relay.connections, native.counters.h2PingTimeouts]).toEqual([2, 1]);
  });

  test("is not taken for one that thinks for long: its answer to a PING is enough", async () => {
    const backend = await startBackend({ protocol: "h2c" });
    let reads = 0;
    const connect: ConnectStream = (target, user) =>
      connectBunStream(target, {
        onOpen: (stream) => user.onOpen(stream),
        onData: (bytes) => {
          user.onData(bytes);
          reads += 1;
        },
        onDrain: () => user.onDrain(),
        onClose: (error) => user.onClose(error),
      });
    const native = new NativeBench(connect, { address: backend.address });
    const { outcome } = begin(native.h2, native.request({ path: "/hold" }));
    await backend.holding(1);
    await waitUntil(() => reads > 0);
    // The second question comes after eight times the silence.
    for (const silenceMs of [LIMITS.h2PingAfterMs, 8 * LIMITS.h2PingAfterMs - LIMITS.h2PingAnswerMsMax]) {
      const before = reads;
      const { h2PingsSent } = native.counters;
      native.timers.advance(silenceMs);
      expect(native.counters.h2PingsSent).toBe(h2PingsSent + 1);
      await waitUntil(() => reads > before);
      native.timers.advance(LIMITS.h2PingAnswerMsMax);
    }
    expect([outcome.failure, native.counters.h2PingTimeouts]).toEqual([null, 0]);
    backend.release();
    expect((await outcome.over).ended).toBe(true);
  });
});

test("a backend that is replaced is asked again what it speaks, after a request could not reach the old one", async () => {
  const first = await startBackend({ protocol: "https1" });
  const { caFile } = certificateFiles(await testCertificate());
  const backend = { ...backendOf(first.address), transport: "native" as const };
  const pool = poolOf([backend], { caFile });
  const timers = new ManualTimers();
  const counters = new Counters();
  const transports = new Transports({
    ...{ snapshot: { pools: [pool], timeouts: PATIENT }, fetch: hereFetch(), connect: connectBunStream },
    ...{ timers, counters, random: Random.fromEntropy([1]), onLearned: () => undefined },
  });
  const ask = (): Promise<Outcome> => exchange(transports.of(backend), requestTo(pool, { path: "/bytes/5" }));
  expect((await ask()).lengthBytes).toBe(5);
  expect((await ask()).lengthBytes).toBe(5);
  expect(counters.upstreamFallbacks).toBe(1);
  await first.stop();
  const failed = must((await ask()).failure, "nobody is there");
  timers.advance(LIMITS.protocolRelearnMsMin);
  transports.onFailure(backend, failed);
  await startBackend({ protocol: "h2", port: first.port });
  expect((await ask()).lengthBytes).toBe(5);
  expect([counters.upstreamFallbacks, counters.h2StreamsOpened]).toEqual([1, 1]);
  transports.close();
});

describe.skipIf(!hasNode())("Node's server", () => {
  /** A transport towards a server of its own. */
  async function make(): Promise<NativeBench> {
    const address = `h2c://127.0.0.1:${await startNodeServer()}`;
    return new NativeBench(connectBunStream, { address, timers: systemTimers });
  }

  // It resets a stream, without an error and without END_STREAM, when the window is used up by the last byte (20.20.2).
  test("may reset an answer that fills the window: with a content-length it is whole, without it was perhaps cut", async () => {
    const native = await make();
    for (const [path, ended] of [
      ["/sized-pieces/", true],
      ["/pieces/", false],
    ] as const) {
      const { outcome } = begin(native.h2, native.request({ path: `${path}${LIMITS.h2StreamWindowBytesMax}` }));
      outcome.hasRoom = false;
      await outcome.over;
      expect(outcome.lengthBytes).toBe(LIMITS.h2StreamWindowBytesMax);
      expect([outcome.ended, outcome.failure?.code]).toEqual([ended, ended ? undefined : "UPSTREAM_RESET"]);
    }
    expect(native.counters.h2EndsByReset).toBe(1);
    native.h2.close();
  });

  test("ends bodies of round lengths, whose pieces are taken as they come", async () => {
    const native = await make();
    for (const length of [262_144, 524_288, 1_048_576, 1_000_000, 4_194_304]) {
      const { lengthBytes, failure } = await exchange(native.h2, native.request({ path: `/pieces/${length}` }));
      expect([lengthBytes, failure]).toEqual([length, null]);
    }
    native.h2.close();
  });

  test("answers before the request has ended: the client is stopped, the next request is fine", async () => {
    const native = await make();
    const body = new PushBody().push("some");
    const answer = await exchange(native.h2, native.request({ method: "POST", path: "/pieces/5", body }));
    expect([answer.lengthBytes, answer.failure, body.stopped]).toEqual([5, null, true]);
    expect((await exchange(native.h2, native.request({ path: "/pieces/7" }))).lengthBytes).toBe(7);
    expect(native.counters.upstreamConnections).toBe(1);
    native.h2.close();
  });
});
