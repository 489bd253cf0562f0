/** Writes many log lines to standard output and tells on standard error how it went: `bun log-writer.child.ts <lines>`. */
import process from "node:process";
import { Counters } from "../../src/core/counters.ts";
import { Log } from "../../src/observe/log.ts";

const LINES_PER_TURN = 2000;
const FLUSH_MS = 300;

const counters = new Counters();
const log = new Log(
  { level: "info", format: "json", file: null, access: null },
  { counters, epochMs: () => Date.now(), terminal: false },
);
const total = Number(process.argv[2]);
let slowestTurnMs = 0;
for (let i = 0; i < total; i++) {
  if (i % LINES_PER_TURN === 0) {
    const beganMs = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    slowestTurnMs = Math.max(slowestTurnMs, performance.now() - beganMs);
  }
  log.info("line", { number: i, filler: "x".repeat(200) });
}
await Promise.race([log.flush(), new Promise((resolve) => setTimeout(resolve, FLUSH_MS))]);
const { logLinesDropped: dropped, logWriteErrors: errors } = counters;
const rssMegabytes = Math.round(process.memoryUsage().rss / 1e6);
process.stderr.write(
  `${JSON.stringify({ dropped, errors, slowestTurnMs: Math.round(slowestTurnMs), rssMegabytes })}\n`,
);
process.exit(7);
