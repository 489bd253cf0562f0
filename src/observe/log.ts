/** The program's log, through consola: levels, one format for people and one for programs, and sinks that never block. */
import { createConsola, type ConsolaInstance, type LogObject } from "consola";
import type { AccessLogSettings, LogLevel, LogSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { AccessLogTarget } from "./access.ts";
import { formatWith, jsonFormat, type LineFormat, type LogFields, plainFormat } from "./line.ts";
import { DescriptorSink, type LineSink, nodeSystem } from "./sink.ts";

/** What writes log lines. */
export interface Logger {
  error(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  debug(msg: string, fields?: LogFields): void;
  trace(msg: string, fields?: LogFields): void;
  enabled(level: Exclude<LogLevel, "off">): boolean;
}

/** What a logger is made with. */
export interface LogParts {
  readonly counters: Counters;
  readonly epochMs: () => number;
  /** Colours are for terminals. */
  readonly terminal: boolean;
  /** Other processes write to the same place; false by default. */
  readonly shared?: boolean;
  /** Which worker this is, for a field of every line; null for none. */
  readonly worker?: number | null;
}

/** consola's numbers: errors 0, warnings 1, info 3, debug 4, trace 5. */
const CONSOLA_LEVEL: Readonly<Record<LogLevel, number>> = { off: -1, error: 0, warn: 1, info: 3, debug: 4, trace: 5 };
const STDOUT = 1;
const STDERR = 2;

/** The log. `out` and `err` are the sinks; with a file both are the same. */
export class Log implements Logger {
  readonly out: LineSink;
  readonly err: LineSink;
  readonly format: LineFormat;
  readonly json: boolean;
  readonly colours: boolean;
  readonly fields: LogFields;
  /** Where access lines go; null: there are none. */
  readonly access: AccessLogTarget | null;
  readonly #consola: ConsolaInstance;
  #level: number;

  /** Throws `CONFIG_UNREADABLE` when the file of `settings` cannot be opened. */
  constructor(settings: LogSettings, parts: LogParts) {
    const { worker = null, shared = false } = parts;
    this.json = settings.format === "json";
    this.fields = worker === null ? {} : { worker };
    this.colours = parts.terminal && settings.file === null;
    const format = this.json ? jsonFormat : plainFormat(this.colours);
    this.format = worker === null ? format : formatWith(format, this.fields);
    const dropped = (count: number): string =>
      this.format.line(parts.epochMs(), "warn", "log lines dropped", { count });
    // A file keeps every write in one piece (O_APPEND); a pipe that others write to keeps small ones.
    const bytesMax = shared ? LIMITS.sharedWriteBytesMax : LIMITS.logWriteBytesMax;
    const open = (target: number | string, key = "log.file"): LineSink =>
      openSink(target, key, parts.counters, dropped, typeof target === "string" ? LIMITS.logWriteBytesMax : bytesMax);
    this.out = open(settings.file ?? STDOUT);
    this.err = settings.file === null ? open(STDERR) : this.out;
    this.#level = CONSOLA_LEVEL[settings.level];
    this.access = this.#openAccess(settings.access, parts, open);
    this.#consola = createConsola({
      level: this.#level,
      // consola folds repeated lines unless told not to; a log must not.
      throttle: 0,
      reporters: [{ log: (entry) => this.#report(entry, parts.epochMs()) }],
    });
  }

  /** Another level from now on; all else stays. */
  setLevel(level: LogLevel): void {
    this.#level = CONSOLA_LEVEL[level];
    this.#consola.level = this.#level;
  }

  enabled(level: Exclude<LogLevel, "off">): boolean {
    return CONSOLA_LEVEL[level] <= this.#level;
  }

  error(msg: string, fields: LogFields = {}): void {
    this.#consola.error(msg, fields);
  }

  warn(msg: string, fields: LogFields = {}): void {
    this.#consola.warn(msg, fields);
  }

  info(msg: string, fields: LogFields = {}): void {
    this.#consola.info(msg, fields);
  }

  debug(msg: string, fields: LogFields = {}): void {
    this.#consola.debug(msg, fields);
  }

  trace(msg: string, fields: LogFields = {}): void {
    this.#consola.trace(msg, fields);
  }

  /** After rotation. */
  reopen(): void {
    for (const sink of this.#sinks) sink.reopen();
  }

  /** Nothing waits to get out. */
  get idle(): boolean {
    return this.#sinks.every((sink) => sink.idle);
  }

  /** Everything that can get out is out. */
  async flush(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.flush()));
  }

  /** Each once. */
  get #sinks(): readonly LineSink[] {
    return [...new Set([this.out, this.err, this.access?.out ?? this.out])];
  }

  /** In a file of their own there are all of them, else those of the log's level. A supervisor has no requests, and opens none. */
  #openAccess(
    settings: AccessLogSettings | null,
    { worker = null, shared = false }: LogParts,
    open: (target: string, key: string) => LineSink,
  ): AccessLogTarget | null {
    if (settings === null) return null;
    const json = settings.format === "json";
    const shape = { json, fields: this.fields, colours: this.colours && settings.file === null };
    if (settings.file === null)
      return { ...shape, out: this.out, err: this.err, enabled: (level) => this.enabled(level) };
    if (worker === null && shared) return null;
    const sink = open(settings.file, "log.access.file");
    return { ...shape, out: sink, err: sink, enabled: () => true };
  }

  #report(entry: LogObject, epochMs: number): void {
    const [msg, fields] = entry.args as [string, LogFields];
    const sink = entry.level <= CONSOLA_LEVEL.warn ? this.err : this.out;
    sink.write(this.format.line(epochMs, entry.type, msg, fields));
  }
}

function openSink(
  target: number | string,
  key: string,
  counters: Counters,
  dropped: (count: number) => string,
  writeBytesMax: number,
): LineSink {
  try {
    return new DescriptorSink(target, counters, dropped, nodeSystem, writeBytesMax);
  } catch (thrown) {
    throw new ProxyError("CONFIG_UNREADABLE", `${key} cannot be opened: ${messageOf(thrown)}`, {
      cause: thrown,
      remedy: `make its folder writable for this user, or leave ${key} out to log to standard output`,
    });
  }
}
