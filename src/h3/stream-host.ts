/** What a request's stream stands on: its session, and whoever answers the request. */
import type { BufferAccount } from "../guard/buffer-account.ts";
import type { EngineSession } from "../quic/engine.ts";
import { H3_CODE } from "./codes.ts";
import type { RequestStream } from "./stream.ts";

/** Why a stream ended before its response did. */
export type AbortReason = "reset" | "stopped" | "closed" | "malformed" | "stalled" | "overfull";

/** What a stream that ends before its time is reset with. */
export const ABORT_CODES = {
  reset: H3_CODE.requestCancelled,
  stopped: H3_CODE.requestCancelled,
  malformed: H3_CODE.messageError,
  stalled: H3_CODE.internalError,
  overfull: H3_CODE.internalError,
} as const;

/** Is it the client that has given the request up or broken it? Else the stream is reset because we can hold its response no longer. */
export function isClientsDoing(reason: AbortReason): boolean {
  return reason === "reset" || reason === "stopped" || reason === "malformed";
}

/** Whoever answers the request. */
export interface StreamOwner {
  /** All that was written has been taken: there is room for more. */
  onRoom(): void;
  /** The response has ended and all of it was taken. Nothing follows. */
  onSent(): void;
  /** The client does not want the answer or cannot get it. Nothing can be written any more. */
  onAborted(reason: AbortReason): void;
}

/** What a stream needs from its session. */
export interface StreamHost {
  readonly engine: EngineSession;
  /** Output that waits is on this account, from when it begins to wait until it is taken or dropped. */
  readonly buffers: BufferAccount;
  /** Something was written or read: the connection has to say something. */
  wake(): void;
  /** The engine has events that were not taken: the session has to work again soon. */
  again(): void;
  /** The stream has output that the connection did not take. */
  block(stream: RequestStream): void;
  /** Bytes of the request's body were read. */
  received(): void;
  /** Something of the response was taken for the client. */
  delivered(): void;
  /** The stream is over before its time, and its owner knows. */
  aborted(reason: AbortReason): void;
  /** The final head was written: from now on the stream has something to send. */
  answered(stream: RequestStream): void;
  /** Neither side has anything more to do with the stream. */
  forget(stream: RequestStream): void;
}
