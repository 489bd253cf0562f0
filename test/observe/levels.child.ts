/** Writes one line of each level and two access lines: `bun levels.child.ts <json|plain> [file]`. */
import process from "node:process";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { ProxyError } from "../../src/core/error.ts";
import { AccessLog } from "../../src/observe/access.ts";
import { Log } from "../../src/observe/log.ts";
import type { ExchangeOutcome } from "../../src/proxy/ports.ts";
import { ACCESS_RULES } from "../support/settings.ts";

const format = process.argv[2] === "plain" ? "plain" : "json";
const log = new Log(
  { level: "trace", format, file: process.argv[3] ?? null, access: { ...ACCESS_RULES, format } },
  { counters: new Counters(), epochMs: () => Date.now(), terminal: false, journal: process.env["JOURNAL_STREAM"] },
);
const good: ExchangeOutcome = {
  ...{ requestId: "id", method: "GET", path: "/good", authority: "example.org", status: 200, pool: "api" },
  ...{ backend: "api-1", durationMs: 1.5, bytesIn: 0, bytesOut: 5, clientIp: "192.0.2.1", clientPort: 1 },
  ...{ clientSubject: "", attempts: 1, fields: null, accessLog: "on", error: null },
};
log.trace("a trace");
log.debug("a debug");
log.info("an info");
log.warn("a warn");
log.error("an error");
const access = new AccessLog(must(log.access, "there are rules"), ACCESS_RULES, new Counters(), () => Date.now());
access.record(good);
access.record({ ...good, path: "/bad", status: 502, error: new ProxyError("UPSTREAM_REFUSED", "connection refused") });
await log.flush();
