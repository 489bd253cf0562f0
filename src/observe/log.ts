/** The program's log, through consola: levels, one format for people and one for programs, and sinks that never block. */
import { createConsola, type ConsolaInstance, type LogObject } from "consola";
import type { AccessLogSettings, LogLevel, LogSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { AccessLogTarget } from "./access.ts";
import { type LineMarks, lineMarks, NO_MARKS } from "./journal.ts";
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
  /** `JOURNAL_STREAM` of the environment. */
  readonly journal?: string | undefined;
}

/** consola's numbers: errors 0, warnings 1, info 3, debug 4, trace 5. */
const CONSOLA_LEVEL: Readonly<Record<LogLevel, number>> = { off: -1, error: 0, warn: 1, info: 3, debug: 4, trace: 5 };
const STDOUT = 1;
const STDERR = 2;

/** The log. `out` and `err` are the sinks; with a file both are the same. */
export class Log implements Logger {
  readonly out: LineSink;
  readonly err: LineSink;
  readonly #parts: LogParts;
  /** Colours are for a terminal, which a file is none. */
  readonly #colours: boolean;
  readonly #fields: LogFields;
  /** Of standard output, and of standard error. */
  readonly #marks: { readonly out: LineMarks; readonly err: LineMarks };
  readonly #consola: ConsolaInstance;
  #format: LineFormat;
  #access: AccessLogTarget | null;
  #level: number;

  /** Throws `CONFIG_UNREADABLE` when the file of `settings` cannot be opened. */
  constructor(settings: LogSettings, parts: LogParts) {
    const { worker = null, shared = false } = parts;
    this.#parts = parts;
    this.#fields = worker === null ? {} : { worker };
    this.#colours = parts.terminal && settings.file === null;
    this.#format = this.#formatOf(settings);
    const marksOf = (fd: number): LineMarks => (settings.file === null ? lineMarks(fd, parts.journal) : NO_MARKS);
    this.#marks = { out: marksOf(STDOUT), err: marksOf(STDERR) };
    const dropped = (count: number): string =>
      this.#format.line(parts.epochMs(), "warn", "log lines dropped", { count });
    // A file keeps every write in one piece (O_APPEND); a pipe that others write to keeps small ones.
    const bytesMax = shared ? LIMITS.sharedWriteBytesMax : LIMITS.logWriteBytesMax;
    const open = (target: number | string, key = "log.file"): LineSink =>
      openSink(target, key, parts.counters, dropped, typeof target === "string" ? LIMITS.logWriteBytesMax : bytesMax);
    this.out = open(settings.file ?? STDOUT);
    this.err = settings.file === null ? open(STDERR) : this.out;
    this.#level = CONSOLA_LEVEL[settings.level];
    const { access } = settings;
    this.#access = this.#accessOf(access, this.#opensOwn(access) ? open(access.file, "log.access.file") : this.out);
    this.#consola = createConsola({
      level: this.#level,
      // consola folds repeated lines unless told not to; a log must not.
      throttle: 0,
      reporters: [{ log: (entry) => this.#report(entry, parts.epochMs()) }],
    });
  }

  /** Where access lines go; null: there are none. Another one after `configure`. */
  get access(): AccessLogTarget | null {
    return this.#access;
  }

  /** Other settings from now on, whose files are the same ones. */
  configure(settings: LogSettings): void {
    this.#level = CONSOLA_LEVEL[settings.level];
    this.#consola.level = this.#level;
    this.#format = this.#formatOf(settings);
    this.#access = this.#accessOf(settings.access, this.#access?.out ?? this.out);
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
    return [...new Set([this.out, this.err, this.#access?.out ?? this.out])];
  }

  #formatOf({ format }: LogSettings): LineFormat {
    const shape = format === "json" ? jsonFormat : plainFormat(this.#colours);
    return (this.#parts.worker ?? null) === null ? shape : formatWith(shape, this.#fields);
  }

  /** A supervisor has no requests, and opens no file for them. */
  #opensOwn(settings: AccessLogSettings | null): settings is AccessLogSettings & { readonly file: string } {
    const { worker = null, shared = false } = this.#parts;
    return settings !== null && settings.file !== null && (worker !== null || !shared);
  }

  /** In a file of their own there are all of them, else those of the log's level. */
  #accessOf(settings: AccessLogSettings | null, out: LineSink): AccessLogTarget | null {
    if (settings === null) return null;
    const shape = {
      ...{ json: settings.format === "json", fields: this.#fields },
      colours: this.#colours && settings.file === null,
    };
    if (settings.file === null)
      return {
        ...{ ...shape, out: this.out, err: this.err, warnMark: this.#marks.err.warn },
        enabled: (level) => this.enabled(level),
      };
    return this.#opensOwn(settings) ? { ...shape, out, err: out, warnMark: "", enabled: () => true } : null;
  }

  #report(entry: LogObject, epochMs: number): void {
    const [msg, fields] = entry.args as [string, LogFields];
    const [sink, marks] = entry.level <= CONSOLA_LEVEL.warn ? [this.err, this.#marks.err] : [this.out, this.#marks.out];
    const mark = entry.type in marks ? marks[entry.type as keyof LineMarks] : "";
    sink.write(mark + this.#format.line(epochMs, entry.type, msg, fields));
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
