/**
 * The one error type. Wrong input and failing peers become a `ProxyError` with a stable code; the answer to the client, the
 * log level and the metric label all read the same fields; what failed towards a backend says more (`proxy/upstream-failure.ts`). Wrong programs are assertions (`assert.ts`).
 */

/** Whose fault it was. */
export type ErrorSource = "downstream" | "upstream" | "internal" | "config";

/** What each code means by default. `status` 0: nobody is there to be answered. */
interface CodeMeaning {
  readonly source: ErrorSource;
  readonly status: number;
}

/** The closed list of codes. */
const ERROR_CODES = {
  NO_ROUTE: { source: "downstream", status: 404 },
  BAD_REQUEST: { source: "downstream", status: 400 },
  MISDIRECTED: { source: "downstream", status: 421 },
  REQUEST_HEAD_TOO_LARGE: { source: "downstream", status: 431 },
  REQUEST_BODY_TOO_LARGE: { source: "downstream", status: 413 },
  REQUEST_TIMEOUT: { source: "downstream", status: 408 },
  CLIENT_STALLED: { source: "downstream", status: 408 },
  CLIENT_GONE: { source: "downstream", status: 0 },
  NO_HEALTHY_BACKEND: { source: "upstream", status: 503 },
  OVERLOADED: { source: "internal", status: 503 },
  DRAINING: { source: "internal", status: 503 },
  UPSTREAM_REFUSED: { source: "upstream", status: 502 },
  UPSTREAM_UNREACHABLE: { source: "upstream", status: 502 },
  UPSTREAM_NAME: { source: "upstream", status: 502 },
  UPSTREAM_TLS: { source: "upstream", status: 502 },
  UPSTREAM_CONNECT_TIMEOUT: { source: "upstream", status: 504 },
  UPSTREAM_RESET: { source: "upstream", status: 502 },
  UPSTREAM_PROTOCOL: { source: "upstream", status: 502 },
  UPSTREAM_HEAD_TIMEOUT: { source: "upstream", status: 504 },
  UPSTREAM_BODY_TIMEOUT: { source: "upstream", status: 504 },
  REQUEST_TOTAL_TIMEOUT: { source: "upstream", status: 504 },
  INTERNAL: { source: "internal", status: 500 },
  CONFIG_INVALID: { source: "config", status: 0 },
  CONFIG_UNREADABLE: { source: "config", status: 0 },
  CERTIFICATE: { source: "config", status: 0 },
  ADDRESS_IN_USE: { source: "config", status: 0 },
  ADDRESS_UNAVAILABLE: { source: "config", status: 0 },
  CONTROL_SOCKET: { source: "config", status: 0 },
  NODE_IN_USE: { source: "config", status: 0 },
  WORKER_FAILED: { source: "internal", status: 0 },
  HANDOVER: { source: "internal", status: 0 },
  LIBRARY: { source: "internal", status: 0 },
  SYSTEM_CALL: { source: "internal", status: 0 },
} as const satisfies Record<string, CodeMeaning>;

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Details that differ from the code's defaults. */
export interface ErrorDetails {
  readonly cause?: unknown;
  /** What a person may do about it; printed after the message. */
  readonly remedy?: string;
}

/** Wrong input or a failing peer. The message is for logs and people, never for clients. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly status: number;
  readonly remedy: string | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const meaning: CodeMeaning = ERROR_CODES[code];
    this.code = code;
    this.source = meaning.source;
    this.status = meaning.status;
    this.remedy = details.remedy ?? null;
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
