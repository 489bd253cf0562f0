import { describe, expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import { ProxyError } from "../../../src/core/error.ts";
import {
  AccessLog,
  type AccessLogRules,
  type AccessLogTarget,
  fieldsOf,
  jsonLine,
  plainLine,
} from "../../../src/observe/access.ts";
import { formatWith, jsonFormat, levelText, plainFormat, plainTail, timeText } from "../../../src/observe/line.ts";
import type { LineSink } from "../../../src/observe/sink.ts";
import type { ExchangeOutcome } from "../../../src/proxy/ports.ts";
import { sectionOf } from "../../support/sections.ts";
import { ACCESS_RULES } from "../../support/settings.ts";

const EPOCH_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

const GOOD: ExchangeOutcome = {
  requestId: "0f1e2d3c",
  method: "GET",
  path: "/api/v1?x=1",
  authority: "www.example.org",
  status: 200,
  pool: "api",
  backend: "api-1",
  durationMs: 3.2174,
  bytesIn: 5,
  bytesOut: 512,
  clientIp: "203.0.113.7",
  clientPort: 51_234,
  clientSubject: "",
  attempts: 1,
  fields: null,
  accessLog: "on",
  error: null,
};
const REFUSED: ExchangeOutcome = {
  ...GOOD,
  status: 502,
  error: new ProxyError("UPSTREAM_REFUSED", "10.0.0.1:80: connection refused"),
};

class Lines implements LineSink {
  readonly idle = true;
  readonly lines: string[] = [];
  write(line: string): void {
    this.lines.push(line);
  }
  flush(): Promise<void> {
    return Promise.resolve();
  }
  reopen(): void {}
}

function make(json: boolean = true, levels: readonly string[] = ["info", "warn"], rules: Partial<AccessLogRules> = {}) {
  const out = new Lines();
  const err = new Lines();
  const counters = new Counters();
  let asked = 0;
  const target: AccessLogTarget = {
    json,
    fields: {},
    colours: false,
    out,
    err,
    warnMark: "",
    enabled: (level) => levels.includes(level),
  };
  const log = new AccessLog(target, { ...ACCESS_RULES, ...rules }, counters, () => EPOCH_MS + asked++);
  return { log, out, err, counters, clockReads: () => asked };
}

describe("access lines", () => {
  test("hold what operators ask for, and the duration is a number of seconds", () => {
    const { log, out } = make();
    log.record(GOOD);
    expect(JSON.parse(out.lines[0] ?? "")).toEqual({
      time: "2026-01-02T03:04:05.006Z",
      level: "info",
      msg: "request",
      request_id: "0f1e2d3c",
      method: "GET",
      path: "/api/v1?x=1",
      status: 200,
      upstream: "api",
      backend: "api-1",
      duration: 0.003217,
      bytes_in: 5,
      bytes_out: 512,
      client: "203.0.113.7:51234",
      authority: "www.example.org",
      protocol: "h3",
      attempts: 1,
    });
  });

  test("the hand-made lines are those of the general formats, for every kind of outcome", () => {
    const odd = 'q"\\\n\u001b[31m\u0085é';
    const outcomes = [
      GOOD,
      REFUSED,
      { ...GOOD, path: "/a b", pool: "", authority: "x".repeat(20_000) },
      { ...GOOD, path: odd, authority: odd, method: odd, requestId: odd, pool: odd, backend: odd },
      { ...GOOD, error: new ProxyError("INTERNAL", odd) },
      { ...GOOD, clientIp: "2001:db8::1", durationMs: 0 },
      { ...GOOD, listener: "[2001:db8::7]:443", clientSubject: "CN=a" },
      { ...GOOD, durationMs: 123_456.7891234, bytesOut: 2 ** 40 },
    ];
    for (const outcome of outcomes) {
      expect(jsonLine(timeText(EPOCH_MS), "info", outcome, outcome.path)).toBe(
        jsonFormat.line(EPOCH_MS, "info", "request", fieldsOf(outcome)),
      );
      for (const colours of [false, true]) {
        const tail = { worker: 3 };
        expect(plainLine(timeText(EPOCH_MS), levelText("warn", colours), outcome, outcome.path, plainTail(tail))).toBe(
          formatWith(plainFormat(colours), tail).line(EPOCH_MS, "warn", "request", fieldsOf(outcome)),
        );
      }
    }
  });

  test("failures are warnings on the error sink with code and reason; a client's fault is not", () => {
    const { log, out, err } = make();
    log.record(REFUSED);
    log.record({ ...GOOD, status: 503, error: null });
    log.record({ ...GOOD, status: 200, error: new ProxyError("UPSTREAM_RESET", "broke off") });
    expect(err.lines.map((line) => JSON.parse(line).level)).toEqual(["warn", "warn", "warn"]);
    expect(JSON.parse(err.lines[0] ?? "")).toMatchObject({
      error: "UPSTREAM_REFUSED",
      reason: "10.0.0.1:80: connection refused",
    });
    log.record({ ...GOOD, status: 499, error: new ProxyError("CLIENT_GONE", "gone") });
    log.record({ ...GOOD, status: 404, error: new ProxyError("NO_ROUTE", "no route") });
    expect(out.lines.map((line) => JSON.parse(line).level)).toEqual(["info", "info"]);
  });

  test("an IPv6 client stands in brackets", () => {
    expect(fieldsOf({ ...GOOD, clientIp: "2001:db8::1" })["client"]).toBe("[2001:db8::1]:51234");
    expect(fieldsOf({ ...GOOD, listener: "10.0.0.7:443" })["listener"]).toBe("10.0.0.7:443");
    expect(fieldsOf({ ...GOOD, listener: "" })).not.toHaveProperty("listener");
  });

  test("plain lines hold the same fields", () => {
    const { log, out } = make(false);
    log.record(GOOD);
    expect(out.lines[0]).toContain("INFO  request request_id=0f1e2d3c method=GET");
    expect(out.lines[0]).toContain("duration=0.003217");
  });

  test("where the level is off nothing is made, not even the time is read", () => {
    const { log, out, err, clockReads } = make(true, ["warn"]);
    log.record(GOOD);
    expect([out.lines.length, clockReads()]).toEqual([0, 0]);
    log.record(REFUSED);
    expect(err.lines.length).toBe(1);
  });

  test("each line has its own time", () => {
    const { log, out } = make();
    for (let i = 0; i < 3; i++) log.record(GOOD);
    const times = out.lines.map((line): unknown => JSON.parse(line).time);
    expect(times).toEqual([6, 7, 8].map((ms) => timeText(EPOCH_MS - 6 + ms)));
  });
});

describe("access lines that are left out", () => {
  const paths = ({ lines }: Lines): string[] => lines.map((line) => JSON.parse(line).path);

  test("every fourth success is written, and all that is none", () => {
    const { log, out, err, counters } = make(true, undefined, { successPerMillion: 250_000 });
    for (let i = 0; i < 8; i++) log.record({ ...GOOD, path: `/${i}` });
    log.record({ ...GOOD, path: "/moved", status: 301 });
    log.record({ ...GOOD, path: "/absent", status: 404 });
    log.record({ ...REFUSED, path: "/refused" });
    expect(paths(out)).toEqual(["/3", "/7", "/moved", "/absent"]);
    expect(paths(err)).toEqual(["/refused"]);
    expect(counters.accessLinesLeftOut).toBe(6);
  });

  test("none of a million is none", () => {
    const { log, out, counters } = make(true, undefined, { successPerMillion: 0 });
    for (let i = 0; i < 3; i++) log.record(GOOD);
    expect([out.lines.length, counters.accessLinesLeftOut]).toEqual([0, 3]);
  });

  test("a pool may have only its failures, or nothing", () => {
    const { log, out, err, counters } = make();
    log.record({ ...GOOD, accessLog: "errors" });
    log.record({ ...GOOD, accessLog: "off" });
    log.record({ ...REFUSED, accessLog: "off" });
    expect([out.lines.length, err.lines.length, counters.accessLinesLeftOut]).toEqual([0, 0, 3]);
    log.record({ ...REFUSED, accessLog: "errors" });
    expect(err.lines.length).toBe(1);
  });
});

describe("what access lines tell of a request", () => {
  test.each([
    ["keep", "/a?token=1&x=2", "/a?token=1&x=2"],
    ["redact", "/a?token=1&x=2", "/a?[redacted]"],
    ["redact", "/a", "/a"],
    ["drop", "/a?token=1", "/a"],
    ["drop", "/a?", "/a"],
  ] as const)("with the query to %s: %s", (query, path, shown) => {
    for (const json of [true, false]) {
      const { log, out } = make(json, undefined, { query });
      log.record({ ...GOOD, path });
      expect(out.lines[0]).toContain(json ? `"path":${JSON.stringify(shown)},` : `path=${quoted(shown)} `);
    }
  });

  test("fields of the request that were chosen, and of some only that they were there", () => {
    const headers = [
      { name: "user-agent", redacted: false },
      { name: "cookie", redacted: true },
      { name: "referer", redacted: false },
    ];
    const fields = sectionOf([
      [":method", "GET"],
      ["user-agent", 'a"b'],
      ["cookie", "secret=1"],
    ]);
    const json = make(true, undefined, { headers });
    json.log.record({ ...GOOD, fields });
    json.log.record({ ...GOOD, fields: null });
    const [first, second] = json.out.lines.map((line): Record<string, unknown> => JSON.parse(line));
    expect(first).toMatchObject({ "header_user-agent": 'a"b', header_cookie: "[redacted]" });
    expect(first).not.toHaveProperty("header_referer");
    expect(Object.keys(second ?? {}).filter((key) => key.startsWith("header_"))).toEqual([]);
    const plain = make(false, undefined, { headers });
    plain.log.record({ ...GOOD, fields });
    expect(plain.out.lines[0]).toContain('attempts=1 header_user-agent="a\\"b" header_cookie=[redacted]');
    expect([...json.out.lines, ...plain.out.lines].join()).not.toContain("secret");
  });
});

function quoted(text: string): string {
  return text.includes("=") ? JSON.stringify(text) : text;
}
