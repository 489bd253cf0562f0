/**
 * quic-go as a client: a plan goes in, its own counts come back. It changes its ids by itself, migrates with probed paths, recognises
 * stateless resets, follows Retry, and its HTTP/3 pool goes over to another connection after GOAWAY (`test/interop/quicgo`).
 */
import { AssertionFault, must } from "../../src/core/assert.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { type RunningProcess, startProcess } from "../support/process.ts";
import type { NetworkPlace } from "../support/netns.ts";

/** What a connection does, in this order. */
export type QuicGoStep =
  /** GETs unless told otherwise, `concurrency` at a time. Of a plan with `early` only GETs are in the first flight. */
  | {
      readonly do: "request";
      readonly id?: string;
      readonly method?: string;
      readonly path: string;
      readonly count?: number;
      readonly concurrency?: number;
    }
  /** One GET of `bytes`, in the middle of which it moves so many times, over `local_hosts` in turn. */
  | {
      readonly do: "download";
      readonly id?: string;
      readonly path: string;
      readonly bytes: number;
      readonly moves?: number;
      readonly way?: "migrate" | "rebind";
    }
  /** Probes a path from another port with another of the server's ids, goes over to it, and gives up the one before. */
  | { readonly do: "migrate"; readonly local_host?: string }
  /** Another port, and nothing else. */
  | { readonly do: "rebind"; readonly local_host?: string }
  | { readonly do: "say"; readonly text: string }
  | { readonly do: "cue" | "wait_closed" }
  /** The plan's only step: `rate` GETs a second over http3.Transport until the input ends. */
  | {
      readonly do: "load";
      readonly path: string;
      readonly rate: number;
      /** Another port after every so many requests. */
      readonly move_every?: number;
      /** Idle connections are closed after every so many requests: handshakes go on. */
      readonly renew_every?: number;
    };

/** A whole run. */
export interface QuicGoPlan {
  readonly port: number;
  /** IP literal, default 127.0.0.1. */
  readonly host?: string;
  /** SNI and the name that the certificate must have, default localhost. */
  readonly server_name?: string;
  /** PEM file to trust, default the run's authority. */
  readonly ca_file?: string;
  /** Addresses it sends from; the kernel's choice without. Connections and moves take them in turn. */
  readonly local_hosts?: readonly string[];
  readonly idle_timeout_ms?: number;
  /** It says something after so long a silence; without, it may not notice that its translator has forgotten it. */
  readonly keep_alive_ms?: number;
  /** Receive windows, bytes. */
  readonly window?: number;
  readonly connections?: number;
  /** Each connection resumes a session: another one, made before, has asked for this path and got the ticket. */
  readonly ticket_path?: string;
  /** The steps begin with the first flight (0-RTT), as far as the ticket allows it. */
  readonly early?: boolean;
  /** Token of the first Initial, hexadecimal. */
  readonly token?: string;
  readonly steps: readonly QuicGoStep[];
}

/** Sums over equal requests: `sent` is those in `statuses` and `failed`. */
export interface QuicGoSums {
  readonly id: string;
  readonly sent: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly failed: number;
  readonly errors: readonly string[];
}

/** Sums of a load. */
export interface QuicGoLoad extends QuicGoSums {
  readonly connections: number;
  readonly stateless_resets: number;
  readonly rebinds: number;
  readonly seconds: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly slowest_ms: number;
  /** From the first failed request to the next answered one; the longest. */
  readonly recovery_ms: number;
}

/** One connection's end result. */
export interface QuicGoConnection {
  readonly requests: readonly QuicGoSums[];
  readonly downloads: readonly {
    readonly id: string;
    readonly status: number;
    readonly bytes: number;
    readonly sha256: string;
    readonly moves: number;
    readonly error: string;
  }[];
  readonly loads: readonly QuicGoLoad[];
  /** Addresses with ports that it has sent from. */
  readonly locals: readonly string[];
  /** Frames by name and way (`path_challenge_received`), `retry_received`, `stateless_resets`, `ids_used`. */
  readonly frames: Readonly<Record<string, number>>;
  readonly handshake_ms: number;
  /** The handshake went by a ticket. */
  readonly resumed: boolean;
  /** The server has taken early data. */
  readonly early_taken: boolean;
  /** Why a step could not be played. */
  readonly error: string;
  /** How the connection ended, if the client did not end it. */
  readonly closed: string;
}

/** The program, or null: `scripts/ok.ts` names it in SPOOKY_TEST_QUICGO. */
export const quicGoProgram: string | null = process.env["SPOOKY_TEST_QUICGO"] || null;

/** Why a test is skipped without it. */
export const QUICGO_MISSING = "quic-go: SPOOKY_TEST_QUICGO names no program (./scripts/test sets it up)";

/** A run under way. */
export interface QuicGoRun {
  readonly process: RunningProcess;
  /** Waits until a connection has said this (`say`). */
  said(text: string, connection?: number): Promise<void>;
  /** Lets a `cue` step go on. */
  cue(): void;
  /** Ends loads; then waits for the end. */
  finish(): Promise<readonly QuicGoConnection[]>;
  /** Waits for the end of the plan. Rejects when it failed, or when nothing at all was sent. */
  readonly connections: Promise<readonly QuicGoConnection[]>;
}

/** Starts a plan; in another network if one is given. */
export async function startQuicGo(plan: QuicGoPlan, place?: NetworkPlace): Promise<QuicGoRun> {
  const { caFile } = await testCertificateFiles();
  const whole = { host: "127.0.0.1", server_name: "localhost", ca_file: caFile, idle_timeout_ms: 30_000, ...plan };
  const command = [must(quicGoProgram, QUICGO_MISSING)];
  const child = startProcess({
    command: place?.command(command) ?? command,
    input: `${JSON.stringify(whole)}\n`,
  });
  const connections = resultOf(child);
  // Whoever awaits it sees the failure; a test that failed before need not.
  connections.catch(() => undefined);
  return {
    process: child,
    said: async (text, connection = 0) => {
      await child.waitForLine((line) => isEvent(line, connection, text));
    },
    cue: () => child.write("cue\n"),
    finish: () => {
      child.closeInput();
      return connections;
    },
    connections,
  };
}

/** Plays a plan to its end. */
export async function runQuicGo(plan: QuicGoPlan, place?: NetworkPlace): Promise<readonly QuicGoConnection[]> {
  return (await startQuicGo(plan, place)).connections;
}

async function resultOf(child: RunningProcess): Promise<readonly QuicGoConnection[]> {
  const end = await child.ended;
  const line = child.stdout.find((text) => text.startsWith('{"result"'));
  if (end.code !== 0 || line === undefined) {
    throw new AssertionFault(`quic-go ended with ${JSON.stringify(end)}:\n${child.output()}`);
  }
  const connections: readonly QuicGoConnection[] = JSON.parse(line).result;
  const sent = connections
    .flatMap(({ requests, loads }) => [...requests, ...loads])
    .reduce((sum, s) => sum + s.sent, 0);
  const received = connections.flatMap(({ downloads }) => downloads).reduce((sum, { bytes }) => sum + bytes, 0);
  if (sent + received === 0) throw new AssertionFault(`quic-go sent nothing:\n${child.output()}`);
  return connections;
}

function isEvent(line: string, connection: number, text: string): boolean {
  if (!line.startsWith('{"connection"')) return false;
  const event: Record<string, unknown> = JSON.parse(line);
  return event["connection"] === connection && event["text"] === text;
}
