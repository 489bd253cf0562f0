/** Requests by pool, backend, method and status: what is told apart, and where that ends. */
import { expect, test } from "bun:test";
import { Counters } from "../../../../src/core/counters.ts";
import { ProxyError } from "../../../../src/core/error.ts";
import { LIMITS } from "../../../../src/core/limits.ts";
import { RequestCounts } from "../../../../src/observe/metrics/request-counts.ts";
import type { ExchangeOutcome } from "../../../../src/proxy/ports.ts";

const OUTCOME: ExchangeOutcome = {
  ...{ requestId: "r", method: "GET", path: "/", authority: "a", status: 200, pool: "p", backend: "b" },
  ...{
    durationMs: 3,
    bytesIn: 0,
    bytesOut: 0,
    clientIp: "::1",
    clientPort: 1,
    clientSubject: "",
    attempts: 1,
    fields: null,
    accessLog: "on",
    error: null,
  },
};

function bed() {
  const counters = new Counters();
  const passed: ExchangeOutcome[] = [];
  const counts = new RequestCounts(counters, { record: (outcome) => void passed.push(outcome) });
  const record = (parts: Partial<ExchangeOutcome>): void => counts.record({ ...OUTCOME, ...parts });
  const taken = (): Record<string, number> => Object.fromEntries(counts.takeChanged());
  return { counters, passed, record, taken };
}

test("each is counted once, and told once for each change", () => {
  const { record, taken, passed } = bed();
  record({});
  record({});
  record({ status: 502, backend: "c" });
  expect(taken()).toEqual({
    "requests|p|b|h3|GET|200": 2,
    "requests|p|c|h3|GET|502": 1,
    "request_ms|p:3": 3,
    "request_ms|p:sum": 9,
  });
  expect(taken()).toEqual({});
  record({});
  expect(taken()).toEqual({ "requests|p|b|h3|GET|200": 3, "request_ms|p:3": 4, "request_ms|p:sum": 12 });
  expect(passed).toHaveLength(4);
});

test("methods that nobody knows are one, and what failed is counted by its code", () => {
  const { record, taken, counters } = bed();
  for (const method of ["BREW", "WHEN", "get"]) record({ method, error: new ProxyError("UPSTREAM_RESET", "x") });
  expect(taken()["requests|p|b|h3|other|200"]).toBe(3);
  expect(counters.requestErrors.of("UPSTREAM_RESET")).toBe(3);
});

test("a backend of ever other statuses has the last ones counted by class", () => {
  const { record, taken } = bed();
  for (let status = 400; status < 600; status++) record({ status });
  const names = Object.keys(taken()).filter((name) => name.startsWith("requests|"));
  expect(names).toHaveLength(LIMITS.countedStatusesMax + 1);
  expect(names).toContain("requests|p|b|h3|GET|5xx");
});

test("more backends than are told apart are one", () => {
  const { record, taken, counters } = bed();
  for (let i = 0; i < LIMITS.countedBackendsMax + 10; i++) record({ backend: `b${i}` });
  const counts = taken();
  expect(counts["requests|(other)|(other)|h3|GET|200"]).toBe(10);
  expect(counters.requestsUntold).toBe(10);
  expect(counts["request_ms|(other):3"]).toBe(10);
});
