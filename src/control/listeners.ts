/**
 * The QUIC side of a running proxy: all its listeners with the one loop and waker that they share, from settings to listening addresses, and
 * back down again without a descriptor or a native object left.
 */
import { randomInt } from "node:crypto";
import { listenerNames } from "../config/listeners.ts";
import type { ListenSettings, Snapshot, TimeoutSettings } from "../config/snapshot.ts";
import { must } from "../core/assert.ts";
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import { ReplayGuard } from "../guard/replay-guard.ts";
import { BufferAccount } from "../guard/buffer-account.ts";
import { Http3Session } from "../h3/session.ts";
import type { RequestHandler, SessionRules } from "../h3/session-host.ts";
import type { Connection } from "../quic/connection.ts";
import type { SessionDriver } from "../quic/connection-host.ts";
import { EarlyData } from "../quic/early-data.ts";
import { EndpointShare } from "../quic/endpoint-share.ts";
import type { CloseReason, EngineSession } from "../quic/engine.ts";
import { Loop, type LoopHost } from "../quic/loop.ts";
import type { Runtime, Waker } from "../runtime/runtime.ts";
import { systemTimers, type TimerHandle } from "../runtime/timers.ts";
import type { Library } from "../../ffi/library.ts";
import type { PreparedIdentities } from "../../ffi/quiche/engine.ts";
import type { House } from "./departures.ts";
import { tokenSealer } from "./ciphers.ts";
import { ConnectionWatch, isWatching } from "./connection-watch.ts";
import type { NodeKeys } from "./node-keys.ts";
import { TURNS_AWAY } from "./turns-away.ts";
import { ConnectionSessionHost } from "./session-host.ts";
import type { Introduction } from "./introductions.ts";
import { fillRandom, Listener, type ListenerShare, type ListenerTls, ownIds, type Seat } from "./listener.ts";

/** A listener to be. */
export interface ListenerFace {
  readonly listen: ListenSettings;
  readonly tls: ListenerTls;
}

/** What the listeners of a process are made of. */
export interface ListenersOptions {
  readonly seat: Seat;
  readonly library: Library;
  readonly counters: Counters;
  readonly snapshot: Snapshot;
  /** Of the snapshot's listeners, in their order. */
  readonly faces: readonly ListenerFace[];
  /** Makes the answerer of one connection's requests; `buffers` says what waits for its client and for all, `listener` where it came in, "" where there is one place. */
  readonly handlerOf: (
    connection: Connection,
    buffers: BufferAccount,
    introduction: Introduction,
    listener: string,
  ) => RequestHandler;
  readonly onClosed: (connection: Connection, reason: CloseReason | null) => void;
}

const TIMER_MS_MAX = 60_000;
/** Of the time that what runs has to end: clients are told in the first part of it. */
const GOAWAY_SHARE_MAX = 0.25;

/** All listening addresses of a process with their connections. */
export class Listeners implements House {
  /** In the order of the configuration that the process began with. */
  readonly all: readonly [Listener, ...Listener[]];
  /** Of all connections' output that waits for clients. */
  readonly buffers: BufferAccount;
  readonly #handlerOf: ListenersOptions["handlerOf"];
  readonly #watch: ConnectionWatch | null;
  readonly #loop: Loop;
  /** What connections that come go by. */
  #rules: SessionRules;
  #connectionBufferBytesMax: number;
  readonly #timing = { turnDue: false, deadlineMs: Infinity, onWake: (): void => this.#loop.onWake() };
  #waker: Waker | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #looking: TimerHandle | null = null;
  #closed = false;

