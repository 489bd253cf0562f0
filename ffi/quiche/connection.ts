/** One quiche connection behind the engine port. Every call is a number in and a number out; quiche's "done" is not an error. */
import { must } from "../../src/core/assert.ts";
import {
  type CloseReason,
  type EarlyFacts,
  type EarlyReason,
  type EngineConnection,
  type EngineSession,
  FEED,
  type PacketFacts,
  type Pace,
  SEND_DONE,
  SEND_FULL,
} from "../../src/quic/engine.ts";
import type { Handle } from "../handle.ts";
import { PATH_EVENT, QUICHE_ERROR, STATS } from "../layout.ts";
import { Arena } from "../memory.ts";
import type { SocketAddress } from "../sockaddr.ts";
import type { EngineParts } from "./engine.ts";
import { QuicheSession } from "./session.ts";
import type { Watched } from "./watch.ts";

const ID_BYTES_MAX = 20;
/** What quiche says of a first packet whose header it cannot read or that does not open with its keys; later ones it passes over. */
const JUNK: ReadonlySet<number> = new Set([
  QUICHE_ERROR.QUICHE_ERR_BUFFER_TOO_SHORT,
  QUICHE_ERROR.QUICHE_ERR_UNKNOWN_VERSION,
  QUICHE_ERROR.QUICHE_ERR_INVALID_PACKET,
  QUICHE_ERROR.QUICHE_ERR_CRYPTO_FAIL,
]);
const RESET_TOKEN_BYTES = 16;
const RANDOM_BYTES = 32;
const TEXT_BYTES_MAX = 255;
/** Before each certificate of a chain: `spooky_conn_peer_chain`. */
const CHAIN_LENGTH_BYTES = 4;

/** A connection. Owns its native object and, once open, its HTTP/3 session. */
export class QuicheConnection implements EngineConnection {
  readonly peerIp: string;
  readonly peerPort: number;
  readonly #parts: EngineParts;
  readonly #handle: Handle;
  #session: QuicheSession | null = null;
  #pathCount = 1;

  constructor(parts: EngineParts, handle: Handle, peer: SocketAddress) {
    this.#parts = parts;
    this.#handle = handle;
    this.peerIp = peer.ip;
    this.peerPort = peer.port;
  }

  /** Before the first datagram is fed. */
  writeDown({ keylogFd, qlogFd, qlogBytesMax }: Watched): void {
    const { native } = this.#parts.library;
    if (keylogFd !== null) native.spooky_conn_set_keylog(this.#handle.address, keylogFd);
    if (qlogFd !== null) native.spooky_conn_set_qlog(this.#handle.address, qlogFd, qlogBytesMax);
  }

  feed(slot: number): number {
    const { incoming } = this.#parts.socket;
    const result = this.#parts.library.native.quiche_conn_recv(
      this.#handle.address,
      incoming.dataAddress(slot),
      incoming.lengthOf(slot),
      incoming.infoAddress(slot),
    );
    if (result >= 0) return result;
    return JUNK.has(result) ? FEED.junk : FEED.wrong;
  }

  send(bytesMax: number): number {
    const { outgoing } = this.#parts.socket;
    if (!outgoing.hasRoom) return SEND_FULL;
    const length = this.#parts.library.native.quiche_conn_send(
      this.#handle.address,
      outgoing.writeAddress,
      Math.min(bytesMax, outgoing.writeRoom),
      outgoing.infoAddress,
    );
    // Done, or an error that has put the connection into its closing state: either way there is no packet now.
    if (length <= 0) return SEND_DONE;
    outgoing.append(length);
    return length;
  }

  timeoutMs(): number {
    return this.#parts.library.native.quiche_conn_timeout_as_millis(this.#handle.address);
  }

  onTimeout(): void {
    this.#parts.library.native.quiche_conn_on_timeout(this.#handle.address);
  }

  isEstablished(): boolean {
    return this.#parts.library.native.quiche_conn_is_established(this.#handle.address);
  }

