/** libquiche as the engine port, on one UDP socket. */
import { assert } from "../../src/core/assert.ts";
import type { Counters } from "../../src/core/counters.ts";
import { LIMITS } from "../../src/core/limits.ts";
import type { EngineConnection, HeaderIds, QuicEngine, RetryIds } from "../../src/quic/engine.ts";
import { Handle } from "../handle.ts";
import { PATH_STATS, QUICHE, SEND_INFO, STATS } from "../layout.ts";
import type { Library } from "../library.ts";
import { Arena } from "../memory.ts";
import { readSockaddr, SOCKADDR_BYTES, sockaddrLength } from "../sockaddr.ts";
import type { UdpSocket } from "../udp-socket.ts";
import {
  type ClientAuth,
  earlyContext,
  type EngineSettings,
  type Identity,
  makeH3Config,
  makeServerConfig,
} from "./config.ts";
import { QuicheConnection, SCRATCH } from "./connection.ts";
import { refusalPacket } from "./refusal.ts";
import type { EngineWatch } from "./watch.ts";

/** What the connections of an engine share. */
export interface EngineParts {
  readonly library: Library;
  readonly socket: UdpSocket;
  readonly h3Config: Handle;
  readonly scratch: ScratchPlaces;
  /** Field sections come in here. */
  readonly fields: Arena;
  /** Body bytes come in here. */
  readonly body: Arena;
}

/** Memory for the out-parameters of one call, with the offsets of its places. */
export interface ScratchPlaces {
  readonly arena: Arena;
  readonly word: number;
  readonly length: number;
  readonly code: number;
  readonly flag: number;
  readonly id: number;
  readonly token: number;
  readonly text: number;
  /** Four words. */
  readonly facts: number;
  readonly counts: number;
  /** Of `PATH_STATS.size` bytes. */
  readonly path: number;
  /** Of `STATS.size` bytes. */
  readonly stats: number;
  readonly streams: number;
  readonly early: number;
}

/** Certificates that are ready and not shown yet: exactly one of these is called, once. Neither can fail. */
export interface PreparedIdentities {
  commit(): void;
  abandon(): void;
}

/** Words that `spooky_conn_counts` writes. */
const COUNTS = 5;
const SCRATCH_BYTES = 4096 + 8 * LIMITS.openStreamsListedMax;

/** Makes the memory that calls share. */
export function makeParts(library: Library, socket: UdpSocket, h3Config: Handle): EngineParts {
  const arena = new Arena(library.foreign, SCRATCH_BYTES);
  return {
    library,
    socket,
    h3Config,
    scratch: {
      arena,
      word: arena.take(8),
      length: arena.take(8),
      code: arena.take(8),
      flag: arena.take(8),
      id: arena.take(SCRATCH.idBytes),
      token: arena.take(SCRATCH.tokenBytes),
      text: arena.take(4 * SCRATCH.textBytes),
      facts: arena.take(16),
      counts: arena.take(8 * COUNTS),
      path: arena.take(PATH_STATS.size),
      stats: arena.take(STATS.size),
      streams: arena.take(8 * LIMITS.openStreamsListedMax),
      early: arena.take(SCRATCH.earlyBytes),
    },
    fields: new Arena(library.foreign, LIMITS.fieldSectionBytesMax),
    body: new Arena(library.foreign, LIMITS.bodyReadBytesMax),
  };
}

/** The engine port over libquiche. */
export class QuicheEngine implements QuicEngine {
  readonly socket: UdpSocket;
  readonly counters: Counters;
  readonly #parts: EngineParts;
  readonly #library: Library;
  readonly #watch: EngineWatch | null;
  readonly #earlyContext: Uint8Array | null;
  #settings: EngineSettings;
  #config: Handle;

  /** `watch` chooses connections that are written down; null: none. */
  constructor(
    library: Library,
    socket: UdpSocket,
    settings: EngineSettings,
    counters: Counters,
    watch: EngineWatch | null = null,
  ) {
    this.#watch = watch;
    this.#library = library;
    this.socket = socket;
    this.counters = counters;
    this.#settings = settings;
    this.#config = makeServerConfig(library, settings);
    this.#earlyContext = earlyContext(settings);
    this.#parts = makeParts(library, socket, makeH3Config(library, settings.fieldSectionBytesMax));
  }

