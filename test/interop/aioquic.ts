/**
 * aioquic as a client: a plan goes in, what happened comes back. A QUIC and HTTP/3 implementation in Python that shares no code
 * with ours; it sends whatever it is told, right or wrong, and judges responses by its own reading of the RFCs.
 */
import { join } from "node:path";
import { AssertionFault, must } from "../../src/core/assert.ts";
import { startProcess } from "../support/process.ts";
import type { NetworkPlace } from "../support/netns.ts";
import type { RunningProcess } from "../support/process.ts";

/** A field; strings hold one byte per character (latin1). */
export type AioquicField = readonly [name: string, value: string];

/** A request body: text (latin1), bytes in hexadecimal, or the first `bytes` of a seed (`test/support/pattern.ts`). */
export type AioquicBody =
  | { readonly text: string }
  | { readonly hex: string }
  | { readonly bytes: number; readonly seed?: string; readonly piece?: number };

/** One frame of a request stream that is written by hand. */
export type AioquicFrame =
  | { readonly headers: readonly AioquicField[] }
  | { readonly data: string }
  /** Any frame type, payload in hexadecimal. */
  | { readonly type: number; readonly hex?: string }
  /** Bytes as they are. */
  | { readonly hex: string };

/** A request. Nothing in it is checked before it is sent. */
export interface AioquicRequest {
  /** Default: its number, from "0". */
  readonly id?: string;
  /** Default GET, with a body POST. */
  readonly method?: string;
  readonly path?: string;
  /** Default `server_name:port`. */
  readonly authority?: string;
  /** After the four pseudo-fields. */
  readonly headers?: readonly AioquicField[];
  /** The whole list instead, pseudo-fields too, in this order. */
  readonly raw_headers?: readonly AioquicField[];
  readonly body?: AioquicBody;
  readonly trailers?: readonly AioquicField[];
  /** These frames instead of all of the above. */
  readonly frames?: readonly AioquicFrame[];
  /** False: the stream is left open (`finish` ends it). */
  readonly fin?: boolean;
  /** RESET_STREAM once this much of the body has been sent and acknowledged. */
  readonly reset_after_bytes?: number;
  readonly reset_code?: number;
  /** STOP_SENDING once this much of the response's body has arrived. */
  readonly stop_after_bytes?: number;
  readonly stop_code?: number;
}

/** What a connection does, in this order. */
export type AioquicStep =
  /** Sends and waits for the end. With `count` above 1 only sums are kept (`bulks`). */
  | ({ readonly do: "request"; readonly count?: number; readonly concurrency?: number } & AioquicRequest)
  /** Sends and goes on. */
  | ({ readonly do: "start" } & AioquicRequest)
  /** Until that one, or all, have ended. */
  | { readonly do: "wait"; readonly id?: string }
  | { readonly do: "wait_head" | "wait_informational" | "wait_stop"; readonly id: string }
  | { readonly do: "wait_bytes" | "wait_sent"; readonly id: string; readonly bytes: number }
  | { readonly do: "wait_goaway" | "wait_tickets"; readonly count?: number }
  /** A cue: a line that the test writes (`AioquicRun.cue`). */
  | { readonly do: "wait_closed" | "cue" | "handshake" }
  | { readonly do: "say"; readonly text: string }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "stop" | "reset"; readonly id: string; readonly code?: number }
  /** One DATA frame of these bytes on a stream that was left open; nothing once the server wants no more. */
  | { readonly do: "send"; readonly id: string; readonly text: string }
  | { readonly do: "finish"; readonly id: string }
  /** The same connection from another port, and another address if one is given. */
  | { readonly do: "rebind"; readonly local_host?: string }
  | { readonly do: "change_connection_id" | "key_update" | "ping" }
  /** Gives flow-control credit again, after `hold_flow_control`. */
  | { readonly do: "release" }
  /** Bytes on a new unidirectional stream, or on the control stream, hexadecimal. */
  | { readonly do: "uni" | "control"; readonly hex: string; readonly fin?: boolean }
  /** A UDP datagram past the connection. */
  | { readonly do: "datagram"; readonly hex: string }
  | { readonly do: "close"; readonly code?: number; readonly reason?: string }
  /** The client disappears without closing. */
  | { readonly do: "vanish" };

