/**
 * Attacks on the proxy's resources by `attacks.py`: a plan goes in, what came of it comes back. The client there makes a real handshake
 * and then sends frames by hand, far beyond what the proxy allows it.
 */
import { join } from "node:path";
import { AssertionFault, must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { startProcess } from "../support/process.ts";
import type { ProcessOptions, RunningProcess } from "../support/process.ts";

/** What all attacks may be told. */
interface Paced {
  /** Turns at most, so many a second (0: as fast as it goes), for so many seconds at most. */
  readonly count?: number;
  readonly per_second?: number;
  readonly seconds?: number;
  /** Seconds that it waits for the last answer. */
  readonly wait?: number;
  /** Of the requests. */
  readonly path?: string;
}

/** One attack; each is told in `attacks.py`. */
export type Attack = Paced &
  (
    | {
        readonly attack: "handshakes";
        /** Opens the HTTP/3 streams too, and keeps all connections for so many seconds. */
        readonly http3?: boolean;
        readonly hold?: number;
        readonly local_host?: string;
        /** Ends after so many refusals. */
        readonly refused_max?: number;
        /** Seconds that each waits for its handshake. */
        readonly patience?: number;
        /** False: the clients go without a word. */
        readonly close?: boolean;
      }
    | { readonly attack: "rapid-reset"; readonly how?: "reset" | "stop" | "both" }
    | { readonly attack: "empty-streams" | "slow-body" }
    | { readonly attack: "made-you-reset"; readonly how?: "length" | "trailers" | "head" }
    | {
        readonly attack: "window-stall";
        readonly connections?: number;
        readonly streams?: number;
        /** Bytes that each stream may send. */
        readonly window?: number;
        /** So many datagrams with a PING on each connection every 10 ms. */
        readonly pings?: number;
      }
    | { readonly attack: "slow-head"; readonly streams?: number; readonly gap?: number }
    | {
        readonly attack: "header-bomb";
        readonly kind: "long" | "tiny" | "static" | "huffman" | "dynamic";
        /** Bytes, or fields of `tiny`, or references of `static` and `dynamic`. */
        readonly size: number;
      }
    | { readonly attack: "huffman-flood"; readonly how?: "long" | "short"; readonly size?: number }
    | { readonly attack: "new-ids"; readonly withhold?: boolean; readonly retire?: boolean }
    | { readonly attack: "retire"; readonly how?: "known" | "repeated" | "unknown" }
    | { readonly attack: "path-challenges"; readonly withhold?: boolean; readonly per_packet?: number }
    | { readonly attack: "crypto-hole"; readonly offset?: number }
    | { readonly attack: "optimistic-ack"; readonly how?: "unsent" | "ahead" | "all"; readonly ahead?: number }
    | { readonly attack: "stream-gaps"; readonly streams?: number; readonly span?: number }
    | {
        readonly attack: "control-flood";
        readonly kind:
          | "priority"
          | "priority-one"
          | "priority-far"
          | "settings"
          | "reserved"
          | "reserved-long"
          | "max-push-id"
          | "cancel-push"
          | "goaway";
      }
    | {
        readonly attack: "packet-flood";
        readonly kind:
          | "ping"
          | "pings"
          | "padding"
          | "max-data"
          | "max-streams"
          | "data-blocked"
          | "streams-blocked"
          | "empty-stream"
          | "repeated"
          | "handshake-crypto";
      }
    | {
        readonly attack: "body-flood";
        readonly kind: "empty-data" | "reserved" | "one-byte";
        /** Ends the upload in order. */
        readonly fin?: boolean;
      }
    | {
        readonly attack: "trickle";
        readonly kind: "empty-data" | "reserved" | "payload";
        readonly streams?: number;
        readonly gap?: number;
      }
    | { readonly attack: "credit-drip"; readonly streams?: number; readonly gap?: number; readonly step?: number }
    | { readonly attack: "encoder-flood"; readonly kind: "insert" | "capacity" | "cancel" }
    | { readonly attack: "moving" }
    | { readonly attack: "late-start"; readonly streams?: number; readonly bytes?: number }
    | { readonly attack: "uni-streams"; readonly bytes?: number; readonly fin?: boolean }
    | {
        readonly attack: "requests";
        readonly path_bytes?: number;
        readonly streams?: number;
        readonly malformed?: boolean;
      }
    | { readonly attack: "burst"; readonly streams?: number }
    | {
        readonly attack: "unread-uploads";
        readonly connections?: number;
        readonly streams?: number;
        readonly hold?: number;
      }
    | {
        readonly attack: "datagrams";
        readonly kind?: "garbage" | "short" | "version" | "initial" | "initial-same" | "empty";
      }
  );

/** Codes, as decimal text, with how often each came. */
export type CodeCounts = Readonly<Record<string, number>>;

/** What came of it. Which of them there are depends on the attack. */
export interface AttackResult {
  /** What the attack sent of whatever it is made of: requests, frames, packets. */
  readonly sent: number;
  /** Of `datagrams`: all bytes of what was sent, where others have \`bytes_out\`. */
  readonly sent_bytes: number;
  /** The server's CONNECTION_CLOSE. */
  readonly closed: { readonly code: number; readonly application: boolean } | null;
  /** Of several connections, by code. */
  readonly closed_codes: CodeCounts;
  readonly statuses: CodeCounts;
  readonly reset_codes: CodeCounts;
  readonly stop_codes: CodeCounts;
  readonly streams_ended: number;
  /** Bytes of response streams, heads included. */
  readonly body_bytes: number;
  /** Frames of the server: `retire_connection_id`, `new_connection_id`, `path_response`. */
  readonly frames: CodeCounts;
  readonly datagrams_out: number;
  readonly datagrams_in: number;
  readonly bytes_out: number;
  readonly bytes_in: number;
  /** Of `moving`: what came to the ports it had left. */
  readonly bytes_elsewhere: number;
  /** Of `handshakes`: connections, and how the others were refused (`none`: without a word). */
  readonly established: number;
  readonly refused: CodeCounts;
  /** Of `optimistic-ack`: what the server sent, a second. */
  readonly bytes_per_second: number;
}

/** An attack under way. It dies with the test. */
export interface AttackRun {
  readonly process: RunningProcess;
  /** Resolves when all is set up, of attacks that say so. */
  ready(): Promise<void>;
  readonly result: Promise<AttackResult>;
}

/** Starts an attack on a port of 127.0.0.1. */
export function startAttack(port: number, attack: Attack): AttackRun {
  const child = startProcess(attackCommand(port, attack));
  const result = resultOf(child);
  // Whoever awaits it sees the failure; a test that failed before need not.
  result.catch(() => undefined);
  return {
    process: child,
    ready: async () => void (await child.waitForLine((line) => line.startsWith('{"event": "ready"'))),
    result,
  };
}

/** The process that an attack is. */
export function attackCommand(port: number, attack: Attack): ProcessOptions {
  return {
    command: [must(aioquicPython, AIOQUIC_MISSING), PROGRAM],
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    input: `${JSON.stringify({ port, ...attack })}\n`,
  };
}

/** What came of it, when it is over. Rejects with its output when it failed. */
export async function resultOf(child: RunningProcess): Promise<AttackResult> {
  const end = await child.ended;
  const line = child.stdout.find((text) => text.startsWith('{"result"'));
  if (end.code !== 0 || line === undefined) {
    throw new AssertionFault(`the attack ended with ${JSON.stringify(end)}:\n${child.output()}`);
  }
  return JSON.parse(line).result;
}

const PROGRAM = join(import.meta.dir, "attacks.py");
