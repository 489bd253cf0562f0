/** Interim heads and trailers on their way through an exchange, both ways. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { SECTION } from "../../../src/quic/engine.ts";
import { FakeExchange } from "../../support/fake-exchange.ts";
import { type Field, sectionOf } from "../../support/sections.ts";

describe("interim heads", () => {
  test("go to the client as they come, without what belongs to the backend's connection", () => {
    const world = new FakeExchange();
    world.call.inform(103, [
      ["link", "</a.css>; rel=preload"],
      ["connection", "x-hop"],
      ["x-hop", "1"],
      ["alt-svc", 'h3=":1"'],
    ]);
    world.call.inform(102);
    world.call.head(200);
    world.call.end();
    expect(world.client.sections.map(({ kind, fields }) => [kind, fields[0]?.[1], fields.length])).toEqual([
      [SECTION.head, "103", 2],
      [SECTION.additionalHead, "102", 1],
      [SECTION.additionalHead, "200", 3],
    ]);
    expect(world.client.sections[0]?.fields[1]).toEqual(["link", "</a.css>; rel=preload"]);
    expect(world.outcome).toMatchObject({ status: 200, error: null });
  });

  test("that cannot be passed on are left out and counted; the answer is as good as before", () => {
    const large = "x".repeat(LIMITS.responseHeadBytesMax);
    const bad: readonly (readonly [number, readonly Field[]])[] = [
      [101, []],
      [99, []],
      [103, [[":status", "103"]]],
      [103, [["link", "a\r\nb"]]],
      [103, [["link", large]]],
    ];
    for (const [status, fields] of bad) {
      const world = new FakeExchange();
      world.call.inform(status, fields);
      expect([world.client.sections.length, world.counters.informationalDropped]).toEqual([0, 1]);
      world.call.head(200);
      world.call.end();
      expect(world.outcome).toMatchObject({ status: 200, error: null });
    }
  });

  test("to a client that has gone away are nothing", () => {
    const world = new FakeExchange({
      onStart: (call, { client }) => {
        client.stopped = true;
        call.inform(103);
      },
    });
    expect(world.client.sections).toEqual([]);
    expect(world.outcome).toMatchObject({ status: 499 });
    expect(world.call.state).toBe("cancelled");
  });

  test("do not stand in the way of another try", () => {
    const world = new FakeExchange();
    world.call.inform(103);
    world.call.fail("UPSTREAM_REFUSED");
    world.call.head(200);
    world.call.end();
    expect(world.client.sections.map(({ fields }) => fields[0]?.[1])).toEqual(["103", "200"]);
  });
});

describe("trailers of a response", () => {
  test("end it, with what may stand in them", () => {
    const world = new FakeExchange();
    world.call.head(200);
    world.call.body("abc");
    world.call.trailers([
      ["grpc-status", "0"],
      ["content-length", "7"],
      ["connection", "close"],
      ["x-sum", "1"],
    ]);
    world.call.end();
    const last = world.client.sections.at(-1);
    expect(last).toEqual({
      kind: SECTION.trailers,
      fields: [
        ["grpc-status", "0"],
        ["x-sum", "1"],
      ],
    });
    expect([world.client.text, world.client.ended]).toEqual(["abc", true]);
    expect(world.outcome).toMatchObject({ status: 200, bytesOut: 3, error: null });
  });

  test("of which nothing is left end it all the same", () => {
    for (const fields of [[], [["content-type", "a/b"]]] as const) {
      const world = new FakeExchange();
      world.call.head(200);
      world.call.trailers(fields.map(([name, value]): Field => [name, value]));
      world.call.end();
      expect([world.client.sections.length, world.client.ended]).toEqual([1, true]);
      expect(world.outcomes.length).toBe(1);
    }
  });

  test("wait for a client without room, behind the body", () => {
    const world = new FakeExchange();
    world.call.head(200);
    world.client.room = 2;
    world.call.body("abc");
    world.call.trailers([["x-sum", "1"]]);
    world.call.end();
    expect([world.client.sections.length, world.client.ended]).toEqual([1, false]);
    world.client.room = 10;
    world.process();
    expect([world.client.text, world.client.sections.length, world.client.ended]).toEqual(["abc", 2, true]);
  });

  test("that are malformed reset the stream: the message was broken", () => {
    for (const field of [
      [":status", "200"],
      ["X-Upper", "1"],
      ["x-line", "a\nb"],
    ] as const) {
      const world = new FakeExchange();
      world.call.head(200);
      world.call.trailers([field]);
      expect(world.client.resets.length).toBe(1);
      expect(world.call.state).toBe("cancelled");
      expect(world.outcome.error?.code).toBe("UPSTREAM_PROTOCOL");
    }
  });

  test("are not sent where there is no body", () => {
    const world = new FakeExchange({ method: "HEAD" });
    world.call.head(200);
    world.call.trailers([["x-sum", "1"]]);
    world.call.end();
    expect([world.client.sections.length, world.client.ended]).toEqual([1, true]);
  });
});

describe("trailers of a request", () => {
  test("are there for the backend when the body has ended", () => {
    const world = new FakeExchange({ method: "POST", hasBody: true });
    world.sendBody("abc");
    world.call.request.body?.pull();
    world.stream.onTrailers(sectionOf([["x-sum", "1"]]));
    world.sendEnd();
    expect(world.call.request.body?.pull()).toBeNull();
    expect(world.call.request.body?.state).toBe("ended");
    expect(world.call.request.body?.trailers?.get("x-sum")).toBe("1");
  });

  test("are announced where the way takes them: the client's `te: trailers` goes along, and only then", () => {
    const asked = new FakeExchange({ fields: [["te", "trailers"]] });
    expect(Object.fromEntries(asked.call.fields)["te"]).toBe("trailers");
    const silent = new FakeExchange();
    expect(Object.fromEntries(silent.call.fields)["te"]).toBeUndefined();
  });
});
