/** One listening socket: whose is each datagram, who may become a connection, and the connections' life from accept to close. */
import { TimerWheel } from "../core/timer-wheel.ts";
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import { addressKeyOf } from "../guard/address-table.ts";
import { type Admission, VERDICT } from "../guard/admission.ts";
import { AddressValidation, BAD_TOKEN, NOTHING_SHOWN } from "./address-validation.ts";
import type { OwnIds } from "./cid.ts";
import type { IdTable } from "./cid-table.ts";
import { Connection } from "./connection.ts";
import { ConnectionCounts } from "./connection-counts.ts";
import type { ConnectionHost, SessionDriver } from "./connection-host.ts";
import type { EarlyData } from "./early-data.ts";
import type { EndpointOptions, LiveBounds } from "./endpoint-options.ts";
import { EndpointShare } from "./endpoint-share.ts";
import { type CloseReason, type EngineSession, FEED, type QuicEngine, type RetryIds } from "./engine.ts";
import { Farewell } from "./farewell.ts";
import { CLIENT_ID_BYTES_MIN, INITIAL_BYTES_MIN, PACKET, PacketReader } from "./packet.ts";
import { Strays } from "./strays.ts";

/** RFC 9000 20.1. */
const [CONNECTION_REFUSED, INVALID_TOKEN] = [0x02, 0x0b];

/** A socket with its connections. */
export class Endpoint implements ConnectionHost {
  readonly counters: Counters;
  readonly counts: ConnectionCounts;
  readonly earlyData: EarlyData | null;
  readonly burstBytes: number;
  #options: EndpointOptions;
  readonly #engine: QuicEngine;
  readonly #ids: IdTable<Connection>;
  readonly #idBytes: number;
  readonly #resetTokenOf: OwnIds["resetTokenOf"];
  readonly #reader = new PacketReader();
  readonly #wheel: TimerWheel<Connection>;
  readonly #connections = new Set<Connection>();
  readonly #admission: Admission;
  readonly validation: AddressValidation;
  readonly #strays: Strays;
  readonly #farewell: Farewell;
  readonly #touched: Connection[] = [];
  readonly #dirty: Connection[] = [];
  #draining = false;
  nowMs: number;
  readonly onEstablished = (): void => this.#admission.establish();

