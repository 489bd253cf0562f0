/** The phases of one exchange, between a scripted client and scripted backends. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { CUT_OFF, REFUSED, UNANSWERED } from "../../../src/proxy/upstream-failure.ts";
import { FakeExchange } from "../../support/fake-exchange.ts";
import type { Field } from "../../support/sections.ts";

/** Everything the client got, in short. */
function got({ client }: FakeExchange): { status: string; text: string; ended: boolean } {
  return { status: client.status, text: client.text, ended: client.ended };
}

describe("an exchange that goes well", () => {
  test("passes head, body and end on, and is recorded when the client has all of it", () => {
    const world = new FakeExchange({ path: "/a?b=c" });
    world.timers.advance(12.5);
    world.call.head(200, [["content-type", "text/plain"]]);
    expect(world.call.body("Hello ")).toBe(true);
    world.call.body("world");
    expect(world.outcomes).toEqual([]);
    world.call.end();
    expect(got(world)).toEqual({ status: "200", text: "Hello world", ended: true });
    expect(world.client.fields).toMatchObject({
      "content-type": "text/plain",
      "x-request-id": world.outcome.requestId,
    });
    expect(world.outcomes).toEqual([
      {
        ...{ requestId: world.outcome.requestId, method: "GET", path: "/a?b=c", authority: "example.com" },
        ...{ status: 200, pool: "main", backend: "b0", durationMs: 12.5, bytesIn: 0, bytesOut: 11 },
        ...{
          clientIp: "192.0.2.7",
          clientPort: 40_001,
          clientSubject: "",
          listener: "",
          attempts: 1,
          error: null,
          fields: expect.anything(),
          accessLog: "on",
        },
      },
    ]);
    expect(world.counters.requestsCompleted).toBe(1);
    expect(world.counters.requestsFailed).toBe(0);
  });

  test("gives the backend the request as it is to be sent on", () => {
    const world = new FakeExchange({ method: "POST", path: "/up", hasBody: true, fields: [["content-length", "3"]] });
    const { request, fields } = world.call;
    expect(request).toMatchObject({ method: "POST", path: "/up", authority: "example.com", contentLengthBytes: 3 });
    expect(request.backend.id).toBe("b0");
    expect(Object.fromEntries(fields)).toMatchObject({ "x-forwarded-for": "192.0.2.7", "content-length": "3" });
    expect(request.body).not.toBeNull();
    world.sendBody("abc");
    expect(request.body?.pull()?.length).toBe(3);
    world.sendEnd();
    world.call.head(204);
    expect(world.outcome).toMatchObject({ status: 204, bytesIn: 3, bytesOut: 0, error: null });
  });

  test("gives the backend no body when the request has none", () => {
    expect(new FakeExchange().call.request.body).toBeNull();
  });

  test("keeps the client's request id, towards the backend, the client and the record", () => {
    const world = new FakeExchange({ fields: [["x-request-id", "from-outside"]] });
    world.call.head(200);
    world.call.end();
    expect(Object.fromEntries(world.call.fields)["x-request-id"]).toBe("from-outside");
    expect(world.client.fields["x-request-id"]).toBe("from-outside");
    expect(world.outcome.requestId).toBe("from-outside");
  });
});

