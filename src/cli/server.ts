/** A running proxy: composes every part for one snapshot, and takes them down again in order. */
import { randomBytes } from "node:crypto";
import type { BackendSettings, Snapshot } from "../config/snapshot.ts";
import { Backends } from "../control/backends.ts";
import { loadClientAuth, loadIdentities, type ServerIdentity } from "../control/certificates.ts";
import { Departures } from "../control/departures.ts";
import { type GenerationParts, LiveGeneration } from "../control/generation.ts";
import { HealthMonitor } from "../control/health.ts";
import { Listener, type Seat } from "../control/listener.ts";
import { claimNode, type NodeClaim } from "../control/node-claim.ts";
import { makeNodeKeys, startSecrets } from "../control/node-keys.ts";
import { addBackendGauges, addGauges } from "../control/worker-gauges.ts";
import { Counters } from "../core/counters.ts";
import { must } from "../core/assert.ts";
import { InFlight } from "../core/in-flight.ts";
import { LIMITS } from "../core/limits.ts";
import { Random } from "../core/random.ts";
import { H3_CODE } from "../h3/codes.ts";
import type { LogFields } from "../observe/line.ts";
import type { Log } from "../observe/log.ts";
import { RequestCounts } from "../observe/metrics/request-counts.ts";
import { GAUGES } from "../observe/metrics/scene-table.ts";
import type { Services } from "../proxy/context.ts";
import { ConnectionHandler } from "../proxy/handler.ts";
import type { Connection } from "../quic/connection.ts";
import type { CloseReason } from "../quic/engine.ts";
import { type RuntimeFetch, runtimeFetch } from "../runtime/fetch-options.ts";
import { watchLoopDelay } from "../runtime/loop-delay.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { systemTimers, type TimerHandle } from "../runtime/timers.ts";
import type { ClearProtocol } from "../upstream/native/protocol-inquiry.ts";
import { Transports } from "../upstream/transports.ts";
import { readTrust, trustDigest } from "../upstream/trust.ts";
import type { Library } from "../../ffi/library.ts";
import { formatAddress } from "../../ffi/sockaddr.ts";
import type { BoundSocket } from "../../ffi/udp-open.ts";
import { accessRecorder, clientOf, makeServices } from "./services.ts";
import { warningsOf } from "./warnings.ts";

/** What a server stands on. */
export interface ServerParts {
  readonly runtime: Runtime;
  readonly library: Library;
  readonly log: Log;
  readonly counters: Counters;
  /** Its place among the workers of a supervisor; null: the only process, which says itself what it serves. */
  readonly seat?: Seat | null;
}

/** What an end breaks off. */
export interface Unfinished {
  readonly connections: number;
  readonly requests: number;
}

const ENTROPY_BYTES = 16;

/** Listens, serves, drains, stops. */
export class Server {
  readonly counters: Counters;
  readonly requestCounts: RequestCounts;
  readonly #parts: ServerParts;
  readonly #listener: Listener;
  readonly #health: HealthMonitor;
  readonly #backends: Backends;
  readonly #sweeping: TimerHandle;
  readonly #departures: Departures;
  readonly #generations: GenerationParts;
  readonly #services: Services;
  readonly #loopDelay: TimerHandle;
  /** What new requests belong to. */
  #generation: LiveGeneration;
  /** Those before it whose last requests are still under way. */
  readonly #former = new Set<LiveGeneration>();
  #earlyMethods: ReadonlySet<string>;
  /** Of the only process; else the supervisor has it. */
  #claim: NodeClaim | null = null;
  #phase: "made" | "serving" | "leaving" = "made";

