/** One request over a native HTTP/1.1 connection whose answer ends before it does, and the end of the transport. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { ScriptedNetwork } from "../../support/scripted-streams.ts";
import { NativeBench } from "../../support/native-bench.ts";
import { begin, PushBody } from "../../support/upstream-calls.ts";

const ANSWER = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno";

function make(): { network: ScriptedNetwork; native: NativeBench } {
  const network = new ScriptedNetwork();
  return { network, native: new NativeBench(network.connect, { address: "http://127.0.0.1:8080" }) };
}

describe("an answer that ends before its request", () => {
  test("stops the client, and its connection is not used again", () => {
    const { network, native } = make();
    const body = new PushBody().push("some");
    const { outcome } = begin(native.h1, native.request({ method: "POST", body, contentLengthBytes: 100 }));
    network.at(0).open();
    expect(String.fromCharCode(...network.at(0).take())).toEndWith("some");
    network.at(0).send(ANSWER);
    expect([outcome.status, outcome.text, outcome.ended]).toEqual([413, "no", true]);
    expect([body.stopped, body.onReadable, network.at(0).abandoned]).toEqual([true, null, true]);
    begin(native.h1, native.request());
    expect(network.streams.length).toBe(2);
  });

  test("is nothing to stop when the request had ended", () => {
    const { network, native } = make();
    const body = new PushBody().push("some").end();
    const { outcome } = begin(native.h1, native.request({ method: "POST", body, contentLengthBytes: 4 }));
    network.at(0).open();
    network.at(0).send(ANSWER);
    expect([outcome.ended, body.stopped, network.at(0).abandoned]).toEqual([true, false, false]);
  });

  test("a failure leaves the body alone, for it may go elsewhere", () => {
    const { network, native } = make();
    const body = new PushBody();
    const { outcome } = begin(native.h1, native.request({ method: "POST", body, contentLengthBytes: 4 }));
    network.at(0).open();
    network.at(0).end();
    expect([outcome.failure?.code, body.stopped]).toEqual(["UPSTREAM_RESET", false]);
  });
});

describe("a request that is given up before its connection is there", () => {
  test("gives the connection up too, and is never sent", () => {
    const { network, native } = make();
    const { call, outcome } = begin(native.h1, native.request());
    call.cancel();
    expect([network.at(0).abandoned, network.at(0).take().length]).toEqual([true, 0]);
    begin(native.h1, native.request());
    expect([network.streams.length, outcome.failure, outcome.status]).toEqual([2, null, 0]);
  });

  test("by its deadline as well", () => {
    const network = new ScriptedNetwork();
    const timeouts = { backendResponseHeadMs: 300 };
    const native = new NativeBench(network.connect, { address: "http://127.0.0.1:8080", timeouts });
    const { outcome } = begin(native.h1, native.request());
    native.timers.advance(300 + LIMITS.upstreamSweepMsMax);
    expect([outcome.failure?.code, network.at(0).abandoned]).toEqual(["UPSTREAM_HEAD_TIMEOUT", true]);
  });
});

test("after the transport's end deadlines hold until the last call is over, and then nothing is left", () => {
  const network = new ScriptedNetwork();
  const timeouts = { backendResponseHeadMs: 3000 };
  const native = new NativeBench(network.connect, { address: "http://127.0.0.1:8080", timeouts });
  const [kept, late] = [begin(native.h1, native.request()).outcome, begin(native.h1, native.request()).outcome];
  for (const stream of network.streams) stream.open();
  native.h1.close();
  native.h2.close();
  network.at(0).send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  native.timers.advance(3100);
  expect([kept.text, late.failure?.code]).toEqual(["ok", "UPSTREAM_HEAD_TIMEOUT"]);
  native.timers.advance(LIMITS.upstreamSweepMsMax);
  expect([network.at(0).abandoned, network.at(1).abandoned, native.timers.waiting]).toEqual([true, true, 0]);
});

describe("an idle connection", () => {
  const answer = (more: string): string => `HTTP/1.1 200 OK\r\n${more}content-length: 0\r\n\r\n`;

  test.each([
    ["", LIMITS.upstreamIdleMsMax],
    ["keep-alive: timeout=5, max=100\r\n", 4000],
    ["keep-alive: timeout=3600\r\n", LIMITS.upstreamIdleMsMax],
  ])("is kept a little shorter than its backend keeps it: %p", (field, keptMs) => {
    const { network, native } = make();
    begin(native.h1, native.request());
    network.at(0).open().send(answer(field));
    native.timers.advance(keptMs - LIMITS.upstreamSweepMsMax);
    expect(network.at(0).abandoned).toBe(false);
    native.timers.advance(LIMITS.upstreamSweepMsMax);
    expect(network.at(0).abandoned).toBe(true);
  });

  test("that its backend keeps for a second at most is not used again", () => {
    const { network, native } = make();
    const { outcome } = begin(native.h1, native.request());
    network.at(0).open().send(answer("keep-alive: timeout=1\r\n"));
    expect([outcome.ended, network.at(0).abandoned]).toEqual([true, true]);
  });
});

test("a head that drips is late when its time is over, and not when the last drop is old", () => {
  const network = new ScriptedNetwork();
  const timeouts = { backendResponseHeadMs: 3000, backendBodyIdleMs: 3000 };
  const native = new NativeBench(network.connect, { address: "http://127.0.0.1:8080", timeouts });
  const [dripping, whole] = [begin(native.h1, native.request()).outcome, begin(native.h1, native.request()).outcome];
  for (const stream of network.streams) stream.open().take();
  network.at(1).send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");
  for (const byte of "HTTP/1.1") {
    network.at(0).send(byte);
    network.at(1).send(byte);
    native.timers.advance(500);
  }
  expect(dripping.failure).toMatchObject({ code: "UPSTREAM_HEAD_TIMEOUT", processed: "maybe" });
  expect([whole.failure, whole.lengthBytes]).toEqual([null, 8]);
});