describe("no answer of a backend", () => {
  test("404 when no route takes the request", () => {
    const world = new FakeExchange({ path: "/elsewhere" });
    expect(got(world)).toEqual({ status: "404", text: "404 Not Found\n", ended: true });
    expect(world.upstream.calls).toEqual([]);
    expect(world.outcome).toMatchObject({ status: 404, pool: "", backend: "", attempts: 0 });
    expect(world.outcome.error?.code).toBe("NO_ROUTE");
    expect(world.counters.requestsFailed).toBe(1);
  });

  test("503 with retry-after when no backend may be used", () => {
    const world = new FakeExchange({ down: [0, 1] });
    expect(got(world)).toEqual({ status: "503", text: "503 Service Unavailable\n", ended: true });
    expect(world.client.fields["retry-after"]).toBe("1");
    expect(world.outcome).toMatchObject({ status: 503, pool: "main", backend: "", attempts: 0 });
    expect(world.outcome.error?.code).toBe("NO_HEALTHY_BACKEND");
  });

  test("tells the client nothing of what went wrong inside", () => {
    const world = new FakeExchange();
    world.call.fail("UPSTREAM_RESET");
    expect(JSON.stringify(world.client.sections) + world.client.text).not.toContain("scripted");
    expect(world.outcome.error?.message).toBe("scripted UPSTREAM_RESET");
  });

  for (const [code, status] of [
    ["UPSTREAM_RESET", 502],
    ["UPSTREAM_PROTOCOL", 502],
    ["UPSTREAM_HEAD_TIMEOUT", 504],
    ["BAD_REQUEST", 400],
    ["INTERNAL", 500],
  ] as const) {
    test(`${status} for ${code}, without another try`, () => {
      const world = new FakeExchange();
      world.call.fail(code);
      expect(world.client.status).toBe(String(status));
      expect(world.client.ended).toBe(true);
      expect(world.upstream.calls.length).toBe(1);
      expect(world.outcome).toMatchObject({ status, backend: "b0", attempts: 1 });
      expect(world.unreachable).toEqual([]);
    });
  }

  test("has no body when the request was HEAD, and the length of what GET would get", () => {
    const world = new FakeExchange({ method: "HEAD" });
    world.call.fail("UPSTREAM_RESET");
    expect(got(world)).toEqual({ status: "502", text: "", ended: true });
    expect(world.client.fields["content-length"]).toBe("16");
    expect(world.outcome).toMatchObject({ status: 502, bytesOut: 0 });
  });

  test("waits for a client that has no room, and is recorded when it is out", () => {
    const world = new FakeExchange();
    world.client.room = 5;
    world.call.fail("UPSTREAM_RESET");
    expect(world.outcomes).toEqual([]);
    world.client.room = 100;
    world.process();
    expect(got(world)).toEqual({ status: "502", text: "502 Bad Gateway\n", ended: true });
    expect(world.outcome).toMatchObject({ status: 502, bytesOut: 16 });
  });

  test("asks the client to stop a body that nobody will read", () => {
    const world = new FakeExchange({ method: "POST", hasBody: true, path: "/elsewhere" });
    expect(world.client.stops).toEqual([0x100]);
  });
});

