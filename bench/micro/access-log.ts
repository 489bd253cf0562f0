/**
 * What one access line costs: made by hand, through the log's general format, and through consola.
 *
 *     bun bench/micro/access-log.ts
 */
import { createConsola } from "consola";
import { ProxyError } from "../../src/core/error.ts";
import { fieldsOf, jsonLine } from "../../src/observe/access.ts";
import { jsonFormat, plainFormat, quoteJson, timeText } from "../../src/observe/line.ts";
import type { ExchangeOutcome } from "../../src/proxy/ports.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS = 100_000;
const EPOCH_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

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
  attempts: 1,
  error: null,
};
const odd: ExchangeOutcome = { ...good, path: '/search?q="x"\u001b[31m' };
const failed: ExchangeOutcome = {
  ...good,
  status: 502,
  error: new ProxyError("UPSTREAM_REFUSED", "10.0.0.1:80: connection refused"),
};

let seen = 0;
const consola = createConsola({
  level: 3,
  throttle: 0,
  reporters: [
    {
      log(entry) {
        const [msg, fields] = entry.args;
        seen += jsonFormat.line(EPOCH_MS, entry.type, String(msg), fields).length;
      },
    },
  ],
});
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
  nanosecondsPerCall(CALLS, (call) => jsonLine(EPOCH_MS + (call >> 6), "info", good).length),
);
report(
  "jsonLine with escapes",
  nanosecondsPerCall(CALLS, (call) => jsonLine(EPOCH_MS + (call >> 6), "info", odd).length),
);
report(
  "jsonLine of a failure",
  nanosecondsPerCall(CALLS, (call) => jsonLine(EPOCH_MS + (call >> 6), "warn", failed).length),
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
report(
  "through consola to the general JSON format",
  nanosecondsPerCall(CALLS, () => {
    consola.info("request", fieldsOf(good));
    return seen;
  }),
);