  /** Binds the sockets that are not there yet. Throws what `Listener` throws; nothing is left open then. */
  constructor(options: ListenersOptions) {
    const { library, counters, snapshot } = options;
    const { requests, debug } = snapshot;
    this.#handlerOf = options.handlerOf;
    this.buffers = new BufferAccount(requests.bufferBytesMax);
    this.#rules = { ...snapshot.connections, ...snapshot.timeouts };
    this.#connectionBufferBytesMax = requests.connectionBufferBytesMax;
    this.#watch = isWatching(debug) ? new ConnectionWatch(debug, library, counters, (bound) => randomInt(bound)) : null;
    this.#loop = new Loop(this.#loopHost(), counters);
    try {
      this.all = openAll(options, this.#share(options));
    } catch (thrown) {
      this.#watch?.close();
      throw thrown;
    }
    for (const { endpoint } of this.all) this.#loop.add(endpoint);
  }

  get connectionCount(): number {
    return this.all.reduce((sum, { endpoint }) => sum + endpoint.connectionCount, 0);
  }

  get openCount(): number {
    let count = 0;
    for (const { endpoint } of this.all) for (const { isOpen } of endpoint.connections) if (isOpen) count += 1;
    return count;
  }

  /** Connections whose handshake is not done. */
  get handshakeCount(): number {
    return this.all[0].endpoint.handshakeCount;
  }

  /** What `close` would break off now: connections, and requests on them. */
  unfinished(): { readonly connections: number; readonly requests: number } {
    const connections = this.all.flatMap(({ endpoint }) => [...endpoint.connections]);
    const counts = connections.map(({ unfinished }) => unfinished).filter((count) => count > 0);
    return { connections: counts.length, requests: counts.reduce((sum, count) => sum + count, 0) };
  }

  /** Other bounds and waits from now on: for connections that come, and for all together. */
  configure({ connections, requests, timeouts }: Pick<Snapshot, "connections" | "requests" | "timeouts">): void {
    this.#rules = { ...connections, ...timeouts };
    this.#connectionBufferBytesMax = requests.connectionBufferBytesMax;
    this.buffers.resize(requests.bufferBytesMax);
    const bounds = {
      ...{ admission: connections, handshakeMs: timeouts.handshakeMs },
      goawaySpreadMs: goawaySpreadOf(timeouts),
    };
    for (const listener of this.all) listener.configure(bounds);
  }

  /** Begins to serve. */
  async start(runtime: Runtime, library: Library): Promise<void> {
    const fds = this.all.map(({ socket }) => socket.fd);
    this.#waker = await runtime.createWaker(library, fds, this.#timing);
    this.#loop.start();
    this.#looking = systemTimers.every(LIMITS.packetLookMs, () => {
      for (const { endpoint } of this.all) endpoint.counts.look();
    });
  }

  /** Other certificates and demands, made ready for new handshakes of all. Throws `CERTIFICATE` with nothing held. */
  prepare(faces: readonly ListenerFace[]): PreparedIdentities {
    const names = listenerNames(faces.map(({ listen }) => listen));
    const ready: PreparedIdentities[] = [];
    const abandon = (): void => ready.forEach((one) => one.abandon());
    try {
      for (const listener of this.all) {
        const face = must(faces[names.indexOf(listener.name)], "another place of a listener is another process's");
        const one = listener.prepare(face.listen, face.tls);
        if (one !== null) ready.push(one);
      }
    } catch (thrown) {
      abandon();
      throw thrown;
    }
    return { abandon, commit: () => ready.forEach((one) => one.commit()) };
  }

  /** Tokens and session tickets are made and taken by these from now on. */
  renewSecrets(shared: NodeKeys["shared"]): void {
    const tokens = tokenSealer(shared, fillRandom);
    for (const listener of this.all) listener.renewSecrets(shared, tokens);
  }

  /** GOAWAY to all, no new connections. */
  drain(): void {
    for (const listener of this.all) listener.drain();
    this.#loop.requestTurn();
  }

  /** GOAWAY to all; whoever still comes is served, but at the listeners of these names, which others do not have any more. */
  retire(gone: readonly string[]): void {
    for (const listener of this.all) {
      if (gone.includes(listener.name)) listener.drain();
      else listener.retire();
    }
    this.#loop.requestTurn();
  }

  /** Closes what is left with an HTTP/3 code and frees everything. Idempotent. */
  close(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#loop.stop();
    this.#looking?.stop();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const listener of this.all) listener.closeConnections(code);
    this.#waker?.close();
    for (const listener of this.all) listener.close();
    this.#watch?.close();
  }

  #loopHost(): LoopHost {
    const timing = this.#timing;
    const onTimer = (): void => {
      this.#timer = null;
      timing.deadlineMs = Infinity;
      this.#loop.onTimer();
    };
    const onImmediate = (): void => {
      timing.turnDue = false;
      this.#loop.turn();
    };
    return {
      nowMs: () => performance.now(),
      requestTurn: () => {
        timing.turnDue = true;
        setImmediate(onImmediate);
      },
      wakeAt: (deadlineMs) => {
        if (this.#timer !== null) clearTimeout(this.#timer);
        const delayMs = Math.min(Math.max(0, deadlineMs - performance.now()), TIMER_MS_MAX);
        timing.deadlineMs = deadlineMs;
        this.#timer = setTimeout(onTimer, delayMs);
      },
      armWaker: (alsoWritable) => this.#waker?.arm(alsoWritable),
    };
  }

  #share({ library, counters, seat, snapshot, onClosed }: ListenersOptions): ListenerShare {
    const { connections, timeouts, earlyData, debug } = snapshot;
    const ids = ownIds(seat);
    const nowMs = performance.now();
    return {
      ...{ library, counters, seat, connections, timeouts, earlyData, debug, ids, onClosed },
      watch: this.#watch,
      tokens: tokenSealer(seat.keys.shared, fillRandom),
      flights: earlyData.allowed ? new EarlyData(new ReplayGuard(nowMs, seat.ticketsAreOlder), counters) : null,
      endpoints: new EndpointShare({ admission: connections, counters, ids }, nowMs),
      goawaySpreadMs: goawaySpreadOf(timeouts),
      onOpen: (connection, session, listener) => this.#open(connection, session, listener),
      requestTurn: () => this.#loop.requestTurn(),
    };
  }

  #open(connection: Connection, session: EngineSession, listener: Listener): SessionDriver {
    const buffers = new BufferAccount(this.#connectionBufferBytesMax, this.buffers);
    const host = new ConnectionSessionHost(listener.endpoint, connection, buffers);
    const introduction = listener.introductionOf(connection);
    const place = this.all.length > 1 ? listener.socket.localText : "";
    const handler = introduction === null ? TURNS_AWAY : this.#handlerOf(connection, buffers, introduction, place);
    return new Http3Session(session, host, handler, this.#rules);
  }
}

function openAll({ faces, seat }: ListenersOptions, share: ListenerShare): readonly [Listener, ...Listener[]] {
  const names = listenerNames(faces.map(({ listen }) => listen));
  const opened: Listener[] = [];
  try {
    for (const [i, { listen, tls }] of faces.entries())
      opened.push(new Listener(names[i] ?? "", listen, tls, share, seat.sockets?.[i] ?? null));
    const [first, ...others] = opened;
    return [must(first, "a configuration has a listener"), ...others];
  } catch (thrown) {
    for (const listener of opened) listener.close();
    throw thrown;
  }
}

function goawaySpreadOf({ goawaySpreadMs, drainMs }: TimeoutSettings): number {
  return Math.min(goawaySpreadMs, drainMs * GOAWAY_SHARE_MAX);
}
