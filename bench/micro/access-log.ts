/**
 * What one access line costs: made by hand, through the log's general format, and through consola.
 *
 *     bun bench/micro/access-log.ts
 */
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { ProxyError } from "../../src/core/error.ts";
import { AccessLog, fieldsOf, jsonLine, plainLine } from "../../src/observe/access.ts";
import { jsonFormat, plainFormat, quoteJson, timeText } from "../../src/observe/line.ts";
import { Log } from "../../src/observe/log.ts";
import type { ExchangeOutcome } from "../../src/proxy/ports.ts";
import { ACCESS_RULES } from "../../test/support/settings.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS = 100_000;
const EPOCH_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const TIME = timeText(EPOCH_MS);

const good: ExchangeOutcome = {
  requestId: "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
  method: "GET",
  path: "/api/v1/things?page=2&sort=name",
  authority: "www.example.org",
  status: 200,
  pool: "api",
  backend: "api-1",
  durationMs: 3.217,
  bytesIn: 0,
  bytesOut: 512,
  clientIp: "203.0.113.7",
  clientPort: 51_234,
  clientSubject: "",
  attempts: 1,
  fields: null,
  accessLog: "on",
  error: null,
};
const odd: ExchangeOutcome = { ...good, path: '/search?q="x"\u001b[31m' };
const failed: ExchangeOutcome = {
  ...good,
  status: 502,
  error: new ProxyError("UPSTREAM_REFUSED", "10.0.0.1:80: connection refused"),
};

const counters = new Counters();
const log = new Log(
  { level: "info", format: "json", file: "/dev/null", access: ACCESS_RULES },
  { counters, epochMs: () => EPOCH_MS, terminal: false },
);
const access = new AccessLog(must(log.access, "there are rules"), ACCESS_RULES, counters, () => EPOCH_MS);
const plain = plainFormat(false);

report(
  "timeText",
  nanosecondsPerCall(CALLS, (call) => timeText(EPOCH_MS + (call >> 6)).length),
);
report(
  "quoteJson, 31 plain characters",
  nanosecondsPerCall(CALLS, () => quoteJson(good.path).length),
);
report(
  "jsonLine",
  nanosecondsPerCall(CALLS, () => jsonLine(TIME, "info", good, good.path).length),
);
report(
  "jsonLine with escapes",
  nanosecondsPerCall(CALLS, () => jsonLine(TIME, "info", odd, odd.path).length),
);
report(
  "jsonLine of a failure",
  nanosecondsPerCall(CALLS, () => jsonLine(TIME, "warn", failed, failed.path).length),
);
report(
  "plainLine",
  nanosecondsPerCall(CALLS, () => plainLine(TIME, "INFO ", good, good.path).length),
);
report(
  "general JSON format",
  nanosecondsPerCall(
    CALLS,
    (call) => jsonFormat.line(EPOCH_MS + (call >> 6), "info", "request", fieldsOf(good)).length,
  ),
);
report(
  "general plain format",
  nanosecondsPerCall(CALLS, (call) => plain.line(EPOCH_MS + (call >> 6), "info", "request", fieldsOf(good)).length),
);
report(
  "JSON.stringify of the fields",
  nanosecondsPerCall(CALLS, () => JSON.stringify(fieldsOf(good)).length),
);
// The sinks write behind our back once a turn ends, which here it does not: after the first 4 MiB lines are dropped, which costs less.
report(
  "AccessLog.record to a sink",
  nanosecondsPerCall(1000, () => {
    access.record(good);
    return counters.logLinesDropped;
  }),
);
report(
  "the same line through consola",
  nanosecondsPerCall(1000, () => {
    log.info("request", fieldsOf(good));
    return counters.logLinesDropped;
  }),
);
process.exit(0);