/** A whole run. */
export interface AioquicPlan {
  readonly port: number;
  /** IP literal, default 127.0.0.1. */
  readonly host?: string;
  readonly local_host?: string;
  /** SNI and the name that the certificate must have, default localhost. */
  readonly server_name?: string;
  /** PEM file to trust; without it nothing is verified. */
  readonly ca_file?: string;
  /** PEM files with the certificate that it shows when it is asked for one, and with its key. */
  readonly client_cert?: string;
  readonly client_key?: string;
  /** Those that it can verify, by aioquic's names; default all that it knows. */
  readonly signature_algorithms?: readonly ("ECDSA_SECP256R1_SHA256" | "RSA_PSS_RSAE_SHA256")[];
  readonly alpn?: readonly string[];
  /** A QUIC version that the server cannot know: it must answer with a Version Negotiation packet, and version 1 follows. */
  readonly offer_version?: number;
  /** File with the session ticket to begin with, and file that the latest ticket goes to (`wait_tickets`). */
  readonly ticket_from?: string;
  readonly ticket_to?: string;
  /** The steps begin with the first flight (0-RTT), as far as the ticket allows it; `handshake` waits for the end of the handshake. */
  readonly early?: boolean;
  /** Token of the first Initial, hexadecimal. */
  readonly token?: string;
  /** File that its TLS secrets are added to (SSLKEYLOGFILE). */
  readonly secrets_to?: string;
  readonly idle_timeout_ms?: number;
  readonly max_data?: number;
  readonly max_stream_data?: number;
  readonly max_datagram_bytes?: number;
  /** Never gives more flow-control credit than at the start: a client that has stopped reading. */
  readonly hold_flow_control?: boolean;
  /** Connections at once, each playing all steps; default 1. */
  readonly connections?: number;
  /** False: no event lines (long runs). */
  readonly events?: boolean;
  readonly steps: readonly AioquicStep[];
}

/** One request and what came of it. */
export interface AioquicExchange {
  readonly id: string;
  readonly stream_id: number | null;
  readonly status: number | null;
  readonly headers: readonly AioquicField[] | null;
  readonly informational: readonly { readonly status: number; readonly headers: readonly AioquicField[] }[];
  readonly trailers: readonly AioquicField[] | null;
  readonly body_bytes: number;
  readonly sha256: string;
  /** The body as latin1 text, if it has at most 64 KiB. */
  readonly body: string | null;
  readonly sent_bytes: number;
  /** The server ended the stream in order. */
  readonly ended: boolean;
  /** Code of the server's RESET_STREAM and STOP_SENDING. */
  readonly reset_code: number | null;
  readonly stop_code: number | null;
  /** Why it did not end in order. */
  readonly error: string | null;
  readonly head_ms: number | null;
  readonly total_ms: number | null;
}

/** Sums over many equal requests. */
export interface AioquicBulk {
  readonly id: string;
  readonly count: number;
  readonly body_bytes: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly sha256s: Readonly<Record<string, number>>;
  /** By the response field `x-backend`. */
  readonly backends: Readonly<Record<string, number>>;
  /** The first ten. */
  readonly failures: readonly AioquicExchange[];
}

/** One connection's end result. */
export interface AioquicConnection {
  readonly connected: boolean;
  /** The handshake went by a ticket. */
  readonly resumed: boolean;
  /** The server has taken early data. */
  readonly early_taken: boolean;
  /** The server has asked for another try with a token (Retry). */
  readonly retried: boolean;
  /** Connection ids that the server has given out, hexadecimal, the Retry's too. */
  readonly server_ids: readonly string[];
  /** Session tickets that came. */
  readonly tickets: number;
  readonly alpn: string | null;
  /** Of the server's certificate: the kind of its key; null without one, as when it was resumed. */
  readonly certificate_key: "ec" | "rsa" | "other" | null;
  readonly version: number;
  /** From the server's Version Negotiation packet; null when there was none. */
  readonly offered_versions: readonly number[] | null;
  /** The server's SETTINGS: identifier (decimal) to value. */
  readonly settings: Readonly<Record<string, number>> | null;
  /** Stream ids of the GOAWAY frames, in order. */
  readonly goaways: readonly number[];
  /** Null: open until the plan was over. `client`: aioquic found a protocol error, or a `close` step. `reset`: a stateless one. */
  readonly closed: {
    readonly by: "peer" | "client" | "timeout" | "vanished" | "reset";
    /** Null: there was no frame that said one. */
    readonly code: number | null;
    readonly application: boolean;
    readonly reason: string;
  } | null;
  readonly exchanges: readonly AioquicExchange[];
  readonly bulks: readonly AioquicBulk[];
  /** UDP ports it has sent from. */
  readonly local_ports: readonly number[];
  /** PATH_CHALLENGE frames of the server. */
  readonly path_challenges: number;
}

