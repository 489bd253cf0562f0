/** What a case of the contract is, and what it is given. */
import { expect } from "bun:test";
import type { BackendTransport, TimeoutSettings } from "../../src/config/snapshot.ts";
import type { TransportAbilities, UpstreamCall } from "../../src/proxy/ports.ts";
import type { BackendCounts } from "../support/backend-state.ts";
import { waitUntil } from "../support/net.ts";
import { PatternCheck } from "../support/pattern.ts";
import type { RealServer, RealServerKind, ServerAbilities } from "../support/real-server.ts";
import type { TransportBench } from "../support/transport-bench.ts";
import { begin, requestTo, type Outcome, type RequestParts } from "../support/upstream-calls.ts";

/** Where a case runs. */
export interface ContractPlace {
  readonly transport: BackendTransport;
  readonly version: 1 | 2;
  readonly kind: RealServerKind;
}

/** One thing that a transport does. */
export interface ContractCase {
  readonly name: string;
  /** What the transport and the server must be able to do. */
  readonly transport?: keyof TransportAbilities;
  readonly server?: readonly (keyof ServerAbilities)[];
  /** Only where requests share a connection, or do not. */
  readonly version?: 1 | 2;
  /** Why it cannot hold at a place, where that is no matter of abilities. */
  readonly gap?: (place: ContractPlace) => string | null;
  readonly timeouts?: Partial<TimeoutSettings>;
  readonly run: (bench: ContractBench) => Promise<void>;
}

/** A transport and a server, and ways to use them. */
export class ContractBench {
  readonly transport: BackendTransport;
  readonly server: RealServer;
  readonly bench: TransportBench;
  /** What the server had seen before. */
  readonly before: Readonly<BackendCounts>;

  constructor(transport: BackendTransport, server: RealServer, bench: TransportBench, before: BackendCounts) {
    this.transport = transport;
    this.server = server;
    this.bench = bench;
    this.before = before;
  }

  /** Starts a request. */
  begin(path: string, parts: RequestParts = {}): { outcome: Outcome; call: UpstreamCall } {
    return begin(this.bench.upstream, requestTo(this.bench.pool, { path, ...parts }));
  }

  /** Does a request from its start to its end. */
  ask(path: string, parts: RequestParts = {}): Promise<Outcome> {
    return this.begin(path, parts).outcome.over;
  }

  /** Does a request that must go well. */
  async good(path: string, parts: RequestParts = {}): Promise<Outcome> {
    const outcome = await this.ask(path, parts);
    expectWhole(outcome);
    return outcome;
  }

  /** The next request goes well. */
  async next(): Promise<void> {
    expect((await this.good("/small")).lengthBytes).toBe(SMALL_BYTES);
  }

  /** The same after a connection has failed, on which fetch (Bun 1.4.5) may still send a request over HTTP/2 and lose it. */
  async nextAfterFault(): Promise<void> {
    const outcome = await this.ask("/small");
    if (this.transport === "fetch" && outcome.failure !== null) expect(outcome.failure.code).toBe("UPSTREAM_RESET");
    else expectWhole(outcome);
    await this.next();
  }

  /** Lets time pass in steps in which the other side can answer what is asked of it, such as a PING. */
  async passes(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
      this.bench.timers.advance(Math.min(STEP_MS, ms - passedMs));
      await this.good("/status/204");
    }
  }

  /** What the server has seen since. */
  async seen(): Promise<BackendCounts> {
    const now = { ...(await this.server.counts()) };
    for (const name of COUNTED) now[name] -= this.before[name];
    return now;
  }

  /** Waits until the server has seen this. */
  sees(holds: (seen: BackendCounts) => boolean): Promise<void> {
    return waitUntil(async () => holds(await this.seen()));
  }
}

const SMALL_BYTES = 512;
const STEP_MS = 1000;
const COUNTED = ["requests", "completed", "aborted", "bytesRead", "bytesSent", "connections", "active"] as const;

/** The exchange is over and went well. */
export function expectWhole(outcome: Outcome): void {
  expect(outcome.failure).toBeNull();
  expect([outcome.ended, outcome.late]).toEqual([true, 0]);
}

/** The call was cancelled: nobody was told of an end. */
export function expectSilence(outcome: Outcome): void {
  expect([outcome.ended, outcome.failure, outcome.late]).toEqual([false, null, 0]);
}

/** The body is what the seed makes of this length. */
export function expectPattern(outcome: Outcome, seed: string, lengthBytes: number): void {
  const check = new PatternCheck(seed);
  for (const piece of outcome.pieces) check.add(piece);
  expect([check.length, check.wrongAt]).toEqual([lengthBytes, -1]);
}