  /** Binds the address. Throws `ProxyError` with nothing left open. */
  constructor(snapshot: Snapshot, parts: ServerParts) {
    this.counters = parts.counters;
    this.#parts = parts;
    const seat = parts.seat ?? loneSeat(snapshot);
    const identities = loadIdentities(snapshot.listen);
    const random = freshRandom();
    const { counters, log } = parts;
    this.#health = new HealthMonitor({ timers: systemTimers, random, log, counters });
    this.#backends = makeBackends(parts);
    const { backends, health } = { backends: this.#backends, health: this.#health };
    this.#generations = { backends, health, timers: systemTimers, random, counters };
    this.#generation = new LiveGeneration(snapshot, this.#generations);
    this.#generation.enter();
    this.#sweeping = systemTimers.every(LIMITS.requestSweepMsMax, () => this.#sweep());
    this.requestCounts = new RequestCounts(counters, accessRecorder(log, snapshot.log.access, counters));
    this.#services = makeServices(counters, random, this.requestCounts, new InFlight(snapshot.requests.inFlightMax));
    this.#loopDelay = watchLoopDelay(systemTimers, counters.loopDelayMs);
    this.#earlyMethods = new Set(snapshot.earlyData.methods);
    this.#listener = this.#listen(snapshot, seat, identities);
    if (seat !== parts.seat) this.#claimNode(seat);
    this.#departures = new Departures(this.#listener, systemTimers);
  }

  /** `ip:port` that it listens on, and the port alone. */
  get address(): string {
    return this.#listener.socket.localText;
  }

  get port(): number {
    return this.#listener.socket.localPort;
  }

  /** Connections alive, closing ones included. */
  get connectionCount(): number {
    return this.#listener.endpoint.connectionCount;
  }

  /** It takes requests, if only to finish what it has. */
  get isServing(): boolean {
    return this.#phase !== "made";
  }

  /** It has been told to finish what it has. */
  get isLeaving(): boolean {
    return this.#phase === "leaving";
  }

  /** Pools that are needed and have no healthy backend. */
  get unusablePools(): readonly string[] {
    const down = this.#generation.pools.filter(
      ({ settings, availability }) => settings.required && availability.isDown(),
    );
    return down.map(({ settings }) => settings.name);
  }