  isResumed(): boolean {
    return this.#parts.library.native.quiche_conn_is_resumed(this.#handle.address);
  }

  isInEarlyData(): boolean {
    return this.#parts.library.native.quiche_conn_is_in_early_data(this.#handle.address);
  }

  earlyFacts(): EarlyFacts {
    const { library, scratch } = this.#parts;
    const { arena, early } = scratch;
    library.native.spooky_conn_early_facts(this.#handle.address, arena.address + early);
    return {
      random: arena.bytes.slice(early, early + RANDOM_BYTES),
      ticketAgeSkewSeconds: arena.word(early + RANDOM_BYTES) | 0,
      reason: EARLY_REASONS[arena.word(early + RANDOM_BYTES + 4)] ?? "unknown",
    };
  }

  readPace(pace: Pace): void {
    const { library, scratch } = this.#parts;
    const { arena, counts } = scratch;
    if (!library.native.spooky_conn_pace(this.#handle.address, arena.address + counts)) return;
    pace.cwndBytes = arena.getWide(counts);
    pace.roundTripMs = arena.getWide(counts + 8) / 1000;
  }

  readPacketFacts(facts: PacketFacts): void {
    const { library, scratch } = this.#parts;
    const { arena, stats } = scratch;
    library.native.quiche_conn_stats(this.#handle.address, arena.address + stats);
    facts.sent = arena.getWide(stats + STATS.sent);
    facts.lost = arena.getWide(stats + STATS.lost);
    facts.retransmitted = arena.getWide(stats + STATS.retrans);
  }

  roundTripMs(): number {
    return this.#session?.roundTripMs() ?? 0;
  }

  isDraining(): boolean {
    return this.#parts.library.native.quiche_conn_is_draining(this.#handle.address);
  }

  isClosed(): boolean {
    return this.#parts.library.native.quiche_conn_is_closed(this.#handle.address);
  }

  closeReason(): CloseReason | null {
    const { native } = this.#parts.library;
    const peer = this.#readError("peer", native.quiche_conn_peer_error);
    if (peer !== null) return peer;
    if (native.quiche_conn_is_timed_out(this.#handle.address)) return { by: "idle", app: false, code: 0, reason: "" };
    return this.#readError("local", native.quiche_conn_local_error);
  }

  close(app: boolean, code: number, reason: string): void {
    const { scratch } = this.#parts;
    const { read } = new TextEncoder().encodeInto(
      reason.slice(0, TEXT_BYTES_MAX),
      scratch.arena.bytes.subarray(scratch.text),
    );
    this.#parts.library.native.quiche_conn_close(
      this.#handle.address,
      app,
      code,
      scratch.arena.address + scratch.text,
      Math.min(read, TEXT_BYTES_MAX),
    );
  }

  idsWanted(): number {
    return this.#parts.library.native.quiche_conn_scids_left(this.#handle.address);
  }

  offerId(id: Uint8Array, resetToken: Uint8Array): boolean {
    const { arena, id: idAt, token, word } = this.#parts.scratch;
    arena.bytes.set(id, idAt);
    arena.bytes.set(resetToken, token);
    const { native } = this.#parts.library;
    const at = arena.address;
    return native.quiche_conn_new_scid(this.#handle.address, at + idAt, id.length, at + token, false, at + word) === 0;
  }

  takeRetiredIds(onRetired: (id: Uint8Array) => void): void {
    const { library, scratch } = this.#parts;
    if (library.native.quiche_conn_retired_scids(this.#handle.address) === 0) return;
    const { arena, id, word, length } = scratch;
    const iterator = library.native.quiche_conn_retired_scid_iter(this.#handle.address);
    while (library.native.quiche_connection_id_iter_next(iterator, arena.address + word, arena.address + length)) {
      const size = Math.min(arena.getWide(length), ID_BYTES_MAX);
      library.copyIn(arena, id, arena.getWide(word), size);
      onRetired(arena.bytes.slice(id, id + size));
    }
    library.native.quiche_connection_id_iter_free(iterator);
  }

  takeMigrations(): number {
    const { native } = this.#parts.library;
    let migrations = 0;
    // quiche keeps events until they are taken, so they are taken whatever they say. It probes new paths by itself.
    for (;;) {
      const event = native.quiche_conn_path_event_next(this.#handle.address);
      if (event === 0) return migrations;
      const type = native.quiche_path_event_type(event);
      if (type === PATH_EVENT.QUICHE_PATH_EVENT_PEER_MIGRATED) migrations += 1;
      else if (type === PATH_EVENT.QUICHE_PATH_EVENT_CLOSED) this.#pathCount -= 1;
      else if (type === PATH_EVENT.QUICHE_PATH_EVENT_NEW) this.#pathCount += 1;
      native.quiche_path_event_free(event);
    }
  }

  get pathCount(): number {
    return this.#pathCount;
  }

  openSession(): EngineSession | null {
    this.#session = QuicheSession.open(this.#parts, this.#handle);
    return this.#session;
  }

  /** Address of the session's native object, for the test client, which sends what the port does not have. */
  get sessionAddress(): number {
    return must(this.#session, "the session is open").address;
  }

  peerCertificates(): Uint8Array[] {
    const { native, foreign } = this.#parts.library;
    const size = native.spooky_conn_peer_chain(this.#handle.address, 0, 0);
    if (size === 0) return [];
    const arena = new Arena(foreign, size);
    native.spooky_conn_peer_chain(this.#handle.address, arena.address, size);
    const certificates: Uint8Array[] = [];
    for (let at = 0; at < size;) {
      const from = at + CHAIN_LENGTH_BYTES;
      at = from + arena.view.getUint32(at, true);
      certificates.push(arena.bytes.slice(from, at));
    }
    return certificates;
  }

  serverName(): string {
    const { library, scratch } = this.#parts;
    const { arena, word, length } = scratch;
    library.native.quiche_conn_server_name(this.#handle.address, arena.address + word, arena.address + length);
    return this.#copyText(arena.getWide(word), arena.getWide(length));
  }

  free(): void {
    this.#session?.free();
    this.#session = null;
    this.#handle.free();
  }

  #readError(
    by: "peer" | "local",
    read: (conn: number, isApp: number, code: number, reason: number, reasonLength: number) => boolean,
  ): CloseReason | null {
    const { arena, flag, code, word, length } = this.#parts.scratch;
    const at = arena.address;
    if (!read(this.#handle.address, at + flag, at + code, at + word, at + length)) return null;
    const app = must(arena.bytes[flag], "the flag lies in the arena") !== 0;
    const number = arena.getWide(code);
    return { by, app, code: number, reason: this.#copyText(arena.getWide(word), arena.getWide(length)) };
  }

  /** Text of the peer's, printable ASCII only: it goes into logs. */
  #copyText(address: number, lengthBytes: number): string {
    const { arena, text } = this.#parts.scratch;
    const size = Math.min(lengthBytes, TEXT_BYTES_MAX);
    this.#parts.library.copyIn(arena, text, address, size);
    let out = "";
    for (const byte of arena.bytes.subarray(text, text + size))
      out += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "?";
    return out;
  }
}

/** BoringSSL's `ssl_early_data_reason_t`. 11 is none. */
const EARLY_REASONS: readonly EarlyReason[] = [
  ...(["unknown", "off", "accepted", "protocol-version", "not-offered", "no-ticket"] as const),
  ...(["ticket-not-taken", "ticket-without", "hello-retry", "alpn", "channel-id", "unknown"] as const),
  ...(["ticket-age", "other-limits", "alps"] as const),
];

/** Sizes of what goes through the scratch memory. */
export const SCRATCH = {
  ...{ idBytes: ID_BYTES_MAX, tokenBytes: RESET_TOKEN_BYTES, textBytes: TEXT_BYTES_MAX },
  /** A ClientHello's random and two words: `spooky_conn_early_facts`. */
  earlyBytes: RANDOM_BYTES + 8,
} as const;
