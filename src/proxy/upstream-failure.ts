/**
 * How an attempt at a backend failed: one value that the retry rule, the answer's status, the log and the metrics all read, so
 * that they cannot disagree.
 */
import { type ErrorCode, type ErrorDetails, ProxyError } from "../core/error.ts";

/** How far an attempt had come. */
export interface AttemptProgress {
  /** A byte of the request may have reached the backend. */
  readonly requestSent: boolean;
  /** A byte of the response has come. */
  readonly responseReceived: boolean;
  /** `no`: surely nothing was processed, for nothing was sent or the backend said so. Everything else is `maybe`. */
  readonly processed: "no" | "maybe";
}

/** Nothing was sent. */
export const NOT_SENT: AttemptProgress = { requestSent: false, responseReceived: false, processed: "no" };
/** The backend said that it did not look at the request (RFC 9113 8.7: REFUSED_STREAM, or beyond GOAWAY's last stream). */
export const REFUSED: AttemptProgress = { requestSent: true, responseReceived: false, processed: "no" };
/** Sent, perhaps in part, and nothing came back. */
export const UNANSWERED: AttemptProgress = { requestSent: true, responseReceived: false, processed: "maybe" };
/** The response had begun. */
export const CUT_OFF: AttemptProgress = { requestSent: true, responseReceived: true, processed: "maybe" };

/** A failed attempt. Its kind is `code`; `status` is what a client gets for it. */
export class UpstreamFailure extends ProxyError implements AttemptProgress {
  readonly requestSent: boolean;
  readonly responseReceived: boolean;
  readonly processed: "no" | "maybe";

  constructor(code: ErrorCode, message: string, progress: AttemptProgress, details: ErrorDetails = {}) {
    super(code, message, details);
    this.requestSent = progress.requestSent;
    this.responseReceived = progress.responseReceived;
    this.processed = progress.processed;
  }

  /** An error that says nothing of an attempt, seen in one. */
  static of({ code, message, cause }: ProxyError, progress: AttemptProgress): UpstreamFailure {
    return new UpstreamFailure(code, message, progress, { cause });
  }
}
