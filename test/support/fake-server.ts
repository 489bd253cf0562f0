/** An endpoint over the fake engine, stepped by hand on a clock that stands still, and the datagrams that reach it. */
import { tokenCipher } from "../../src/control/ciphers.ts";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { Random } from "../../src/core/random.ts";
import type { AdmissionBounds } from "../../src/guard/admission.ts";
import type { ReplayGuard } from "../../src/guard/replay-guard.ts";
import type { Connection } from "../../src/quic/connection.ts";
import type { SessionDriver } from "../../src/quic/connection-host.ts";
import { type FillRandom, IdCodec, type OwnIds } from "../../src/quic/cid.ts";
import { EarlyData } from "../../src/quic/early-data.ts";
import { Endpoint } from "../../src/quic/endpoint.ts";
import { EndpointShare } from "../../src/quic/endpoint-share.ts";
import type { CloseReason, EngineSession } from "../../src/quic/engine.ts";
import { TokenSealer } from "../../src/quic/token.ts";
import { FakeConnection, FakeEngine } from "./fake-engine.ts";
import type { FakeSocket } from "./fake-socket.ts";

/** What may differ. */
export interface FakeServerOptions {
  readonly connectionsMax?: number;
  readonly admission?: Partial<AdmissionBounds>;
  readonly handshakeMs?: number;
  /** By default all are told at once. */
  readonly goawaySpreadMs?: number;
  readonly burstBytes?: number;
  /** Early data is taken. */
  readonly replayGuard?: ReplayGuard;
  /** Makes the sessions; by default one that does nothing. */
  readonly makeDriver?: (connection: Connection, session: EngineSession, endpoint: Endpoint) => SessionDriver;
  /** Ids that were made by keys before. */
  readonly olderIds?: readonly OwnIds[];
  /** With other endpoints; by default it is alone. */
  readonly share?: EndpointShare;
  /** Called when the endpoint wants a turn; by default it is only counted. */
  readonly requestTurn?: () => void;
}

/** Bounds that no test reaches unless it sets its own. */
const ADMISSION: AdmissionBounds = {
  ...{ connectionsMax: 10, connectionsPerAddressMax: Infinity, handshakesMax: 1000, retryFromHandshakes: Infinity },
  ...{ newConnectionsPerSecond: 1_000_000, newConnectionsBurst: 1_000_000 },
};

const ID_KEY = { slot: 5, checkByte: 0x3c, mask: 0x0bad_cafe };

/** A session that does what the test says. */
export class FakeDriver implements SessionDriver {
  awaitsAnswer = false;
  unfinished = 0;
  processed = 0;
  /** Each `leave`, by its time. */
  readonly leaves: number[] = [];
  abandoned = 0;
  deadlineMs = Infinity;
  /** Each `onTime`, by its time. */
  readonly times: number[] = [];
  onProcess: () => void = () => undefined;
  /** What it does when its time has come; by default it waits for nothing more. */
  whenTime: (nowMs: number) => void = () => void (this.deadlineMs = Infinity);

  process(): void {
    this.processed += 1;
    this.onProcess();
  }

  onTime(nowMs: number): void {
    this.times.push(nowMs);
    this.whenTime(nowMs);
  }

  leave(atMs: number): void {
    this.leaves.push(atMs);
    this.deadlineMs = Math.min(this.deadlineMs, atMs);
  }

  abandon(): void {
    this.abandoned += 1;
  }
}

function seeded(): FillRandom {
  const random = Random.fromEntropy([7]);
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.nextBelow(256);
  };
}

function makeIds(fillRandom: FillRandom): OwnIds {
  return { scheme: new IdCodec(ID_KEY, fillRandom), resetTokenOf: (id) => id.slice(0, 16) };
}

/** What several of these servers have together; `counters` are of who is let in. */
export function makeShare(counters: Counters, bounds: Partial<AdmissionBounds> = {}): EndpointShare {
  const parts = { admission: { ...ADMISSION, ...bounds }, counters, ids: [makeIds(seeded())] } as const;
  return new EndpointShare(parts, 1000);
}

/** The server side, by hand. */
export class FakeServer {
  readonly counters = new Counters();
  readonly engine = new FakeEngine();
  readonly endpoint: Endpoint;
  readonly drivers: FakeDriver[] = [];
  readonly closed: (CloseReason | null)[] = [];
  turnsRequested = 0;
  nowMs = 1000;
  /** The clock that tokens are made by. */
  epochMs = 1_800_000_000_000;
  /** For tokens of Retries. */
  readonly tokens = new TokenSealer({
    keys: [
      { id: 1, retry: tokenCipher(new Uint8Array(32).fill(1)), newToken: tokenCipher(new Uint8Array(32).fill(2)) },
    ],
    fillRandom: (bytes) => void bytes.fill(0x5a),
    ...{ retryLifetimeMs: LIMITS.retryTokenMsMax, newTokenLifetimeMs: 86_400_000 },
  });

