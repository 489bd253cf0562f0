/** What a connection is made with, whom it tells of its own state, and the control data of a request. */
import type { Counters } from "../core/counters.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { ConnectionFault } from "./codes.ts";

/** What a connection ended with; `detail` says more where there is more to say. */
export interface ConnectionFailure {
  readonly fault: ConnectionFault;
  readonly code: number;
  readonly detail: string;
}

/** Hears of the connection as a whole. Called from within the connection's verbs. */
export interface H2ConnectionSink {
  /** The peer's first SETTINGS came: it does speak HTTP/2. */
  onReady(): void;
  /** After an `open` that was refused for want of a free stream or of room: it may succeed now. */
  onOpenable(): void;
  /** The peer takes no further requests on this connection; those it will not answer have been told. */
  onGoaway(code: number): void;
  /** The connection is of no more use; all streams have been told. */
  onFailure(failure: ConnectionFailure): void;
}

/** What a connection is made with. */
export interface H2ConnectionOptions {
  readonly sink: H2ConnectionSink;
  /** Scratch for received sections; connections of one thread may share it. */
  readonly writer: FieldWriter;
  readonly counters: Counters;
  readonly nowMs: number;
  /** Code strings with Huffman's code where that is shorter; spends CPU to save bytes. */
  readonly huffman?: boolean;
  readonly pingAfterMs?: number;
  readonly pingAnswerMs?: number;
}

/** The control data of a request, one byte per character. */
export interface H2RequestLine {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
}
