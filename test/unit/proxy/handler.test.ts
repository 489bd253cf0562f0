/** Requests that are none: what the client gets, what is recorded. Those that are one are the exchange's (`exchange.test.ts`). */
import { describe, expect, test } from "bun:test";
import { FakeExchange, type FakeExchangeOptions } from "../../support/fake-exchange.ts";

function malformed(options: FakeExchangeOptions): FakeExchange {
  const world = new FakeExchange(options);
  expect(world.upstream.calls).toEqual([]);
  expect(world.counters.requestsMalformed).toBe(1);
  expect(world.outcomes.length).toBe(1);
  return world;
}

describe("a malformed request", () => {
  test("that a person may have made is answered with its status and a line of text", () => {
    const { client, outcome } = malformed({ path: "no-slash" });
    expect(client.status).toBe("400");
    expect(client.text).toBe("400 Bad Request\n");
    expect(client.ended).toBe(true);
    expect(client.fields).toMatchObject({ "content-length": "16", "x-request-id": outcome.requestId });
  });

  test("that is too large is answered with 431 and counted as such", () => {
    const { client, counters } = malformed({ fields: Array.from({ length: 300 }, (_, i) => [`x-${i}`, ""] as const) });
    expect(client.status).toBe("431");
    expect(counters.requestsHeadTooLarge).toBe(1);
    expect([...counters.malformedReasons.entries()]).toEqual([["too-many-fields", 1]]);
  });

  test("that asks for what is not there is answered with 501", () => {
    const { client, counters } = malformed({ method: "CONNECT" });
    expect(client.status).toBe("501");
    expect(counters.requestsHeadTooLarge).toBe(0);
  });

  test("that no client makes by mistake is reset with H3_MESSAGE_ERROR", () => {
    const { client, outcome } = malformed({ fields: [["Upper", "x"]] });
    expect(client.resets).toEqual([0x10e]);
    expect(client.sections).toEqual([]);
    expect(outcome.status).toBe(0);
  });

  test("whose body is still to come is asked to keep it", () => {
    expect(malformed({ path: "no-slash", hasBody: true }).client.stops).toEqual([0x100]);
  });

  test("is recorded without what cannot be trusted, with the reason and who it was", () => {
    const { outcome } = malformed({ path: "no-slash" });
    expect(outcome).toMatchObject({
      ...{ method: "", path: "", authority: "", status: 400, pool: "", backend: "", attempts: 0 },
      ...{ clientIp: "192.0.2.7", clientPort: 40_001, clientSubject: "", bytesIn: 0, bytesOut: 16 },
    });
    expect(outcome.error?.code).toBe("BAD_REQUEST");
    expect(outcome.error?.message).toBe("malformed request: path-form");
    expect(outcome.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("from a client without room is answered when there is room, and recorded once", () => {
    const world = malformed({ path: "no-slash", setUp: ({ client }) => void (client.room = 0) });
    expect(world.client.ended).toBe(false);
    world.client.room = 100;
    world.process();
    expect(world.client.text).toBe("400 Bad Request\n");
    expect(world.client.ended).toBe(true);
    expect(world.outcomes.length).toBe(1);
  });

  test("from a client that goes away before the answer is out is recorded once", () => {
    const world = malformed({ path: "no-slash", setUp: ({ client }) => void (client.sectionsPass = false) });
    world.stream.onAborted("closed");
    expect(world.outcomes.length).toBe(1);
    expect(world.client.sections).toEqual([]);
  });
});
