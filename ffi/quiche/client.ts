/**
 * The client half of quiche, for tests and benchmarks only (`scripts/layers.ts` proves it): one connection on a socket of its own,
 * driven by hand, so that a test decides what happens when.
 */
import { ProxyError } from "../../src/core/error.ts";
import type { Counters } from "../../src/core/counters.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { LIMITS } from "../../src/core/limits.ts";
import type { EngineSession } from "../../src/quic/engine.ts";
import { Handle } from "../handle.ts";
import { QUICHE } from "../layout.ts";
import type { Library } from "../library.ts";
import { Arena } from "../memory.ts";
import { SOCKADDR_BYTES, type SocketAddress, writeSockaddr } from "../sockaddr.ts";
import type { BoundSocket } from "../udp-open.ts";
import { UdpSocket } from "../udp-socket.ts";
import { applyTransport, makeH3Config, type TransportSettings } from "./config.ts";
import { QuicheConnection } from "./connection.ts";
import { makeParts } from "./engine.ts";

const KIND_REQUEST = 3;
const ID_BYTES = 16;
const BUFFERS = { receiveBufferBytes: 1 << 20, sendBufferBytes: 1 << 20 };
/** Where an address is written in the scratch memory, behind a word. */
const MOVE_AT = 32;

/** What a test client is made with. */
export interface ClientOptions {
  readonly serverName: string;
  readonly server: SocketAddress;
  /** Local IP literal of the same family. */
  readonly ip: string;
  readonly settings: TransportSettings;
  /** 16 bytes, the client's own id. */
  readonly id: Uint8Array;
}

/** A client connection. */
export class QuicheClient {
  readonly connection: QuicheConnection;
  readonly counters: Counters;
  readonly #library: Library;
  readonly #handle: Handle;
  readonly #config: Handle;
  readonly #h3Config: Handle;
  readonly #writer = new FieldWriter();
  /** Where quiche puts error codes that nobody asks for. */
  readonly #scratch: Arena;
  /** Addresses that the server is told: of the socket it was made with, until it migrates. */
  #localIp: string;
  /** The socket that quiche thinks it sends from. */
  #known: BoundSocket;
  #socket: UdpSocket;
  #session: EngineSession | null = null;

