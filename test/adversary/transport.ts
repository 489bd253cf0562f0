/** The client that breaks transport rules (`transport.py`): a plan goes in, what the server sent comes back. */
import { join } from "node:path";
import { AssertionFault, must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { startProcess } from "../support/process.ts";

/** What a connection does, in this order. Each waits for its end; a server that closes ends every wait. */
export type TransportStep =
  /** To the end, confirmed by the server. */
  | { readonly do: "handshake" }
  /** Until packets of type Handshake could be sent. */
  | { readonly do: "handshake_keys" }
  /** The first flight by hand: `order` holds numbers of its datagrams, and negative ones are milliseconds to wait. */
  | { readonly do: "hello"; readonly order?: readonly number[] }
  /** One packet with these frames (hexadecimal, nothing is added) and these two reserved bits; default 1-RTT. */
  | {
      readonly do: "packet";
      readonly epoch?: "initial" | "handshake" | "1rtt";
      readonly frames?: string;
      readonly reserved?: number;
    }
  /** Until a Retry has come. */
  | { readonly do: "retry" }
  /** A bit of its token is changed. */
  | { readonly do: "spoil_token"; readonly at: number }
  /** On from another port, and from another address if one is given. */
  | { readonly do: "move"; readonly host?: string }
  /** On to the server on another port, from the same one. */
  | { readonly do: "turn"; readonly port: number }
  /** Short packets that nobody can read, of these sizes, to the id in use, until so many answers have come. */
  | { readonly do: "strays"; readonly sizes: readonly number[]; readonly answers: number; readonly after_ms?: number }
  | { readonly do: "closed" | "key_update" | "ticket" | "leave" }
  | { readonly do: "get"; readonly path: string };

/** A run. Numbers of transport parameters are hexadecimal, and so are their values. */
export interface TransportPlan {
  readonly port: number;
  readonly alpn?: readonly string[];
  readonly cipher?: "aes128" | "chacha20";
  /** A ClientHello that does not fit into one datagram. */
  readonly large_hello?: boolean;
  /** Length of the client's first destination id; default 8. */
  readonly id_bytes?: number;
  readonly parameters?: {
    /** The whole extension is left out. */
    readonly none?: boolean;
    readonly drop?: readonly string[];
    readonly set?: Readonly<Record<string, string>>;
    readonly add?: readonly (readonly [number: string, value: string])[];
  };
  /** A first connection gets a ticket, and the steps are played on a second one that uses it. */
  readonly resume?: boolean;
  /** Of the first Initial, hexadecimal. */
  readonly token?: string;
  readonly steps: readonly TransportStep[];
}

/** What came of it. */
export interface TransportResult {
  readonly connected: boolean;
  readonly resumed: boolean;
  readonly cipher: string | null;
  readonly key_phase: number;
  /** Of the responses, in the order of their streams. */
  readonly statuses: readonly number[];
  /** Source ids in the server's Initial and Handshake packets. */
  readonly server_ids: readonly string[];
  /** Datagrams of a first flight that was sent by hand. */
  readonly flight: number;
  /** Retries that the client took. */
  readonly retries: number;
  /** Lengths of the answers to `strays`; negative ones are no resets with the token that the client was told. */
  readonly resets: readonly number[];
  /** The server's CONNECTION_CLOSE. */
  readonly closed: { readonly code: number; readonly application: boolean; readonly reason: string } | null;
}

/** Plays a plan to its end. */
export async function runTransport(plan: TransportPlan): Promise<TransportResult> {
  const [result] = await runTransports([plan]);
  return must(result, "a plan has a result");
}

/** Plays plans, one after the other in one process. */
export async function runTransports(plans: readonly TransportPlan[]): Promise<readonly TransportResult[]> {
  const lines = await play(plans);
  return lines.map((line) => {
    const { result }: { result: TransportResult } = JSON.parse(line);
    return result;
  });
}

/** A client's first flight, valid and unsent. `size`: all of the ClientHello in one Initial of so many bytes, however few they are. */
export async function firstFlight(
  plan: Pick<TransportPlan, "port" | "large_hello" | "id_bytes"> & { readonly size?: number },
): Promise<readonly Uint8Array[]> {
  const [line] = await play([{ ...plan, only_hello: true }]);
  const { result }: { result: { hello: string[] } } = JSON.parse(must(line, "a plan has a result"));
  return result.hello.map((text) => Uint8Array.from(Buffer.from(text, "hex")));
}

/** A line for each plan. */
async function play(plans: readonly object[]): Promise<readonly string[]> {
  const python = must(aioquicPython, AIOQUIC_MISSING);
  const child = startProcess({
    command: [python, CLIENT],
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    input: `${JSON.stringify(plans)}\n`,
  });
  const end = await child.ended;
  const lines = child.stdout.filter((text) => text.startsWith('{"result"'));
  if (end.code !== 0 || lines.length !== plans.length) {
    throw new AssertionFault(`transport.py ended with ${JSON.stringify(end)}:\n${child.output()}`);
  }
  return lines;
}

const CLIENT = join(import.meta.dir, "transport.py");
