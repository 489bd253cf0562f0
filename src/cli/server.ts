/** A running proxy: composes every part for one snapshot, and takes them down again in order. */
import type { Snapshot } from "../config/snapshot.ts";
import type { Backends } from "../control/backends.ts";
import { Departures } from "../control/departures.ts";
import { type GenerationParts, LiveGeneration } from "../control/generation.ts";
import { HealthMonitor } from "../control/health.ts";
import type { Seat } from "../control/listener.ts";
import { type ListenerFace, Listeners } from "../control/listeners.ts";
import { claimNode, type NodeClaim } from "../control/node-claim.ts";
import { makeNodeKeys, type NodeSecretLists, rotateSecrets, rotationMs, startSecrets } from "../control/node-keys.ts";
import { SecretRotation } from "../control/secret-rotation.ts";
import { addBackendGauges, addGauges } from "../control/worker-gauges.ts";
import { Counters } from "../core/counters.ts";
import { must } from "../core/assert.ts";
import { InFlight } from "../core/in-flight.ts";
import { LIMITS } from "../core/limits.ts";
import { H3_CODE } from "../h3/codes.ts";
import { RequestCounts } from "../observe/metrics/request-counts.ts";
import { GAUGES } from "../observe/metrics/scene-table.ts";
import type { Services } from "../proxy/context.ts";
import { ConnectionHandler } from "../proxy/handler.ts";
import type { Connection } from "../quic/connection.ts";
import type { CloseReason } from "../quic/engine.ts";
import { watchLoopDelay } from "../runtime/loop-delay.ts";
import { systemTimers, type TimerHandle } from "../runtime/timers.ts";
import { freshRandom, loadFaces, loneSeat, makeBackends, type ServerParts, tellServing } from "./server-parts.ts";
import { accessRecorder, clientOf, makeServices } from "./services.ts";

/** A configuration that is ready and not at work: exactly one of these is called, once. */
export interface Prepared {
  commit(): void;
  abandon(): void;
}

/** What an end breaks off. */
export interface Unfinished {
  readonly connections: number;
  readonly requests: number;
}

/** Listens, serves, drains, stops. */
export class Server {
  readonly counters: Counters;
  readonly requestCounts: RequestCounts;
  readonly #parts: ServerParts;
  readonly #listeners: Listeners;
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
  /** As the claim. */
  #rotation: SecretRotation | null = null;
  #phase: "made" | "serving" | "leaving" = "made";

  /** Binds the addresses. Throws `ProxyError` with nothing left open. */
  constructor(snapshot: Snapshot, parts: ServerParts) {
    this.counters = parts.counters;
    this.#parts = parts;
    const secrets = (parts.seat ?? null) === null ? startSecrets(snapshot.cluster) : null;
    const seat = parts.seat ?? loneSeat(snapshot, must(secrets, "whoever has no seat has its own secrets"));
    const faces = loadFaces(snapshot, parts.held);
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
    this.#listeners = this.#listen(snapshot, seat, faces);
    if (seat !== parts.seat) this.#claimNode(seat);
    this.#departures = new Departures(this.#listeners, systemTimers);
    if (secrets !== null) this.#rotation = this.#rotate(secrets);
  }

  /** `ip:port` of each listener, in their order. */
  get addresses(): readonly string[] {
    return this.#listeners.all.map(({ socket }) => socket.localText);
  }

  /** That of the first one. */
  get port(): number {
    return this.#listeners.all[0].socket.localPort;
  }

  /** The configuration at work. */
  get snapshot(): Snapshot {
    return this.#generation.snapshot;
  }

  /** Connections alive, closing ones included. */
  get connectionCount(): number {
    return this.#listeners.connectionCount;
  }

  /** It takes requests, if only to finish what it has. */
  get isServing(): boolean {
    return this.#phase !== "made";
  }

  /** It has been told to finish what it has. */
  get isLeaving(): boolean {
    return this.#phase === "leaving";
  }