  constructor(library: Library, options: ClientOptions, counters: Counters) {
    const { native, ledger } = library;
    this.#library = library;
    this.#scratch = new Arena(library.foreign, 128);
    this.counters = counters;
    this.#localIp = options.ip;
    this.#socket = new UdpSocket(library, { ip: options.ip, port: 0, ...BUFFERS }, counters);
    this.#known = this.#socket.bound;
    const address = native.quiche_config_new(QUICHE.QUICHE_PROTOCOL_VERSION);
    this.#config = new Handle("config", address, ledger, (at) => native.quiche_config_free(at));
    native.quiche_config_verify_peer(this.#config.address, false);
    applyTransport(library, this.#config.address, options.settings);
    this.#h3Config = makeH3Config(library, options.settings.fieldSectionBytesMax);
    this.#handle = this.#connect(options);
    const socketNow = (): UdpSocket => this.#socket;
    const parts = {
      ...makeParts(library, this.#socket, this.#h3Config),
      get socket(): UdpSocket {
        return socketNow();
      },
    };
    this.connection = new QuicheConnection(parts, this.#handle, options.server);
  }

  /** What it sends from now; `rebind` and `migrate` change it. */
  get socket(): UdpSocket {
    return this.#socket;
  }

  /** Goes on from another port, or address, without a word and without knowing: as when a translator has forgotten it. `counters` count what it sends from there. */
  rebind(ip: string = this.#localIp, counters: Counters = this.counters): void {
    const { local } = this.#known;
    this.#replaceSocket(ip, counters);
    const { incoming } = this.#socket;
    for (let slot = 0; slot < LIMITS.datagramsPerTurnMax; slot++)
      writeSockaddr(incoming.meta, incoming.localAt(slot), local);
  }

  /** Goes on from another port, or address, with another of the server's ids (RFC 9000 9.2). Returns 0 or quiche's error number. */
  migrate(ip: string = this.#localIp): number {
    this.#replaceSocket(ip, this.counters);
    this.#known = this.#socket.bound;
    const at = this.#scratch.address;
    const length = writeSockaddr(this.#scratch, MOVE_AT, this.#known.local);
    return this.#library.native.quiche_conn_migrate_source(this.#handle.address, at + MOVE_AT, length, at);
  }

  /** Tells the server that its id with this number is not used any more (RFC 9000 19.16). 0 or quiche's error number. */
  retireServerId(sequence: number): number {
    return this.#library.native.quiche_conn_retire_dcid(this.#handle.address, sequence);
  }

  #replaceSocket(ip: string, counters: Counters): void {
    this.#localIp = ip;
    this.#socket.close();
    this.#socket = new UdpSocket(this.#library, { ip, port: 0, ...BUFFERS }, counters);
  }

  /** Takes what has arrived, then sends what is due. Returns how many datagrams came. */
  step(): number {
    const count = this.#socket.receive();
    for (let slot = 0; slot < count; slot++) this.connection.feed(slot);
    while (this.connection.send(Infinity) > 0);
    this.#socket.flush();
    return count;
  }

  /** The certificate that the server has shown, DER; null before it has. */
  serverCertificate(): Uint8Array | null {
    const at = this.#scratch.address;
    this.#library.native.quiche_conn_peer_cert(this.#handle.address, at, at + 8);
    const size = this.#scratch.getWide(8);
    if (this.#scratch.getWide(0) === 0 || size === 0) return null;
    const copy = new Arena(this.#library.foreign, size);
    this.#library.copyIn(copy, 0, this.#scratch.getWide(0), size);
    return copy.bytes.slice(0, size);
  }

  /** The HTTP/3 session; made on first use after the handshake. */
  get session(): EngineSession {
    this.#session ??= this.connection.openSession();
    if (this.#session === null) throw new ProxyError("INTERNAL", "the client's session cannot be made yet");
    return this.#session;
  }

  /** Sends a request head; returns the stream's id, or quiche's error number. */
  request(fields: readonly (readonly [string, string])[], fin: boolean): number {
    void this.session;
    this.#writer.begin();
    for (const [name, value] of fields) this.#writer.add(name, value);
    const section = this.#writer.finish();
    const { sessionAddress } = this.connection;
    const { native } = this.#library;
    return native.spooky_h3_send_fields(
      sessionAddress,
      this.#handle.address,
      0,
      section,
      section.length,
      KIND_REQUEST,
      fin,
    );
  }

  /** Sends bytes on a stream past HTTP/3, which then knows nothing of it; returns how many, or quiche's error number. */
  sendRaw(streamId: number, bytes: Uint8Array, fin: boolean): number {
    const { native } = this.#library;
    // An address is asked for even where there are no bytes.
    const some = bytes.length === 0 ? new Uint8Array(1) : bytes;
    const code = this.#scratch.address;
    return native.quiche_conn_stream_send(this.#handle.address, streamId, some, bytes.length, fin, code);
  }

  /** The next packet carries a PING if nothing else in it asks for an acknowledgement. */
  ping(): void {
    this.#library.native.quiche_conn_send_ack_eliciting(this.#handle.address);
  }

  /** Frees everything. */
  close(): void {
    this.connection.free();
    this.#config.free();
    this.#h3Config.free();
    this.#socket.close();
  }

  #connect(options: ClientOptions): Handle {
    const { native, ledger, foreign } = this.#library;
    const arena = new Arena(foreign, 256);
    const id = arena.take(ID_BYTES);
    const local = arena.take(SOCKADDR_BYTES);
    const peer = arena.take(SOCKADDR_BYTES);
    arena.bytes.set(options.id.subarray(0, ID_BYTES), id);
    const localLength = writeSockaddr(arena, local, this.#known.local);
    const peerLength = writeSockaddr(arena, peer, options.server);
    const name = new TextEncoder().encode(`${options.serverName}\0`);
    const at = arena.address;
    const connection = native.quiche_connect(
      name,
      at + id,
      ID_BYTES,
      at + local,
      localLength,
      at + peer,
      peerLength,
      this.#config.address,
    );
    return new Handle("connection", connection, ledger, (address) => native.quiche_conn_free(address));
  }
}
