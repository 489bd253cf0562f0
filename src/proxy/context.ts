/** What exchanges share: the configuration at work, the services of the process, and who the client is. */
import type { Counters } from "../core/counters.ts";
import type { InFlight } from "../core/in-flight.ts";
import type { FieldSection } from "../core/fields.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { Random } from "../core/random.ts";
import type { RequestIds } from "../core/request-id.ts";
import type { BufferAccount } from "../guard/buffer-account.ts";
import type { RequestHead } from "../h3/head.ts";
import type { RouteTable } from "../route/table.ts";
import type { AskedHosts } from "./authorities.ts";
import type { Bounded, RequestDeadlines } from "./deadlines.ts";
import type { EarlyRequests } from "./early-requests.ts";
import type { Pool } from "./pool.ts";
import type { Provenance } from "./provenance.ts";
import type { Clock, Recorder, Upstream } from "./ports.ts";
import type { UpstreamFailure } from "./upstream-failure.ts";

/** One configuration at work. An exchange keeps the generation it began with. */
export interface Generation {
  readonly routes: RouteTable;
  /** By the indexes that `routes` gives. */
  readonly pools: readonly Pool[];
  /** The bound on whole requests; null: there is none. */
  readonly deadlines: RequestDeadlines | null;
  /** An exchange of it begins, whose head has these fields. */
  begin(exchange: Bounded, fields: FieldSection): void;
  /** It is over: once for each that has begun. */
  end(exchange: Bounded): void;
  /** The transport for a request to a backend. `hasBody`: more follows the head. */
  upstreamOf(poolIndex: number, backendIndex: number, head: RequestHead, hasBody: boolean): Upstream;
  /** An attempt at a backend failed: evidence for its health, and for what it speaks. */
  onFailure(poolIndex: number, backendIndex: number, failure: UpstreamFailure): void;
}

/** What exchanges need beside their generation. */
export interface Services {
  readonly counters: Counters;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly requestIds: RequestIds;
  /** Requests under way in the process. */
  readonly inFlight: InFlight;
  /** For the ids of traces. */
  readonly random: Random;
  /** Scratch for heads: used and handed over within one call, never kept. */
  readonly writer: FieldWriter;
}

/** Who is at the other end of a connection. */
export interface Client {
  /** Text of the address at the start of the connection: what is hashed and logged, whatever a proxy in front says. */
  readonly ip: string;
  readonly provenance: Provenance;
  /** What may be asked for on its connection; null: anything. */
  readonly asked: AskedHosts | null;
  readonly port: number;
  /** Where its connection came in, `ip:port`; "" or left out where there is one place only. */
  readonly listener?: string;
  /** Stays the same while the connection lives. */
  readonly connectionIdHex: string;
  /** What waits for it, and for all clients: `buffers.full` says whether it may have further requests. */
  readonly buffers: BufferAccount;
  /** Its requests before its handshake was done; null where it sent none then. */
  readonly early: EarlyRequests | null;
}