describe("a backend that cannot be reached", () => {
  test("is left for another one, once", () => {
    const world = new FakeExchange();
    world.call.fail("UPSTREAM_REFUSED");
    expect(world.upstream.calls.map(({ request }) => request.backend.id)).toEqual(["b0", "b1"]);
    expect(world.unreachable).toEqual([0]);
    expect(world.counters.retries).toBe(1);
    world.call.head(200);
    world.call.end();
    expect(world.outcome).toMatchObject({ status: 200, backend: "b1", attempts: 2, error: null });
  });

  test("is left for one other, and no third", () => {
    const world = new FakeExchange({ backends: 5 });
    world.call.fail("UPSTREAM_REFUSED");
    world.call.fail("UPSTREAM_CONNECT_TIMEOUT");
    expect(world.upstream.calls.length).toBe(2);
    expect(world.unreachable.length).toBe(2);
    expect(world.client.status).toBe("504");
    expect(world.outcome).toMatchObject({ attempts: 2, status: 504 });
  });

  test("is never tried again itself", () => {
    for (const options of [{ backends: 1 }, { backends: 3, down: [1, 2] }]) {
      const world = new FakeExchange(options);
      world.call.fail("UPSTREAM_REFUSED");
      expect(world.upstream.calls.length).toBe(1);
      expect(world.client.status).toBe("502");
      expect(world.outcome).toMatchObject({ status: 502, backend: "b0", attempts: 1 });
      expect(world.outcome.error?.code).toBe("UPSTREAM_REFUSED");
      expect(world.counters.retries).toBe(0);
    }
  });

  test("is never tried again itself, whatever the policy", () => {
    for (const balancing of ["round-robin", "random", "consistent-hash"] as const) {
      for (let round = 0; round < 20; round++) {
        const world = new FakeExchange({ backends: 3, balancing, path: `/${round}` });
        const first = world.call.request.backend.id;
        world.call.fail("UPSTREAM_REFUSED");
        expect(world.upstream.calls.length).toBe(2);
        expect(world.call.request.backend.id).not.toBe(first);
      }
    }
  });

  test("costs the one that takes over a single turn of the balancer", () => {
    const world = new FakeExchange({ backends: 3 });
    world.call.fail("UPSTREAM_REFUSED");
    expect(world.call.request.backend.id).toBe("b1");
  });

  test("gets no second try when part of the body was read already", () => {
    const world = new FakeExchange({ method: "POST", hasBody: true });
    world.sendBody("abc");
    world.call.request.body?.pull();
    world.call.fail("UPSTREAM_REFUSED");
    expect(world.upstream.calls.length).toBe(1);
    expect(world.client.status).toBe("502");
    expect(world.unreachable).toEqual([0]);
  });

  test("gets no second try when the body was refused already", () => {
    const world = new FakeExchange({ method: "POST", hasBody: true });
    world.call.request.body?.stop();
    world.call.fail("UPSTREAM_REFUSED");
    expect(world.upstream.calls.length).toBe(1);
  });

  test("leaves a body that nobody has read to the second try", () => {
    const world = new FakeExchange({ method: "POST", hasBody: true });
    world.sendBody("abc");
    world.call.fail("UPSTREAM_REFUSED");
    expect(world.upstream.calls.length).toBe(2);
    expect(world.call.request.body?.pull()?.length).toBe(3);
  });

  test("gets no second try when it may have taken the request", () => {
    const world = new FakeExchange();
    world.call.fail("UPSTREAM_REFUSED", CUT_OFF);
    expect(world.upstream.calls.length).toBe(1);
    expect(world.unreachable).toEqual([]);
  });

  test("gets a second try for a safe method when it may have been reached on a connection that died", () => {
    for (const [method, tries] of [
      ["GET", 2],
      ["DELETE", 1],
      ["PUT", 1],
    ] as const) {
      const world = new FakeExchange({ method });
      world.call.fail("UPSTREAM_CONNECT_TIMEOUT", UNANSWERED);
      expect(world.upstream.calls.length).toBe(tries);
      expect(world.unreachable).toEqual([0]);
    }
  });

  test("is another thing than one that refused a stream: that is tried elsewhere, and is no evidence", () => {
    const world = new FakeExchange();
    world.call.fail("UPSTREAM_RESET", REFUSED);
    expect(world.upstream.calls.length).toBe(2);
    expect(world.unreachable).toEqual([]);
  });

  test("may say so before the attempt has begun; the second then runs as any other", () => {
    const world = new FakeExchange({
      onStart: (call) => {
        if (call.request.backend.id === "b0") call.fail("UPSTREAM_REFUSED");
      },
    });
    expect(world.upstream.calls.length).toBe(2);
    world.call.head(200);
    world.client.room = 1;
    world.call.body("ab");
    world.client.room = 5;
    world.process();
    expect(world.call.resumes).toBe(1);
    world.client.stopped = true;
    world.process();
    expect(world.call.state).toBe("cancelled");
    expect(world.upstream.calls[0]?.state).toBe("failed");
  });

  test("may say so for every one of them before an attempt has begun", () => {
    const world = new FakeExchange({ onStart: (call) => call.fail("UPSTREAM_REFUSED") });
    expect(world.upstream.calls.length).toBe(2);
    expect(got(world)).toEqual({ status: "502", text: "502 Bad Gateway\n", ended: true });
    expect(world.outcomes.length).toBe(1);
  });

  test("and a client without room for the answer that then goes away: nothing is cancelled that has failed", () => {
    const world = new FakeExchange({
      backends: 1,
      onStart: (call) => call.fail("UPSTREAM_RESET"),
    });
    expect(world.outcomes.length).toBe(1);
    const blocked = new FakeExchange({ backends: 1 });
    blocked.client.room = 0;
    blocked.call.fail("UPSTREAM_RESET");
    blocked.client.room = 3;
    blocked.process();
    blocked.client.stopped = true;
    blocked.process();
    expect(blocked.outcomes.length).toBe(1);
    expect(blocked.outcome.status).toBe(499);
    expect(blocked.call.state).toBe("failed");
  });
});