/** The interpreter that has aioquic, or null: `scripts/ok.ts` names it in SPOOKY_TEST_PYTHON. */
export const aioquicPython: string | null = process.env["SPOOKY_TEST_PYTHON"] || null;

/** Why a test is skipped without it. */
export const AIOQUIC_MISSING = "aioquic: SPOOKY_TEST_PYTHON names no Python that has it (./scripts/test sets it up)";

/** A run under way. */
export interface AioquicRun {
  readonly process: RunningProcess;
  /** Waits for an event line, of connection 0 unless told otherwise: `connected`, `head`, `goaway`, `closed`, `said`. */
  event(name: string, details?: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>;
  /** Lets a `cue` step go on. */
  cue(): void;
  /** Waits for the end of the plan. Rejects with the client's output when it fails. */
  readonly connections: Promise<readonly AioquicConnection[]>;
}

/** Starts a plan; in another network if one is given. */
export function startAioquic(plan: AioquicPlan, place?: NetworkPlace): AioquicRun {
  const command = [must(aioquicPython, AIOQUIC_MISSING), CLIENT];
  const child = startProcess({
    command: place?.command(command) ?? command,
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    input: `${JSON.stringify(plan)}\n`,
  });
  const connections = finish(child);
  // Whoever awaits it sees the failure; a test that failed before need not.
  connections.catch(() => undefined);
  return {
    process: child,
    event: async (name, details = {}) => {
      const wanted = { event: name, connection: 0, ...details };
      const line = await child.waitForLine((text) => holds(text, wanted));
      return JSON.parse(line);
    },
    cue: () => child.write("cue\n"),
    connections,
  };
}

/** Plays a plan to its end. */
export function runAioquic(plan: AioquicPlan, place?: NetworkPlace): Promise<readonly AioquicConnection[]> {
  return startAioquic(plan, place).connections;
}

/** Plays a plan on one connection. */
export async function runAioquicOnce(plan: AioquicPlan, place?: NetworkPlace): Promise<AioquicConnection> {
  const connections = await runAioquic({ ...plan, connections: 1 }, place);
  return must(connections[0], "a plan for one connection gives one result");
}

/** The exchange of that name. */
export function exchangeOf(connection: AioquicConnection, id: string): AioquicExchange {
  return must(
    connection.exchanges.find((exchange) => exchange.id === id),
    `there is an exchange ${id}`,
  );
}

/** The body of an exchange read as UTF-8. */
export function textOf(exchange: AioquicExchange | undefined): string {
  return Buffer.from(must(exchange?.body, "the exchange has a short body"), "latin1").toString();
}

async function finish(child: RunningProcess): Promise<readonly AioquicConnection[]> {
  const end = await child.ended;
  const line = child.stdout.find((text) => text.startsWith('{"result"'));
  if (end.code !== 0 || line === undefined) {
    throw new AssertionFault(`aioquic ended with ${JSON.stringify(end)}:\n${child.output()}`);
  }
  return JSON.parse(line).result.connections;
}

function holds(line: string, wanted: Readonly<Record<string, unknown>>): boolean {
  if (!line.startsWith('{"event"')) return false;
  const event: Record<string, unknown> = JSON.parse(line);
  return Object.entries(wanted).every(([name, value]) => event[name] === value);
}

const CLIENT = join(import.meta.dir, "aioquic_client.py");
