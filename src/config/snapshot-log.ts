/** What a valid configuration says of logs; a part of the snapshot. */

/** Levels, from quiet to loud. */
export type LogLevel = "off" | "error" | "warn" | "info" | "debug" | "trace";

/** Where log lines go and how they look. */
export interface LogSettings {
  readonly level: LogLevel;
  readonly format: "plain" | "json";
  /** Null: standard output and standard error. */
  readonly file: string | null;
  /** Null: no lines for requests. */
  readonly access: AccessLogSettings | null;
}

/** One line for each request. */
export interface AccessLogSettings {
  /** Null: where the other lines go, by their level. */
  readonly file: string | null;
  readonly format: "plain" | "json";
  /** So many of a million 2xx get one. */
  readonly successPerMillion: number;
  readonly query: "keep" | "redact" | "drop";
  /** Fields of the request that are written; lower case. `redacted`: only that it was there. */
  readonly headers: readonly { readonly name: string; readonly redacted: boolean }[];
}
