/**
 * One line for every exchange. It takes the log's sinks and formats but not consola: at tens of thousands of lines a second consola's
 * object for each line would be the larger part of the cost (`bench/micro/access-log.ts`).
 */
import type { ExchangeOutcome, Recorder } from "../proxy/ports.ts";
import { type LogFields, quoteJson, timeText } from "./line.ts";
import type { Log } from "./log.ts";

const MS_PER_SECOND = 1000;
const MICROSECONDS = 1_000_000;
const SERVER_ERROR = 500;

/** Writes access lines: info, or warn where this side or a backend failed. */
export class AccessLog implements Recorder {
  readonly #log: Log;
  readonly #epochMs: () => number;

  constructor(log: Log, epochMs: () => number) {
    this.#log = log;
    this.#epochMs = epochMs;
  }

  record(outcome: ExchangeOutcome): void {
    const bad = outcome.status >= SERVER_ERROR || (outcome.error !== null && outcome.error.source !== "downstream");
    if (!this.#log.enabled(bad ? "warn" : "info")) return;
    const sink = bad ? this.#log.err : this.#log.out;
    const level = bad ? "warn" : "info";
    const nowMs = this.#epochMs();
    sink.write(
      this.#log.json
        ? jsonLine(nowMs, level, outcome)
        : this.#log.format.line(nowMs, level, MESSAGE, fieldsOf(outcome)),
    );
  }
}

const MESSAGE = "request";

/** The hot one, written by hand. Its fields are those of `fieldsOf`; a test compares the two. */
export function jsonLine(epochMs: number, level: string, outcome: ExchangeOutcome): string {
  const { error } = outcome;
  const failure = error === null ? "" : `,"error":"${error.code}","reason":${quoteJson(error.message)}`;
  return (
    `{"time":"${timeText(epochMs)}","level":"${level}","msg":"${MESSAGE}","request_id":${quoteJson(outcome.requestId)}` +
    `,"method":${quoteJson(outcome.method)},"path":${quoteJson(outcome.path)},"status":${outcome.status}` +
    `,"upstream":${quoteJson(outcome.pool)},"backend":${quoteJson(outcome.backend)},"duration":${seconds(outcome)}` +
    `,"bytes_in":${outcome.bytesIn},"bytes_out":${outcome.bytesOut},"client":"${clientOf(outcome)}"` +
    `,"authority":${quoteJson(outcome.authority)},"protocol":"h3","attempts":${outcome.attempts}${failure}}`
  );
}

/** The fields of a line, in order. */
export function fieldsOf(outcome: ExchangeOutcome): LogFields {
  const { error } = outcome;
  return {
    request_id: outcome.requestId,
    method: outcome.method,
    path: outcome.path,
    status: outcome.status,
    upstream: outcome.pool,
    backend: outcome.backend,
    duration: seconds(outcome),
    bytes_in: outcome.bytesIn,
    bytes_out: outcome.bytesOut,
    client: clientOf(outcome),
    authority: outcome.authority,
    protocol: "h3",
    attempts: outcome.attempts,
    ...(error === null ? {} : { error: error.code, reason: error.message }),
  };
}

/** Whole microseconds as seconds. */
function seconds(outcome: ExchangeOutcome): number {
  return Math.round((outcome.durationMs / MS_PER_SECOND) * MICROSECONDS) / MICROSECONDS;
}

function clientOf({ clientIp, clientPort }: ExchangeOutcome): string {
  return clientIp.includes(":") ? `[${clientIp}]:${clientPort}` : `${clientIp}:${clientPort}`;
}
