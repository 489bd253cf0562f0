/** A backend that reads slowly is not late as long as it reads; one that stops is, when its time is over. */
import { expect, test } from "bun:test";
import { FRAME, SETTING } from "../../../src/h2/codes.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { H2Network, turnEnds } from "../../support/h2-network.ts";
import { frame, words } from "../../support/h2-peer.ts";
import { NativeBench } from "../../support/native-bench.ts";
import { ScriptedNetwork } from "../../support/scripted-streams.ts";
import { begin, PushBody } from "../../support/upstream-calls.ts";

const TIMEOUTS = { backendResponseHeadMs: 3000, clientBodyIdleMs: 1000 };
const LATE_MS = TIMEOUTS.backendResponseHeadMs + LIMITS.upstreamSweepMsMax;

test("HTTP/1.1: whatever the socket takes is a sign of life", () => {
  const network = new ScriptedNetwork();
  const native = new NativeBench(network.connect, { address: "http://127.0.0.1:8080", timeouts: TIMEOUTS });
  const body = new PushBody().push(new Uint8Array(2 * LIMITS.h1OutputBytesMax)).push("never asked for");
  const { outcome } = begin(native.h1, native.request({ method: "POST", body, contentLengthBytes: 1_000_000 }));
  const stream = network.at(0);
  stream.roomBytes = 1;
  stream.open();
  for (let byte = 0; byte < 20; byte++) {
    native.timers.advance(2000);
    stream.drain();
  }
  expect([outcome.failure, body.pulled]).toEqual([null, 2 * LIMITS.h1OutputBytesMax]);
  native.timers.advance(LATE_MS);
  expect(outcome.failure).toMatchObject({ code: "UPSTREAM_HEAD_TIMEOUT", requestSent: true });
});

test("HTTP/2: credit by the byte is a sign of life", async () => {
  const network = new H2Network();
  const native = new NativeBench(network.connect, { timeouts: TIMEOUTS });
  // A first request, for the settings to be known.
  begin(native.h2, native.request());
  const stream = network.at(0).open("h2").settle([SETTING.initialWindowSize, 1]);
  stream.answer(1);
  const body = new PushBody().push(new Uint8Array(1000)).push("never asked for");
  const { outcome } = begin(native.h2, native.request({ method: "POST", body }));
  await turnEnds();
  for (let byte = 0; byte < 20; byte++) {
    native.timers.advance(2000);
    // Any frame answers the PING by which a silent connection is asked whether it lives.
    stream.say(frame(FRAME.windowUpdate, 0, 3, words(1)));
    await turnEnds();
  }
  expect([outcome.failure, body.pulled]).toEqual([null, 1000]);
  // What the client sends meanwhile is none.
  for (let piece = 0; piece < 4; piece++) {
    body.push("more");
    native.timers.advance(LATE_MS / 4);
  }
  expect(outcome.failure).toMatchObject({ code: "UPSTREAM_HEAD_TIMEOUT", requestSent: true });
});