describe("a failure after the head", () => {
  test("resets the stream with H3_INTERNAL_ERROR and never ends it cleanly", () => {
    const world = new FakeExchange();
    world.call.head(200);
    world.call.body("half of i");
    world.call.fail("UPSTREAM_RESET");
    expect(got(world)).toEqual({ status: "200", text: "half of i", ended: false });
    expect(world.client.resets).toEqual([0x102]);
    expect(world.outcome).toMatchObject({ status: 200, bytesOut: 9, attempts: 1 });
    expect(world.outcome.error?.code).toBe("UPSTREAM_RESET");
    expect(world.counters.responsesReset).toBe(1);
    expect(world.counters.requestsFailed).toBe(1);
  });

  test("is not tried anywhere else, whatever the failure says of itself", () => {
    const world = new FakeExchange();
    world.call.head(200);
    world.call.fail("UPSTREAM_REFUSED");
    expect(world.upstream.calls.length).toBe(1);
    expect(world.client.resets).toEqual([0x102]);
  });

  test("counts from when the head was written, also when it still waits for room", () => {
    const world = new FakeExchange();
    world.client.sectionsPass = false;
    world.call.head(200);
    world.call.fail("UPSTREAM_RESET");
    expect(world.client.resets).toEqual([0x102]);
    expect(world.outcome.error?.code).toBe("UPSTREAM_RESET");
  });

  test("of a response that is all head changes nothing: the client has it whole", () => {
    const world = new FakeExchange({ method: "HEAD" });
    world.client.sectionsPass = false;
    world.call.head(200);
    world.call.fail("UPSTREAM_RESET");
    world.client.sectionsPass = true;
    world.process();
    expect(got(world)).toEqual({ status: "200", text: "", ended: true });
    expect(world.outcome).toMatchObject({ status: 200, error: null });
  });
});

describe("a response head that breaks HTTP", () => {
  test("is a failure of the backend: 502, and the attempt is cancelled once", () => {
    for (const [status, fields] of [
      [99, []],
      [101, []],
      [200, [["content-length", "x"]]],
      [200, [[":status", "200"]]],
    ] as const) {
      const world = new FakeExchange();
      world.call.head(status, fields);
      expect(world.client.status).toBe("502");
      expect(world.call.state).toBe("cancelled");
      expect(world.outcome.error?.code).toBe("UPSTREAM_PROTOCOL");
    }
  });

  test("is 502 as well when it is larger than the engine can be sure to send", () => {
    const fieldsOf = (bytes: number): Field[] => [["x-large", "v".repeat(bytes)]];
    const fits = new FakeExchange();
    fits.call.head(200, fieldsOf(LIMITS.responseHeadBytesMax - 500));
    expect(fits.client.status).toBe("200");
    const large = new FakeExchange();
    large.call.head(200, fieldsOf(LIMITS.responseHeadBytesMax));
    expect(large.client.status).toBe("502");
    expect(large.call.state).toBe("cancelled");
    expect(large.outcome.error?.code).toBe("UPSTREAM_PROTOCOL");
  });

  test("and a client without room that then goes away: cancelled once, recorded once", () => {
    const world = new FakeExchange();
    world.client.room = 0;
    world.call.head(99);
    expect(world.call.state).toBe("cancelled");
    world.client.stopped = true;
    world.process();
    expect(world.outcomes.length).toBe(1);
  });
});