  /** How things are now, by names with labels; zeros are left out. */
  gauges(): ReadonlyMap<string, number> {
    const gauges = new Map<string, number>();
    addBackendGauges(gauges, this.#generation.pools);
    addGauges(gauges, {
      [GAUGES.handshakes]: this.#listeners.handshakeCount,
      [GAUGES.requests]: this.#services.inFlight.count,
      [GAUGES.bufferBytes]: this.#listeners.buffers.bytes,
      [GAUGES.upstreamConnections]: this.#backends.connectionCount,
    });
    return gauges;
  }

  /** Tokens and session tickets are made and taken by these from now on. */
  renewSecrets(secrets: NodeSecretLists): void {
    this.#listeners.renewSecrets(makeNodeKeys(secrets, this.snapshot.cluster).shared);
    this.#parts.log.info("keys of tokens and session tickets have changed", { number: secrets.shared[0].id });
  }

  /** Begins to serve. */
  async start(): Promise<void> {
    const { runtime, library, log, seat } = this.#parts;
    await this.#listeners.start(runtime, library);
    this.#health.start();
    this.#phase = "serving";
    const bound = this.#listeners.all.map(({ socket }) => socket.bound);
    if (seat === undefined || seat === null) tellServing(log, this.#generation.snapshot, bound);
  }

  /** GOAWAY, no new connections; resolves when the last one has ended or the drain time is over. */
  drain(): Promise<void> {
    return this.#leave("draining", 0, () => this.#listeners.drain());
  }

  /**
   * GOAWAY, since others take the new connections; whoever still comes is served. Resolves as `drain` does, which may follow, and not before
   * whatever was sent here has had time to come. At the listeners of the names `gone`, which others do not have, nobody is let in.
   */
  retire(gone: readonly string[]): Promise<void> {
    return this.#leave("retiring", LIMITS.retireMsMin, () => this.#listeners.retire(gone));
  }

  /** Ends everything now and says what that has broken off. Idempotent. */
  close(): Unfinished {
    const unfinished = this.#listeners.unfinished();
    if (unfinished.requests > 0) {
      this.counters.connectionsCutOff += unfinished.connections;
      this.counters.requestsCutOff += unfinished.requests;
      this.#parts.log.warn("requests under way are broken off", { ...unfinished });
    }
    this.#health.stop();
    this.#sweeping.stop();
    this.#loopDelay.stop();
    this.#rotation?.stop();
    this.#listeners.close(H3_CODE.noError);
    for (const generation of [...this.#former, this.#generation]) generation.free();
    this.#backends.close();
    this.#claim?.release();
    return unfinished;
  }

  /**
   * Makes another configuration ready beside the one at work. Throws `ProxyError` with nothing changed; whatever a running process cannot
   * change must be as it is (`src/control/reload-plan.ts`).
   */
  prepare(snapshot: Snapshot): Prepared {
    const faces = this.#listeners.prepare(loadFaces(snapshot));
    try {
      const generation = new LiveGeneration(snapshot, this.#generations, this.#generation);
      return {
        commit: () => {
          faces.commit();
          this.#goOver(generation);
        },
        abandon: () => {
          faces.abandon();
          generation.free();
        },
      };
    } catch (thrown) {
      faces.abandon();
      throw thrown;
    }
  }

  #goOver(generation: LiveGeneration): void {
    const { snapshot } = generation;
    const before = this.#generation;
    this.#generation = generation;
    generation.enter();
    this.#former.add(before);
    before.supersede(before.snapshot.timeouts.drainMs, () => this.#former.delete(before));
    this.#services.inFlight.resize(snapshot.requests.inFlightMax);
    this.#earlyMethods = new Set(snapshot.earlyData.methods);
    this.#listeners.configure(snapshot);
    this.#parts.log.configure(snapshot.log);
    this.requestCounts.next = accessRecorder(this.#parts.log, snapshot.log.access, this.counters);
  }

  async #leave(what: string, leastMs: number, begin: () => void): Promise<void> {
    this.#parts.log.info(what, { connections: this.#listeners.connectionCount });
    this.#phase = "leaving";
    begin();
    await this.#departures.wait(leastMs, this.#generation.snapshot.timeouts.drainMs);
  }

  #rotate(started: NodeSecretLists): SecretRotation {
    let secrets = started;
    return new SecretRotation({
      timers: systemTimers,
      periodMs: () => rotationMs(this.snapshot.cluster),
      rotate: () => {
        secrets = rotateSecrets(secrets);
        this.renewSecrets(secrets);
        return true;
      },
    });
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

  #listen(snapshot: Snapshot, seat: Seat, faces: readonly ListenerFace[]): Listeners {
    const { library, counters } = this.#parts;
    const generationNow = (): LiveGeneration => this.#generation;
    try {
      return new Listeners({
        ...{ seat, library, counters, snapshot, faces },
        handlerOf: (connection, buffers, introduction, listener) => {
          const client = clientOf(connection, buffers, introduction, this.#earlyMethods, { counters, listener });
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
