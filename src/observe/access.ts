/**
 * One line for every exchange. It takes the log's sinks and looks but neither consola nor the general formats: made by hand, by those, and
 * through consola a line costs 0.15, 0.65 and 1.1 us (`bench/micro/access-log.ts`, Bun 1.4.5), and in a proxy under load with all that they
 * leave to the collector several times that.
 */
import type { AccessLogSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import type { ExchangeOutcome, Recorder } from "../proxy/ports.ts";
import { jsonTail, levelText, type LogFields, plainTail, plainText, quoteJson, timeText } from "./line.ts";
import type { LineSink } from "./sink.ts";

const MS_PER_SECOND = 1000;
const MICROSECONDS = 1_000_000;
const SERVER_ERROR = 500;
const MESSAGE = "request";

/** What of the log access lines go through. */
export interface AccessLogTarget {
  readonly json: boolean;
  /** Of plain lines: for a terminal. */
  readonly colours: boolean;
  /** At the end of each line. */
  readonly fields: LogFields;
  /** For info, and for warnings. */
  readonly out: LineSink;
  readonly err: LineSink;
  /** What warnings begin with there; empty but in a journal. */
  readonly warnMark: string;
  enabled(level: "info" | "warn"): boolean;
}

/** What is written of which requests, and where to. */
export type AccessLogRules = Pick<AccessLogSettings, "successPerMillion" | "query" | "headers">;

/** Writes access lines: info, or warn where this side or a backend failed. */
export class AccessLog implements Recorder {
  readonly #log: AccessLogTarget;
  readonly #rules: AccessLogRules;
  readonly #counters: Counters;
  readonly #epochMs: () => number;
  /** Most lines are of the same millisecond as the one before, and a date costs 130 ns to format. */
  #timeMs = NaN;
  #time = "";
  /** Levels as they are shown, and what every line ends with, ready made. */
  readonly #info: string;
  readonly #warn: string;
  readonly #tail: string;
  /** Shares of successes that have come since the last line of one. */
  #share = 0;

  constructor(log: AccessLogTarget, rules: AccessLogRules, counters: Counters, epochMs: () => number) {
    this.#log = log;
    this.#rules = rules;
    this.#counters = counters;
    this.#info = log.json ? "info" : levelText("info", log.colours);
    this.#warn = log.json ? "warn" : levelText("warn", log.colours);
    this.#tail = log.json ? jsonTail(log.fields) : plainTail(log.fields);
    this.#epochMs = epochMs;
  }

  record(outcome: ExchangeOutcome): void {
    const bad = isBad(outcome);
    if (!this.#log.enabled(bad ? "warn" : "info") || !this.#isWanted(outcome, bad)) return;
    const { query, headers } = this.#rules;
    const path = query === "keep" ? outcome.path : pathShown(outcome.path, query);
    const tail = headers.length === 0 ? this.#tail : this.#headerTail(outcome) + this.#tail;
    const make = this.#log.json ? jsonLine : plainLine;
    const line = make(this.#timeText(this.#epochMs()), bad ? this.#warn : this.#info, outcome, path, tail);
    if (bad) this.#log.err.write(this.#log.warnMark + line);
    else this.#log.out.write(line);
  }

  /** Every n-th success, without chance: counts of lines times n are counts of requests. */
  #isWanted({ accessLog, status }: ExchangeOutcome, bad: boolean): boolean {
    if (accessLog === "off" || (accessLog === "errors" && !bad)) return this.#leaveOut();
    if (bad || status < 200 || status > 299 || this.#rules.successPerMillion === MILLION) return true;
    this.#share += this.#rules.successPerMillion;
    if (this.#share < MILLION) return this.#leaveOut();
    this.#share -= MILLION;
    return true;
  }

  #leaveOut(): false {
    this.#counters.accessLinesLeftOut += 1;
    return false;
  }

  #headerTail({ fields }: ExchangeOutcome): string {
    const own: Record<string, string> = {};
    for (const { name, redacted } of this.#rules.headers) {
      const value = fields?.get(name) ?? null;
      if (value !== null) own[`header_${name}`] = redacted ? REDACTED : value;
    }
    return this.#log.json ? jsonTail(own) : plainTail(own);
  }

  #timeText(nowMs: number): string {
    if (nowMs !== this.#timeMs) {
      this.#timeMs = nowMs;
      this.#time = timeText(nowMs);
    }
    return this.#time;
  }
}

const MILLION = 1_000_000;
const REDACTED = "[redacted]";

function pathShown(path: string, query: "redact" | "drop"): string {
  const question = path.indexOf("?");
  if (question < 0) return path;
  return query === "drop" ? path.slice(0, question) : `${path.slice(0, question)}?${REDACTED}`;
}

/**
 * Written by hand, as the next one. Its fields are those of `fieldsOf`; a test compares the two. `path` is shown in place of the outcome's,
 * `tail` is more fields (`jsonTail`).
 */
export function jsonLine(time: string, level: string, outcome: ExchangeOutcome, path: string, tail = ""): string {
  const { error } = outcome;
  const subject = outcome.clientSubject === "" ? "" : `,"client_subject":${quoteJson(outcome.clientSubject)}`;
  const listener = cameInAt(outcome) === "" ? "" : `,"listener":"${cameInAt(outcome)}"`;
  const failure = error === null ? "" : `,"error":"${error.code}","reason":${quoteJson(error.message)}`;
  return (
    `{"time":"${time}","level":"${level}","msg":"${MESSAGE}","request_id":${quoteJson(outcome.requestId)}` +
    `,"method":${quoteJson(outcome.method)},"path":${quoteJson(path)},"status":${outcome.status}` +
    `,"upstream":${quoteJson(outcome.pool)},"backend":${quoteJson(outcome.backend)},"duration":${seconds(outcome)}` +
    `,"bytes_in":${outcome.bytesIn},"bytes_out":${outcome.bytesOut},"client":"${clientOf(outcome)}"` +
    `,"authority":${quoteJson(outcome.authority)},"protocol":"h3","attempts":${outcome.attempts}${subject}${listener}${failure}${tail}}`
  );
}

/** For people; `level` is a `levelText`, `tail` a `plainTail`. */
export function plainLine(time: string, level: string, outcome: ExchangeOutcome, path: string, tail = ""): string {
  const { error } = outcome;
  const subject = outcome.clientSubject === "" ? "" : ` client_subject=${plainText(outcome.clientSubject)}`;
  const listener = cameInAt(outcome) === "" ? "" : ` listener=${cameInAt(outcome)}`;
  const failure = error === null ? "" : ` error=${error.code} reason=${plainText(error.message)}`;
  return (
    `${time} ${level} ${MESSAGE} request_id=${plainText(outcome.requestId)} method=${plainText(outcome.method)}` +
    ` path=${plainText(path)} status=${outcome.status} upstream=${plainText(outcome.pool)}` +
    ` backend=${plainText(outcome.backend)} duration=${seconds(outcome)} bytes_in=${outcome.bytesIn}` +
    ` bytes_out=${outcome.bytesOut} client=${clientOf(outcome)} authority=${plainText(outcome.authority)}` +
    ` protocol=h3 attempts=${outcome.attempts}${subject}${listener}${failure}${tail}`
  );
}

/** The fields of a line, in order. */
export function fieldsOf(outcome: ExchangeOutcome, path = outcome.path): LogFields {
  const { error } = outcome;
  return {
    request_id: outcome.requestId,
    method: outcome.method,
    path,
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
    ...(outcome.clientSubject === "" ? {} : { client_subject: outcome.clientSubject }),
    ...(cameInAt(outcome) === "" ? {} : { listener: cameInAt(outcome) }),
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

function cameInAt({ listener = "" }: ExchangeOutcome): string {
  return listener;
}

function clientOf({ clientIp, clientPort }: ExchangeOutcome): string {
  return clientIp.includes(":") ? `[${clientIp}]:${clientPort}` : `${clientIp}:${clientPort}`;
}
