/**
 * Cloudflare's h3i as a client (`test/adversary/h3i`): any frame on any stream, in any order, right or wrong. It checks nothing that
 * it sends, takes no part in HTTP/3 beyond reading frames, and needs a fraction of the time that a Python client does.
 */
import { AssertionFault, must } from "../../src/core/assert.ts";
import { runProcess } from "../support/process.ts";

/** A field; strings hold one byte per character (latin1). */
export type H3iField = readonly [name: string, value: string];

/** What is sent, in this order. A client's request streams are 0, 4, 8 and so on, its unidirectional ones 2, 6, 10 and so on. */
export type H3iStep =
  /** HEADERS, letter by letter; `indexed` by QPACK's static table and Huffman's code, which makes names lower case. */
  | {
      readonly do: "headers";
      readonly stream: number;
      readonly fields: readonly H3iField[];
      readonly indexed?: boolean;
      readonly fin?: boolean;
    }
  /** A frame of any type, payload in hexadecimal. `length`: what it says of itself instead of the truth. */
  | {
      readonly do: "frame";
      readonly stream: number;
      readonly type: number;
      readonly hex?: string;
      readonly length?: number;
      readonly fin?: boolean;
    }
  /** Bytes as they are, hexadecimal. */
  | { readonly do: "bytes"; readonly stream: number; readonly hex?: string; readonly fin?: boolean }
  /** The type that a unidirectional stream begins with. */
  | { readonly do: "uni"; readonly stream: number; readonly type: number; readonly fin?: boolean }
  | { readonly do: "reset" | "stop_sending"; readonly stream: number; readonly code: number }
  /** What follows goes into later packets. */
  | { readonly do: "flush" }
  /** Until this comes, or the server's side of the stream is over. What came before the step is not seen: one wait behind each request. */
  | { readonly do: "wait"; readonly stream: number; readonly until: "headers" | "data" | "end" }
  /** Until that many more request streams may be opened. */
  | { readonly do: "wait_streams"; readonly count: number }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "close"; readonly application: boolean; readonly code: number };

/** A whole run. It ends when the connection does: by a `close` step, by the server, or by being idle. */
export interface H3iPlan {
  readonly steps: readonly H3iStep[];
  /** Default localhost. */
  readonly serverName?: string;
  /** Default 10,000: a connection that nobody closes ends then. */
  readonly idleTimeoutMs?: number;
  /** What the server may send on a request stream before it has to wait. Default 10 MB. */
  readonly streamWindowBytes?: number;
}

/** What came on a stream. A clean end is not told; a `wait` for it that was passed, without a reset, tells it. */
export type H3iSeen =
  | { readonly headers: readonly H3iField[] }
  | { readonly data: string }
  | { readonly reset: number }
  | { readonly other: string };

/** The result. */
export interface H3iOutcome {
  /** By stream id, in order of arrival. */
  readonly streams: Readonly<Record<string, readonly H3iSeen[]>>;
  readonly closed: {
    /** `client`: by a `close` step. */
    readonly by: "peer" | "client" | "timeout";
    readonly application: boolean;
    readonly code: number | null;
    readonly reason: string;
  };
  /** RESET_STREAM and STOP_SENDING frames of the server. */
  readonly resets_received: number;
  readonly stops_received: number;
}

/** Where the program is, or null: `scripts/ok.ts` names it in SPOOKY_TEST_H3I. */
export const h3iProgram: string | null = process.env["SPOOKY_TEST_H3I"] || null;

/** Why a test is skipped without it. */
export const H3I_MISSING = "h3i: SPOOKY_TEST_H3I names no program (scripts/h3i.sh builds it)";

/** Plays a plan against 127.0.0.1. */
export async function runH3i(port: number, plan: H3iPlan): Promise<H3iOutcome> {
  const input = {
    address: `127.0.0.1:${port}`,
    server_name: plan.serverName ?? "localhost",
    idle_timeout_ms: plan.idleTimeoutMs ?? 10_000,
    stream_window_bytes: plan.streamWindowBytes ?? 10_000_000,
    steps: plan.steps,
  };
  const command = [must(h3iProgram, H3I_MISSING)];
  const { code, stdout, stderr } = await runProcess({ command, input: `${JSON.stringify(input)}\n` });
  if (code !== 0) throw new AssertionFault(`h3i ended with code ${code}:\n${stdout}\n${stderr}`);
  return JSON.parse(stdout);
}