  accept(slot: number, scid: Uint8Array, resetToken: Uint8Array, retry: RetryIds | null): EngineConnection | null {
    const { native, ledger } = this.#library;
    const { arena, id, token } = this.#parts.scratch;
    arena.bytes.set(scid, id);
    arena.bytes.set(resetToken, token);
    // The handshake id's reset token is taken from the configuration at this moment.
    native.quiche_config_set_stateless_reset_token(this.#config.address, arena.address + token);
    const { incoming } = this.socket;
    const name = incoming.nameAt(slot);
    const local = incoming.localAt(slot);
    const { meta } = incoming;
    const localAddress = meta.address + local;
    const localBytes = sockaddrLength(meta.view.getUint16(local, true));
    const peerAddress = meta.address + name;
    const peerBytes = sockaddrLength(meta.view.getUint16(name, true));
    const own = arena.address + id;
    const config = this.#config.address;
    const address =
      retry === null
        ? native.quiche_accept(own, scid.length, 0, 0, localAddress, localBytes, peerAddress, peerBytes, config)
        : native.spooky_accept_retry(
            own,
            scid.length,
            retry.originalId,
            retry.originalId.length,
            retry.retryId,
            retry.retryId.length,
            localAddress,
            localBytes,
            peerAddress,
            peerBytes,
            config,
          );
    if (address === 0) return null;
    const handle = new Handle("connection", address, ledger, native.quiche_conn_free);
    const context = this.#earlyContext;
    if (context !== null) {
      const result = native.spooky_conn_set_early_context(address, context, context.length);
      assert(result === 0, "TLS takes any context of early data");
    }
    const connection = new QuicheConnection(this.#parts, handle, readSockaddr(meta, name));
    const watched = this.#watch?.watch(connection.peerIp, scid) ?? null;
    if (watched !== null) connection.writeDown(watched);
    return connection;
  }

  sendVersionNegotiation(slot: number, ids: HeaderIds): void {
    const { incoming, outgoing } = this.socket;
    if (!outgoing.hasRoom) return;
    this.#addressBack(slot);
    const length = this.#library.native.quiche_negotiate_version(
      incoming.data.address + ids.scidAt,
      ids.scidLength,
      incoming.data.address + ids.dcidAt,
      ids.dcidLength,
      outgoing.writeAddress,
      outgoing.writeRoom,
    );
    if (length > 0) outgoing.append(length);
  }

  sendRetry(slot: number, ids: HeaderIds, retryId: Uint8Array, token: Uint8Array): boolean {
    const { incoming, outgoing } = this.socket;
    if (!outgoing.hasRoom) return false;
    this.#addressBack(slot);
    const length = this.#library.native.quiche_retry(
      incoming.data.address + ids.scidAt,
      ids.scidLength,
      incoming.data.address + ids.dcidAt,
      ids.dcidLength,
      retryId,
      retryId.length,
      token,
      token.length,
      QUICHE.QUICHE_PROTOCOL_VERSION,
      outgoing.writeAddress,
      outgoing.writeRoom,
    );
    if (length <= 0) return false;
    outgoing.append(length);
    return true;
  }

  answer(slot: number, datagram: Uint8Array): boolean {
    const { outgoing } = this.socket;
    if (!outgoing.hasRoom) return false;
    this.#addressBack(slot);
    outgoing.appendBytes(datagram);
    return true;
  }

  refuse(slot: number, ids: HeaderIds, code: number): boolean {
    const { outgoing, received } = this.socket;
    if (!outgoing.hasRoom) return false;
    this.#addressBack(slot);
    const dcid = received.subarray(ids.dcidAt, ids.dcidAt + ids.dcidLength);
    const scid = received.subarray(ids.scidAt, ids.scidAt + ids.scidLength);
    outgoing.appendBytes(refusalPacket(dcid, scid, code));
    return true;
  }

  /** The next packet goes to the sender of datagram `slot`, from the address that it came to. */
  #addressBack(slot: number): void {
    const { incoming, outgoing } = this.socket;
    const to = outgoing.info + SEND_INFO.to;
    copyAddress(incoming.meta, incoming.nameAt(slot), outgoing.meta, to);
    copyAddress(incoming.meta, incoming.localAt(slot), outgoing.meta, outgoing.info + SEND_INFO.from);
    const lengthBytes = sockaddrLength(outgoing.meta.view.getUint16(to, true));
    outgoing.meta.view.setUint32(outgoing.info + SEND_INFO.to_len, lengthBytes, true);
    outgoing.meta.view.setUint32(outgoing.info + SEND_INFO.from_len, lengthBytes, true);
  }

  /**
   * Makes ready that new handshakes use these certificates and ask clients for these, under the ticket keys and limits of now; connections that
   * exist keep what they were made with, and the last of them takes it along. Throws `CERTIFICATE`, and then nothing has changed.
   */
  prepareIdentities(identities: readonly Identity[], clientAuth: ClientAuth | null): PreparedIdentities {
    const settings = { ...this.#settings, identities, clientAuth };
    const next = makeServerConfig(this.#library, settings);
    return {
      commit: () => {
        // TLS counts the users of its context: what is given back here is ours alone.
        const { ticketKeys } = this.#settings;
        this.#config.free();
        this.#config = next;
        this.#settings = settings;
        // Others may have come meanwhile.
        if (ticketKeys !== settings.ticketKeys) this.replaceTicketKeys(ticketKeys);
      },
      abandon: () => next.free(),
    };
  }

  /** New handshakes give and take tickets by these. */
  replaceTicketKeys(ticketKeys: readonly Uint8Array[]): void {
    const settings = { ...this.#settings, ticketKeys };
    const next = makeServerConfig(this.#library, settings);
    this.#config.free();
    this.#config = next;
    this.#settings = settings;
  }

  close(): void {
    this.#config.free();
    this.#parts.h3Config.free();
  }
}

function copyAddress(from: Arena, fromAt: number, to: Arena, toAt: number): void {
  to.bytes.set(from.bytes.subarray(fromAt, fromAt + SOCKADDR_BYTES), toAt);
}