  /** How things are now, by names with labels; zeros are left out. */
  gauges(): ReadonlyMap<string, number> {
    const gauges = new Map<string, number>();
    addBackendGauges(gauges, this.#generation.pools);
    addGauges(gauges, {
      [GAUGES.handshakes]: this.#listener.endpoint.handshakeCount,
      [GAUGES.requests]: this.#services.inFlight.count,
      [GAUGES.bufferBytes]: this.#listener.buffers.bytes,
      [GAUGES.upstreamConnections]: this.#backends.connectionCount,
    });
    return gauges;
  }

  /** Begins to serve. */
  async start(): Promise<void> {
    const { runtime, library, log, seat } = this.#parts;
    await this.#listener.start(runtime, library);
    this.#health.start();
    this.#phase = "serving";
    if (seat === undefined || seat === null) tellListening(log, this.#generation.snapshot, this.#listener.socket.bound);
  }

  /** GOAWAY, no new connections; resolves when the last one has ended or the drain time is over. */
  drain(): Promise<void> {
    return this.#leave("draining", 0, () => this.#listener.drain());
  }

  /**
   * GOAWAY, since others take the new connections; whoever still comes is served. Resolves as `drain` does, which may follow, and not before
   * whatever was sent here has had time to come.
   */
  retire(): Promise<void> {
    return this.#leave("retiring", LIMITS.retireMsMin, () => this.#listener.retire());
  }

  /** Ends everything now and says what that has broken off. Idempotent. */
  close(): Unfinished {
    const unfinished = this.#listener.unfinished();
    if (unfinished.requests > 0) {
      this.counters.connectionsCutOff += unfinished.connections;
      this.counters.requestsCutOff += unfinished.requests;
      this.#parts.log.warn("requests under way are broken off", { ...unfinished });
    }
    this.#health.stop();
    this.#sweeping.stop();
    this.#loopDelay.stop();
    this.#listener.close(H3_CODE.noError);
    for (const generation of [...this.#former, this.#generation]) generation.free();
    this.#backends.close();
    this.#claim?.release();
    return unfinished;
  }

  async #leave(what: string, leastMs: number, begin: () => void): Promise<void> {
    this.#parts.log.info(what, { connections: this.#listener.connectionCount });
    this.#phase = "leaving";
    begin();
    await this.#departures.wait(leastMs, this.#generation.snapshot.timeouts.drainMs);
  }

  /** Throws `NODE_IN_USE` with nothing left open. */
  #claimNode({ keys }: Seat): void {
    try {
      this.#claim = claimNode(this.#parts.library, keys);
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  #listen(snapshot: Snapshot, seat: Seat, identities: readonly ServerIdentity[]): Listener {
    const { runtime, library, counters } = this.#parts;
    const generationNow = (): LiveGeneration => this.#generation;
    try {
      return new Listener({
        ...{ seat, runtime, library, counters, identities },
        listen: snapshot.listen,
        connections: snapshot.connections,
        requests: snapshot.requests,
        timeouts: snapshot.timeouts,
        earlyData: snapshot.earlyData,
        debug: snapshot.debug,
        clientAuth: loadClientAuth(snapshot.listen),
        handlerOf: (connection, buffers, introduction) => {
          const client = clientOf(connection, buffers, introduction, this.#earlyMethods, counters);
          return new ConnectionHandler(this.#services, client, generationNow);
        },
        onClosed: (connection, reason) => this.#onClosed(connection, reason),
      });
    } catch (thrown) {
      this.#sweeping.stop();
      this.#loopDelay.stop();
      this.#backends.close();
      throw thrown;
    }
  }

  /** Requests whose time is over. */
  #sweep(): void {
    const nowMs = systemTimers.nowMs();
    this.#generation.deadlines?.sweep(nowMs);
    for (const { deadlines } of this.#former) deadlines?.sweep(nowMs);
  }

  #onClosed(connection: Connection, reason: CloseReason | null): void {
    const { log } = this.#parts;
    if (log.enabled("debug")) {
      log.debug("connection closed", {
        client: `${connection.engine.peerIp}:${connection.engine.peerPort}`,
        by: reason?.by ?? "unknown",
        application: reason?.app ?? false,
        code: reason?.code ?? 0,
        reason: reason?.reason ?? "",
      });
    }
    // The endpoint has already let go of the connection.
    this.#departures.check();
  }
}

/** What people want to know of a proxy that serves from now on. */
export function tellListening(log: Log, snapshot: Snapshot, bound: BoundSocket, fields: LogFields = {}): void {
  tellWarnings(log, snapshot);
  log.info("listening", {
    address: formatAddress(bound.local),
    protocol: "http3",
    udp_receive_buffer_wanted_bytes: snapshot.connections.udpReceiveBufferBytes,
    udp_receive_buffer_bytes: bound.receiveBufferBytes,
    udp_send_buffer_wanted_bytes: snapshot.connections.udpSendBufferBytes,
    udp_send_buffer_bytes: bound.sendBufferBytes,
    ...fields,
  });
}

/** What is allowed and yet worth knowing. */
export function tellWarnings(log: Log, snapshot: Snapshot): void {
  for (const { upstream, key, text } of warningsOf(snapshot))
    log.warn(text, upstream === null ? { key } : { upstream, key });
}

/** What is known of backends, which none is yet. */
function makeBackends({ runtime, log, counters }: ServerParts): Backends {
  const onLearned = ({ id, address }: BackendSettings, protocol: ClearProtocol): void =>
    log.info("backend protocol found out", { backend: id, address, protocol: PROTOCOL_NAMES[protocol] });
  return new Backends({
    makeTransports: (times) => makeTransports(times, runtime, counters, onLearned),
    readTrust,
    digestOf: trustDigest,
  });
}

/** The transports of a snapshot. Throws `CONFIG_INVALID` or `CERTIFICATE` for backends that they cannot reach as configured. */
export function makeTransports(
  snapshot: Pick<Snapshot, "pools" | "timeouts">,
  runtime: Runtime,
  counters: Counters,
  onLearned: (backend: BackendSettings, protocol: ClearProtocol) => void = () => undefined,
): Transports {
  const { connectStream: connect } = runtime;
  const shared = { snapshot, connect, timers: systemTimers, random: freshRandom(), counters, onLearned };
  return new Transports({ ...shared, fetch: runtimeFetchHere() });
}

function freshRandom(): Random {
  return Random.fromEntropy(new Uint32Array(Uint8Array.from(randomBytes(ENTROPY_BYTES)).buffer));
}

/** What people call them. */
const PROTOCOL_NAMES: Readonly<Record<ClearProtocol, string>> = { h2c: "HTTP/2", http1: "HTTP/1.1" };

function runtimeFetchHere(): RuntimeFetch {
  return must(runtimeFetch(globalThis), "both runtimes have fetch");
}

/** The seat of the only process: no other one has its secrets, unless they are the cluster's. */
function loneSeat({ cluster }: Snapshot): Seat {
  const keys = makeNodeKeys(startSecrets(cluster), cluster);
  return { slot: 0, keys, socket: null, ticketsAreOlder: cluster.keyFile !== null };
}
