/**
 * One line for every exchange. It takes the log's sinks and formats but not consola: made by hand and through consola a line costs
 * 0.2 and 2 us (`bench/micro/access-log.ts`, Bun 1.4.5), where all our own work on a request is to cost about 12.
 */
import type { ExchangeOutcome, Recorder } from "../proxy/ports.ts";
import { jsonTail, type LineFormat, type LogFields, quoteJson, timeText } from "./line.ts";
import type { LineSink } from "./sink.ts";

const MS_PER_SECOND = 1000;
const MICROSECONDS = 1_000_000;
const SERVER_ERROR = 500;
const MESSAGE = "request";

/** What of the log access lines go through. */
export interface AccessLogTarget {
  readonly json: boolean;
  readonly format: LineFormat;
  /** At the end of each line. */
  readonly fields: LogFields;
  /** For info, and for warnings. */
  readonly out: LineSink;
  readonly err: LineSink;
  enabled(level: "info" | "warn"): boolean;
}

/** Writes access lines: info, or warn where this side or a backend failed. */
export class AccessLog implements Recorder {
  readonly #log: AccessLogTarget;
  readonly #epochMs: () => number;
  /** Most lines are of the same millisecond as the one before, and a date costs 130 ns to format. */
  #timeMs = NaN;
  #time = "";
  /** What every line ends with, ready made. */
  readonly #tail: string;

  constructor(log: AccessLogTarget, epochMs: () => number) {
    this.#log = log;
    this.#tail = jsonTail(log.fields);
    this.#epochMs = epochMs;
  }

  record(outcome: ExchangeOutcome): void {
    const level = isBad(outcome) ? "warn" : "info";
    if (!this.#log.enabled(level)) return;
    const nowMs = this.#epochMs();
    const line = this.#log.json
      ? jsonLine(this.#timeText(nowMs), level, outcome, this.#tail)
      : this.#log.format.line(nowMs, level, MESSAGE, fieldsOf(outcome));
    (level === "warn" ? this.#log.err : this.#log.out).write(line);
  }

  #timeText(nowMs: number): string {
    if (nowMs !== this.#timeMs) {
      this.#timeMs = nowMs;
      this.#time = timeText(nowMs);
    }
    return this.#time;
  }
}

/** The hot one, written by hand. Its fields are those of `fieldsOf`; a test compares the two. `tail` is more of them (`jsonTail`). */
export function jsonLine(time: string, level: string, outcome: ExchangeOutcome, tail = ""): string {
  const { error } = outcome;
  const failure = error === null ? "" : `,"error":"${error.code}","reason":${quoteJson(error.message)}`;
  return (
    `{"time":"${time}","level":"${level}","msg":"${MESSAGE}","request_id":${quoteJson(outcome.requestId)}` +
    `,"method":${quoteJson(outcome.method)},"path":${quoteJson(outcome.path)},"status":${outcome.status}` +
    `,"upstream":${quoteJson(outcome.pool)},"backend":${quoteJson(outcome.backend)},"duration":${seconds(outcome)}` +
    `,"bytes_in":${outcome.bytesIn},"bytes_out":${outcome.bytesOut},"client":"${clientOf(outcome)}"` +
    `,"authority":${quoteJson(outcome.authority)},"protocol":"h3","attempts":${outcome.attempts}${failure}${tail}}`
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

/** A client that asks wrongly or goes away is no trouble of ours. */
function isBad({ status, error }: ExchangeOutcome): boolean {
  return error === null ? status >= SERVER_ERROR : error.source !== "downstream";
}

/** Whole microseconds as seconds. */
function seconds({ durationMs }: ExchangeOutcome): number {
  return Math.round((durationMs / MS_PER_SECOND) * MICROSECONDS) / MICROSECONDS;
}

function clientOf({ clientIp, clientPort }: ExchangeOutcome): string {
  return clientIp.includes(":") ? `[${clientIp}]:${clientPort}` : `${clientIp}:${clientPort}`;
}