  constructor(options: EndpointOptions, nowMs: number) {
    this.#options = options;
    ({ engine: this.#engine, earlyData: this.earlyData } = options);
    ({ counters: this.counters, burstBytes: this.burstBytes } = options);
    this.nowMs = nowMs;
    this.#wheel = new TimerWheel<Connection>(nowMs);
    const { engine, counters, fillRandom, ids, tokens: sealer, epochMs } = options;
    const [{ scheme, resetTokenOf }] = ids;
    const { share = new EndpointShare(options, nowMs) } = options;
    const { entriesMax, resets: gate } = share;
    ({ ids: this.#ids, admission: this.#admission } = share);
    this.#idBytes = scheme.mark.idBytes;
    this.#resetTokenOf = resetTokenOf;
    this.validation = new AddressValidation({ engine, counters, scheme, sealer, epochMs });
    this.#strays = new Strays({ engine, counters, fillRandom, ids, entriesMax, gate });
    this.#farewell = new Farewell(fillRandom);
    this.counts = new ConnectionCounts(this.#connections, counters);
  }

  /** Connections alive, closing ones included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Connections whose handshake is not done, of all that share its bounds. */
  get handshakeCount(): number {
    return this.#admission.handshakes;
  }

  /** Ids of ours that lead to a connection now, of all that share them. */
  get idCount(): number {
    return this.#ids.size;
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Other bounds from now on, for connections that come. */
  configure(bounds: LiveBounds): void {
    this.#options = { ...this.#options, ...bounds };
    this.#admission.configure(bounds.admission, this.nowMs);
  }

  /** When the endpoint must run again at the latest; `Infinity` for never. */
  get deadlineMs(): number {
    return this.#wheel.nextDeadlineMs();
  }

  /** True when some connection has more to do or to send than its share of the last turn. */
  get hasDirty(): boolean {
    return this.#dirty.length > 0 || this.#touched.length > 0;
  }

  /** Runs deadlines, takes one batch of datagrams and lets the connections work. True: there may be more at once. */
  receive(nowMs: number): boolean {
    this.nowMs = nowMs;
    this.#wheel.expire(nowMs, onDeadline);
    const count = this.#engine.socket.receive();
    for (let slot = 0; slot < count; slot++) this.#dispatch(slot);
    for (const connection of this.#touched.splice(0)) {
      connection.touched = false;
      connection.process();
      this.markDirty(connection);
    }
    return count >= LIMITS.datagramsPerTurnMax;
  }

  /** Flushes the dirty connections and the socket. False: the kernel takes no more until the socket is writable. */
  flush(): boolean {
    for (const connection of this.#dirty.splice(0)) {
      connection.dirty = false;
      if (!connection.flush()) this.#flushAgain(connection);
    }
    return this.#engine.socket.flush();
  }

  markDirty(connection: Connection): void {
    if (connection.dirty || connection.closed) return;
    connection.dirty = true;
    if (this.#dirty.push(connection) === 1) this.#options.requestTurn();
  }

  /** The connection has more to do than one turn allowed: it works again in the next one, new datagrams or not. */
  again(connection: Connection): void {
    this.#touch(connection);
    this.#options.requestTurn();
  }

  setDeadline(connection: Connection, deadlineMs: number): void {
    this.#wheel.set(connection, deadlineMs);
  }

  issueId(connection: Connection): { readonly id: Uint8Array; readonly resetToken: Uint8Array } | null {
    const id = this.#ids.issue(connection);
    return id === null ? null : { id, resetToken: this.#resetTokenOf(id) };
  }

  releaseId(id: Uint8Array): void {
    this.#ids.release(id);
  }

  onOpen(connection: Connection, session: EngineSession): SessionDriver {
    const driver = this.#options.onOpen(connection, session);
    this.#farewell.onOpen(driver, this.nowMs);
    return driver;
  }

  onClosed(connection: Connection, reason: CloseReason | null): void {
    this.#wheel.cancel(connection);
    for (const id of connection.ids) this.#ids.release(id);
    connection.ids.length = 0;
    if (connection.clientIdKey !== null) this.#ids.releaseClientId(connection.clientIdKey);
    this.#connections.delete(connection);
    this.#admission.leave(connection.addressKey, connection.established);
    this.counts.end(connection, reason);
    this.#options.onClosed(connection, reason);
  }

  /** Takes no further connections, and those that exist end. Needs a turn, as `retire` does. */
  drain(nowMs: number): void {
    this.#draining = true;
    this.retire(nowMs);
  }

  /** Tells all clients to go elsewhere, each in its turn, those that still come as well: they are served, and none is refused. */
  retire(nowMs: number): void {
    this.#farewell.begin(this.#connections, nowMs, this.#options.goawaySpreadMs);
  }

  /** Closes every connection that is left with an HTTP/3 code and sends the closing packets as far as the kernel takes them. */
  closeAll(code: number): void {
    for (const connection of this.#connections) connection.close(true, code, "");
    this.flush();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** The socket's batch was full: empty it and go on; when the kernel is full too, the connection waits for its turn. */
  #flushAgain(connection: Connection): void {
    if (!this.#engine.socket.flush() || !connection.flush()) this.markDirty(connection);
  }

  #dispatch(slot: number): void {
    const { socket } = this.#engine;
    const at = socket.offsetOf(slot);
    const length = socket.lengthOf(slot);
    const kind = this.#reader.read(socket.received, at, length);
    switch (kind) {
      case PACKET.short:
        this.#feedKnown(slot, this.#ids.find(socket.received, this.#reader.dcidAt, length - 1));
        return;
      case PACKET.malformed:
        this.counters.datagramsMalformed += 1;
        return;
      case PACKET.unknownVersion:
        this.#answerVersion(slot, length);
        return;
      default:
        this.#dispatchLong(slot, length, kind === PACKET.initial);
    }
  }

  #dispatchLong(slot: number, length: number, initial: boolean): void {
    const { received } = this.#engine.socket;
    const { dcidAt, dcidLength } = this.#reader;
    if (this.earlyData?.isMixed(this.#engine.socket, slot) === true) return;
    const own = dcidLength === this.#idBytes ? this.#ids.find(received, dcidAt, dcidLength) : null;
    const known = own ?? this.#ids.findClientId(received, dcidAt, dcidLength);
    if (known?.host === this) {
      own?.validateAddress();
      this.#feedLong(slot, known, length);
    } else if (known === null && initial) this.#accept(slot, length);
    else this.counters.datagramsUnknownId += 1;
  }

  /**
   * A long header's packet. What quiche says to a mistake in the first ones, it says in packets of type Handshake, whose keys the client
   * cannot have before it has heard anything; so then the answer is made by hand. Junk gets none: it may come from anybody.
   */
  #feedLong(slot: number, connection: Connection, length: number): void {
    connection.earnCredit(length);
    const result = connection.feed(slot);
    if (result >= 0 || connection.hasSpoken) {
      this.#touch(connection);
      return;
    }
    const reason = connection.engine.closeReason();
    connection.destroy();
    if (result === FEED.junk) this.counters.datagramsMalformed += 1;
    else if (reason?.by === "local" && !reason.app) this.#engine.refuse(slot, this.#reader, reason.code);
  }

  #feedKnown(slot: number, connection: Connection | null): void {
    if (connection?.host !== this) {
      this.counters.datagramsUnknownId += 1;
      // One that lives, at another listener, would be ended by a reset.
      if (connection === null) this.#strays.answer(slot, this.nowMs);
      return;
    }
    connection.feed(slot);
    this.#touch(connection);
  }

  #touch(connection: Connection): void {
    if (connection.touched) return;
    connection.touched = true;
    this.#touched.push(connection);
  }

  #answerVersion(slot: number, length: number): void {
    // Anything shorter could not open a connection in any version we might name (RFC 9000 6.1), and must not be amplified.
    if (length < INITIAL_BYTES_MIN) {
      this.counters.datagramsMalformed += 1;
      return;
    }
    this.counters.versionNegotiations += 1;
    this.#engine.sendVersionNegotiation(slot, this.#reader);
  }

  #accept(slot: number, length: number): void {
    const { socket } = this.#engine;
    const { dcidAt, dcidLength } = this.#reader;
    const isWhole = length >= INITIAL_BYTES_MIN && dcidLength >= CLIENT_ID_BYTES_MIN;
    if (!isWhole || !this.#reader.readToken(socket.received, socket.offsetOf(slot) + length)) {
      this.counters.datagramsMalformed += 1;
      return;
    }
    const shown = this.validation.judge(slot, this.#reader);
    if (shown === BAD_TOKEN) {
      this.counters.connectionsBadToken += 1;
      this.counters.connectionsRefused += 1;
      if (this.#admission.mayAnswer(this.nowMs)) this.#refuse(slot, INVALID_TOKEN);
      return;
    }
    const retry = shown === NOTHING_SHOWN ? null : shown;
    const address = this.#admission.countsAddresses ? addressKeyOf(socket.peerWords(slot)) : null;
    const verdict = this.#draining
      ? this.#admission.turnAway(this.nowMs)
      : this.#admission.judge(this.nowMs, address, retry !== null);
    if (verdict !== VERDICT.accept) {
      if (verdict === VERDICT.refuse) this.#refuse(slot, CONNECTION_REFUSED);
      else if (verdict === VERDICT.retry) this.validation.ask(slot, this.#reader);
      return;
    }
    const connection = this.#ids.issueFor((id) => this.#makeConnection(slot, id, retry));
    if (connection === null) {
      this.counters.connectionsNotMade += 1;
      this.counters.connectionsRefused += 1;
      return;
    }
    connection.clientIdKey = this.#ids.mapClientId(socket.received, dcidAt, dcidLength, connection);
    connection.addressKey = address;
    this.#admission.enter(address);
    this.#connections.add(connection);
    this.counters.connectionsAccepted += 1;
    this.#feedLong(slot, connection, length);
  }

  /** The client is told why it cannot come in; if it does not hear it, it asks again. */
  #refuse(slot: number, code: number): void {
    this.counters[this.#engine.refuse(slot, this.#reader, code) ? "refusalsSent" : "refusalsWithheld"] += 1;
  }

  #makeConnection(slot: number, id: Uint8Array, retry: RetryIds | null): Connection | null {
    const engine = this.#engine.accept(slot, id, this.#resetTokenOf(id), retry);
    if (engine === null) return null;
    const connection = new Connection(engine, this, id, this.#options.handshakeMs);
    if (retry !== null) connection.validateAddress();
    return connection;
  }
}

const onDeadline = (connection: Connection): void => connection.onDeadline();