describe("a response without a body", () => {
  for (const [method, status] of [
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 304],
  ] as const) {
    test(`${method} ${status} ends with its head`, () => {
      const world = new FakeExchange({ method });
      world.call.head(status, [["etag", "x"]]);
      expect(got(world)).toEqual({ status: String(status), text: "", ended: true });
      expect(world.outcome).toMatchObject({ status, bytesOut: 0, error: null });
      world.call.end();
      expect(world.outcomes.length).toBe(1);
    });

    test(`${method} ${status} drops a body that a backend sends all the same, without holding it up`, () => {
      const world = new FakeExchange({ method });
      world.call.head(status);
      expect(world.call.body("forbidden")).toBe(true);
      expect(world.call.body("more of it")).toBe(true);
      world.call.end();
      expect(world.client.text).toBe("");
      expect(world.outcomes.length).toBe(1);
    });
  }

  test("GET 200 that is empty ends with the backend's end", () => {
    const world = new FakeExchange();
    world.call.head(200, [["content-length", "0"]]);
    expect(world.client.ended).toBe(false);
    world.call.end();
    expect(got(world)).toEqual({ status: "200", text: "", ended: true });
  });
});

describe("a client that goes away", () => {
  for (const [name, leave] of [
    ["by a reset", (world: FakeExchange): void => world.stream.onAborted("reset")],
    ["by STOP_SENDING", (world: FakeExchange): void => world.stream.onAborted("stopped")],
    ["with its connection", (world: FakeExchange): void => world.stream.onAborted("closed")],
  ] as const) {
    test(`${name} before the head: the attempt is cancelled once, 499 is recorded, nobody is blamed`, () => {
      const world = new FakeExchange();
      leave(world);
      leave(world);
      expect(world.call.state).toBe("cancelled");
      expect(world.outcomes.length).toBe(1);
      expect(world.outcome).toMatchObject({ status: 499, backend: "b0" });
      expect(world.outcome.error).toMatchObject({ code: "CLIENT_GONE", source: "downstream" });
      expect(world.counters.requestsAborted).toBe(1);
      expect([...world.counters.upstreamFailures.entries()]).toEqual([]);
      expect(world.unreachable).toEqual([]);
    });

    test(`${name} in the middle of the body: the same`, () => {
      const world = new FakeExchange();
      world.call.head(200);
      world.call.body("some");
      leave(world);
      expect(world.call.state).toBe("cancelled");
      expect(world.outcome).toMatchObject({ status: 499, bytesOut: 4 });
    });
  }

  test("found out by writing the head: cancelled, 499", () => {
    const world = new FakeExchange();
    world.client.stopped = true;
    world.call.head(200);
    expect(world.call.state).toBe("cancelled");
    expect(world.outcome.status).toBe(499);
  });

  test("found out by writing a piece: the backend is told that there is no room, and is cancelled", () => {
    const world = new FakeExchange();
    world.call.head(200);
    world.client.stopped = true;
    expect(world.call.body("x")).toBe(false);
    expect(world.call.state).toBe("cancelled");
    expect(world.outcome.status).toBe(499);
  });

  test("found out by writing the end: 499, and nothing to cancel, since the backend is done", () => {
    const world = new FakeExchange();
    world.call.head(200);
    world.client.stopped = true;
    world.call.end();
    expect(world.call.state).toBe("ended");
    expect(world.outcome.status).toBe(499);
  });

  test("after the backend is done but before all is taken: 499, and nothing to cancel", () => {
    const world = new FakeExchange();
    world.call.head(200);
    world.client.room = 1;
    world.call.body("abc");
    world.call.end();
    expect(world.outcomes).toEqual([]);
    world.stream.onAborted("reset");
    expect(world.call.state).toBe("ended");
    expect(world.outcome).toMatchObject({ status: 499, bytesOut: 1 });
  });

  test("found out by reading its body: cancelled, 499, also while the attempt begins", () => {
    const readAfterReset = (world: FakeExchange): void => {
      world.client.inputReset = true;
      world.stream.onData();
      world.call.request.body?.pull();
    };
    for (const early of [true, false]) {
      const world = new FakeExchange({
        method: "POST",
        hasBody: true,
        onStart: (_, begun) => {
          if (early) readAfterReset(begun);
        },
      });
      if (!early) readAfterReset(world);
      expect(world.call.state).toBe("cancelled");
      expect(world.outcome.status).toBe(499);
      expect(world.client.resets).toEqual([0x10c]);
    }
  });

  test("as the transport sees it first: 499 and a reset, and no answer with a status of 0", () => {
    const world = new FakeExchange({ method: "POST", hasBody: true });
    world.call.fail("CLIENT_GONE");
    expect(world.client.sections).toEqual([]);
    expect(world.client.resets).toEqual([0x10c]);
    expect(world.outcome.status).toBe(499);
    expect([...world.counters.upstreamFailures.entries()]).toEqual([]);
  });

  test("after the failure of a backend was answered: recorded once", () => {
    const world = new FakeExchange();
    world.client.sectionsPass = false;
    world.call.fail("UPSTREAM_RESET");
    world.stream.onAborted("closed");
    expect(world.outcomes.length).toBe(1);
    expect(world.outcome.status).toBe(499);
  });
});