  constructor(options: FakeServerOptions = {}) {
    const fillRandom = seeded();
    this.endpoint = new Endpoint(
      {
        ...(options.share === undefined ? {} : { share: options.share }),
        engine: this.engine,
        counters: this.counters,
        ids: [makeIds(fillRandom), ...(options.olderIds ?? [])],
        fillRandom,
        admission: { ...ADMISSION, connectionsMax: options.connectionsMax ?? 10, ...options.admission },
        handshakeMs: options.handshakeMs ?? 10_000,
        goawaySpreadMs: options.goawaySpreadMs ?? 0,
        burstBytes: options.burstBytes ?? 0,
        tokens: this.tokens,
        epochMs: () => this.epochMs,
        earlyData: options.replayGuard === undefined ? null : new EarlyData(options.replayGuard, this.counters),
        onOpen: (connection, session) => this.#makeDriver(options, connection, session),
        onClosed: (connection, reason) => {
          // Whoever is told may still ask the engine; the fake throws when it was freed before.
          connection.engine.isDraining();
          this.closed.push(reason);
        },
        requestTurn: () => {
          this.turnsRequested += 1;
          options.requestTurn?.();
        },
      },
      this.nowMs,
    );
  }

  get socket(): FakeSocket {
    return this.engine.socket;
  }

  /** Lets time pass, then one turn. True: the kernel took everything. */
  turn(passedMs: number = 0): boolean {
    this.nowMs += passedMs;
    this.endpoint.receive(this.nowMs);
    return this.endpoint.flush();
  }

  /** A client's first datagram, taken in one turn. `seed` tells clients apart. */
  accept(seed: number = 1): { connection: Connection; engine: FakeConnection } {
    this.socket.arrive(initial(seed));
    this.turn();
    const engine = must(this.engine.connections.at(-1), "the Initial made a connection");
    const connection = must(
      [...this.endpoint.connections].find((known) => known.engine === engine),
      "the endpoint knows the connection",
    );
    return { connection, engine };
  }

  /** A client with its handshake done and its session open. */
  connect(seed: number = 1): { connection: Connection; engine: FakeConnection } {
    const accepted = this.accept(seed);
    accepted.engine.established = true;
    this.socket.arrive(short(accepted.engine.scid));
    this.turn();
    return accepted;
  }

  /** The driver of the connection made last. */
  get driver(): FakeDriver {
    return must(this.drivers.at(-1), "a session was opened");
  }

  #makeDriver(options: FakeServerOptions, connection: Connection, session: EngineSession): SessionDriver {
    if (options.makeDriver !== undefined) return options.makeDriver(connection, session, this.endpoint);
    const driver = new FakeDriver();
    this.drivers.push(driver);
    return driver;
  }
}

/** A long header's first bytes: type Initial unless `first` says otherwise, version 1 unless told otherwise. */
export function longHeader(
  parts: { first?: number; version?: number; dcid?: Uint8Array; scid?: Uint8Array; size?: number } = {},
): Uint8Array {
  const { first = 0xc0, version = 1, dcid = new Uint8Array(8).fill(1), scid = new Uint8Array(0), size = 1200 } = parts;
  const head = Uint8Array.from([
    first,
    ...[24, 16, 8, 0].map((shift) => (version >>> shift) & 0xff),
    dcid.length,
    ...dcid,
    scid.length,
    ...scid,
  ]);
  const datagram = new Uint8Array(Math.max(size, head.length));
  datagram.set(head);
  return datagram.subarray(0, size);
}

/** A client's first Initial, full size; `seed` is its id's value. */
export function initial(seed: number): Uint8Array {
  return longHeader({ dcid: clientId(seed) });
}

/** The id a client of this seed chooses. */
export function clientId(seed: number): Uint8Array {
  return Uint8Array.from({ length: 8 }, (_, i) => (seed >>> (8 * (i & 3))) & 0xff);
}

/** A short-header packet to an id. */
export function short(id: Uint8Array, size: number = 40): Uint8Array {
  const datagram = new Uint8Array(Math.max(size, 1 + id.length)).fill(0x77);
  datagram[0] = 0x40;
  datagram.set(id, 1);
  return datagram;
}
