/** Signs of life: our pings, the peer's, and settings that must be acknowledged. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { FLAG, FRAME } from "../../../src/h2/codes.ts";
import { dataFrame, frame, H2Peer } from "../../support/h2-peer.ts";
import { latin1 } from "../../support/sections.ts";

describe("liveness", () => {
  test("silence while a request is under way is asked about; an answer of any kind is one", () => {
    const peer = H2Peer.ready();
    expect(peer.client.deadlineMs()).toBe(Infinity);
    peer.nowMs = 60_000;
    peer.request();
    peer.output();
    expect(peer.client.deadlineMs()).toBe(60_000 + LIMITS.h2PingAfterMs);
    peer.client.onTime(64_999);
    expect(peer.frames()).toEqual([]);
    peer.client.onTime(65_000);
    const [ping] = peer.frames();
    expect([ping?.type, ping?.flags, ping?.payload.length]).toEqual([FRAME.ping, 0, 8]);
    expect(peer.client.deadlineMs()).toBe(65_000 + LIMITS.h2PingAnswerMsMax);
    peer.nowMs = 67_000;
    peer.say(frame(FRAME.ping, FLAG.ack, 0, ping?.payload));
    expect(peer.client.deadlineMs()).toBe(67_000 + 8 * LIMITS.h2PingAfterMs);
    expect(peer.frames()).toEqual([]);
  });

  test("a silence that only pings break is asked about ever less often, until something moves", () => {
    const peer = H2Peer.ready();
    peer.request();
    peer.output();
    const silences: number[] = [];
    const answerAfter = (): void => {
      silences.push(peer.client.deadlineMs() - peer.nowMs);
      peer.nowMs = peer.client.deadlineMs();
      peer.client.onTime(peer.nowMs);
      expect(peer.frames().map(({ type }) => type)).toEqual([FRAME.ping]);
      peer.say(frame(FRAME.ping, FLAG.ack, 0, latin1("liveness")));
    };
    for (let i = 0; i < 4; i++) answerAfter();
    peer.say(peer.headers(1, [[":status", "200"]]));
    answerAfter();
    peer.say(dataFrame(1, "x"));
    answerAfter();
    expect(silences).toEqual([1, 8, 64, 64, 1, 1].map((factor) => factor * LIMITS.h2PingAfterMs));
  });

  test("no answer within its time fails the connection", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    peer.output();
    peer.client.onTime(6000);
    peer.output();
    peer.client.onTime(6000 + LIMITS.h2PingAnswerMsMax - 1);
    expect(peer.failure).toBeNull();
    peer.client.onTime(6000 + LIMITS.h2PingAnswerMsMax);
    expect(peer.failure?.fault).toBe("ping-timeout");
    expect(sink.notes).toEqual(["reset 0"]);
    expect(peer.counters.h2PingTimeouts).toBe(1);
  });

  test("settings that nobody acknowledges fail the connection", () => {
    const peer = new H2Peer();
    peer.output();
    expect(peer.client.deadlineMs()).toBe(1000 + LIMITS.h2SettingsAckMsMax);
    peer.client.onTime(1000 + LIMITS.h2SettingsAckMsMax);
    expect(peer.failure?.fault).toBe("settings-timeout");
    expect(peer.counters.h2SettingsTimeouts).toBe(1);
  });

  test("the peer's pings are answered with their own bytes", () => {
    const peer = H2Peer.ready();
    peer.say(frame(FRAME.ping, 0, 0, latin1("abcdefgh")));
    expect(peer.frames()).toEqual([{ type: FRAME.ping, flags: FLAG.ack, streamId: 0, payload: latin1("abcdefgh") }]);
  });
});