describe("a request body that differs from its content-length", () => {
  test("ends the exchange as a bad request of the client: cancelled, reset with H3_MESSAGE_ERROR", () => {
    const world = new FakeExchange({ method: "POST", hasBody: true, fields: [["content-length", "9"]] });
    world.sendBody("abc");
    world.call.request.body?.pull();
    world.sendEnd();
    expect(world.call.state).toBe("cancelled");
    expect(world.client.resets).toEqual([0x10e]);
    expect(world.outcome).toMatchObject({ status: 0, bytesIn: 3 });
    expect(world.outcome.error?.code).toBe("BAD_REQUEST");
    expect(world.outcome.error?.message).toBe("malformed request: body-length");
    expect(world.counters.malformedReasons.of("body-length")).toBe(1);
  });
});

describe("backpressure", () => {
  test("stops the backend when the client takes no more, and resumes it when all was taken", () => {
    const world = new FakeExchange();
    world.call.head(200);
    world.client.room = 2;
    expect(world.call.body("abcdef")).toBe(false);
    world.client.room = 3;
    world.process();
    expect(world.call.resumes).toBe(0);
    world.client.room = 3;
    world.process();
    expect(world.call.resumes).toBe(1);
    expect(world.call.body("g")).toBe(true);
    world.call.end();
    expect(world.client.text).toBe("abcdefg");
  });
});

describe("consistent hashing", () => {
  test("by a header joins its values, by a cookie its crumbs; the connection's id works too", () => {
    const backendOf = (hashKey: FakeExchangeOptionsKey, fields: readonly (readonly [string, string])[]): string =>
      new FakeExchange({ backends: 50, balancing: "consistent-hash", hashKey, fields }).call.request.backend.id;
    const header = { kind: "header", name: "x-key" } as const;
    expect(
      backendOf(header, [
        ["x-key", "a"],
        ["x-other", "z"],
        ["x-key", "b"],
      ]),
    ).toBe(backendOf(header, [["x-key", "a, b"]]));
    const cookie = { kind: "cookie", name: "s" } as const;
    expect(
      backendOf(cookie, [
        ["cookie", "a=1"],
        ["cookie", "s=two"],
      ]),
    ).toBe(backendOf(cookie, [["cookie", "s=two"]]));
    const spread = new Set(Array.from({ length: 20 }, (_, i) => backendOf(header, [["x-key", `${i}`]])));
    expect(spread.size).toBeGreaterThan(5);
    expect(backendOf({ kind: "cid" }, [])).toBe(backendOf({ kind: "cid" }, []));
    expect(backendOf({ kind: "method" }, [])).toBe(backendOf({ kind: "method" }, [["x", "y"]]));
    expect(backendOf({ kind: "authority" }, [])).toBe(backendOf({ kind: "authority" }, [["x", "y"]]));
  });
});

type FakeExchangeOptionsKey = NonNullable<ConstructorParameters<typeof FakeExchange>[0]>["hashKey"] & object;
