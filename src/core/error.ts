/**
 * The one error type. Wrong input and failing peers become a `ProxyError` with a stable code; the answer to the client, the
 * retry rule, the log level and the metric label all read the same fields. Wrong programs are assertions (`assert.ts`).
 */

/** Whose fault it was. */
export type ErrorSource = "downstream" | "upstream" | "internal" | "config";

/**
 * May another backend be tried? `safe`: surely nothing was processed. `never`: it may have been, or it makes no sense.
 * `if-reused`: the connection was an old idle one that the backend may have closed at the same moment.
 */
export type RetryAdvice = "never" | "safe" | "if-reused";

/** What each code means by default. `status` 0: nobody is there to be answered. */
interface CodeMeaning {
  readonly source: ErrorSource;
  readonly retry: RetryAdvice;
  readonly status: number;
}

/** The closed list of codes. */
const ERROR_CODES = {
  NO_ROUTE: { source: "downstream", retry: "never", status: 404 },
  BAD_REQUEST: { source: "downstream", retry: "never", status: 400 },
  MISDIRECTED: { source: "downstream", retry: "never", status: 421 },
  REQUEST_HEAD_TOO_LARGE: { source: "downstream", retry: "never", status: 431 },
  REQUEST_BODY_TOO_LARGE: { source: "downstream", retry: "never", status: 413 },
  REQUEST_TIMEOUT: { source: "downstream", retry: "never", status: 408 },
  CLIENT_STALLED: { source: "downstream", retry: "never", status: 408 },
  CLIENT_GONE: { source: "downstream", retry: "never", status: 0 },
  NO_HEALTHY_BACKEND: { source: "upstream", retry: "never", status: 503 },
  OVERLOADED: { source: "internal", retry: "never", status: 503 },
  DRAINING: { source: "internal", retry: "never", status: 503 },
  UPSTREAM_REFUSED: { source: "upstream", retry: "safe", status: 502 },
  UPSTREAM_UNREACHABLE: { source: "upstream", retry: "safe", status: 502 },
  UPSTREAM_NAME: { source: "upstream", retry: "safe", status: 502 },
  UPSTREAM_TLS: { source: "upstream", retry: "safe", status: 502 },
  UPSTREAM_CONNECT_TIMEOUT: { source: "upstream", retry: "safe", status: 504 },
  UPSTREAM_RESET: { source: "upstream", retry: "never", status: 502 },
  UPSTREAM_PROTOCOL: { source: "upstream", retry: "never", status: 502 },
  UPSTREAM_HEAD_TIMEOUT: { source: "upstream", retry: "never", status: 504 },
  UPSTREAM_BODY_TIMEOUT: { source: "upstream", retry: "never", status: 504 },
  INTERNAL: { source: "internal", retry: "never", status: 500 },
  CONFIG_INVALID: { source: "config", retry: "never", status: 0 },
  CONFIG_UNREADABLE: { source: "config", retry: "never", status: 0 },
  CERTIFICATE: { source: "config", retry: "never", status: 0 },
  ADDRESS_IN_USE: { source: "config", retry: "never", status: 0 },
  ADDRESS_UNAVAILABLE: { source: "config", retry: "never", status: 0 },
  LIBRARY: { source: "internal", retry: "never", status: 0 },
  SYSTEM_CALL: { source: "internal", retry: "never", status: 0 },
} as const satisfies Record<string, CodeMeaning>;

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Details that differ from the code's defaults. */
export interface ErrorDetails {
  readonly cause?: unknown;
  readonly retry?: RetryAdvice;
  /** What a person may do about it; printed after the message. */
  readonly remedy?: string;
}

/** Wrong input or a failing peer. The message is for logs and people, never for clients. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly retry: RetryAdvice;
  readonly status: number;
  readonly remedy: string | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const meaning: CodeMeaning = ERROR_CODES[code];
    this.code = code;
    this.source = meaning.source;
    this.retry = details.retry ?? meaning.retry;
    this.status = meaning.status;
    this.remedy = details.remedy ?? null;
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
