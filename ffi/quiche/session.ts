/** quiche's HTTP/3 on one connection, behind the engine port. A field section crosses in one call each way. */
import { assert } from "../../src/core/assert.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { EVENT, type EngineSession, type EventKind, type SectionKind, STREAM } from "../../src/quic/engine.ts";
import { Handle } from "../handle.ts";
import { H3_ERROR, H3_EVENT, PATH_STATS, QUICHE, QUICHE_ERROR } from "../layout.ts";
import type { Library } from "../library.ts";
import type { EngineParts } from "./engine.ts";

/** An event that was come upon while a body was read. */
interface PendingEvent {
  readonly kind: EventKind;
  readonly streamId: number;
  readonly moreFrames: boolean;
  readonly section: Uint8Array | null;
}

/** An HTTP/3 session. Freed by its connection. */
export class QuicheSession implements EngineSession {
  streamId = -1;
  moreFrames = false;
  section: Uint8Array | null = null;
  sectionBytes = 0;
  aborts = 0;
  packetsReceived = 0;
  bytesReceived = 0;
  bytesAcknowledged = 0;
  readableStreams = 0;
  emptyFrames = 0;
  readonly #parts: EngineParts;
  readonly #library: Library;
  readonly #connection: Handle;
  readonly #handle: Handle;
  #pending: PendingEvent[] = [];
  #pendingAt = 0;

  constructor(parts: EngineParts, connection: Handle, handle: Handle) {
    this.#parts = parts;
    this.#library = parts.library;
    this.#connection = connection;
    this.#handle = handle;
  }

  /** Begins HTTP/3: opens the control streams and sends SETTINGS. Null when quiche refuses. */
  static open(parts: EngineParts, connection: Handle): QuicheSession | null {
    const { native, ledger } = parts.library;
    const address = native.quiche_h3_conn_new_with_transport(connection.address, parts.h3Config.address);
    if (address === 0) return null;
    const handle = new Handle("session", address, ledger, native.quiche_h3_conn_free);
    return new QuicheSession(parts, connection, handle);
  }

  free(): void {
    this.#handle.free();
  }

  /** Of the native object. */
  get address(): number {
    return this.#handle.address;
  }

  get hasPending(): boolean {
    return this.#pending.length > this.#pendingAt;
  }

  poll(): EventKind {
    const waiting = this.#pending[this.#pendingAt];
    if (waiting === undefined) return this.#poll();
    this.#pendingAt += 1;
    if (!this.hasPending) {
      this.#pending = [];
      this.#pendingAt = 0;
    }
    this.streamId = waiting.streamId;
    this.moreFrames = waiting.moreFrames;
    this.section = waiting.section;
    this.sectionBytes = waiting.section?.length ?? 0;
    return waiting.kind;
  }

  get bodyBytes(): Uint8Array {
    return this.#parts.body.bytes;
  }

  /**
   * quiche's `recv_body` stops at frames that are no DATA (trailers, unknown ones) and at empty DATA frames, and only a poll gets
   * past them; for an empty DATA frame that poll may even find no event. So both are asked in turn while bytes lie unread.
   */
  readBody(streamId: number): number {
    const { native } = this.#library;
    for (let step = 0; step < LIMITS.bodyReadStepsMax; step++) {
      const size = this.#recvBody(streamId);
      if (size > 0) return size;
      if (size < 0 && streamNumber(size) !== STREAM.blocked) return streamNumber(size);
      if (!native.quiche_conn_stream_readable(this.#connection.address, streamId)) return STREAM.blocked;
      const kind = this.#poll();
      if (kind === EVENT.none || (kind === EVENT.data && this.streamId === streamId)) this.emptyFrames += 1;
      if (kind !== EVENT.none) this.#keep(kind);
      if (kind === EVENT.failed) return STREAM.gone;
    }
    return STREAM.blocked;
  }

  isFinished(streamId: number): boolean {
    return this.#library.native.quiche_conn_stream_finished(this.#connection.address, streamId);
  }

  sendSection(streamId: number, section: Uint8Array, kind: SectionKind, fin: boolean): number {
    const result = this.#library.native.spooky_h3_send_fields(
      this.#handle.address,
      this.#connection.address,
      streamId,
      section,
      section.length,
      kind,
      fin,
    );
    return result >= 0 ? 0 : streamNumber(result);
  }

  sendBody(streamId: number, bytes: Uint8Array, at: number, end: number, fin: boolean): number {
    assert(at >= 0 && at <= end && end <= bytes.length, "a piece of a body lies inside its array");
    const left = end - at;
    // The address is taken for this call alone; the array is referenced until it returns.
    const address = left === 0 ? this.#parts.body.address : this.#library.foreign.addressOf(bytes) + at;
    const sent = this.#library.native.quiche_h3_send_body(
      this.#handle.address,
      this.#connection.address,
      streamId,
      address,
      left,
      fin,
    );
    return sent >= 0 ? sent : streamNumber(sent);
  }

  roomOf(streamId: number): number {
    const room = this.#library.native.quiche_conn_stream_capacity(this.#connection.address, streamId);
    return room >= 0 ? room : transportNumber(room);
  }

  checkWritable(streamId: number): number {
    const result = this.#library.native.quiche_conn_stream_writable(this.#connection.address, streamId, 0);
    return result >= 0 ? 0 : transportNumber(result);
  }

  refreshCounts(): void {
    const { arena, counts } = this.#parts.scratch;
    this.#library.native.spooky_conn_counts(this.#connection.address, arena.address + counts);
    this.aborts = arena.getWide(counts);
    this.packetsReceived = arena.getWide(counts + 8);
    this.bytesReceived = arena.getWide(counts + 16);
    this.bytesAcknowledged = arena.getWide(counts + 24);
    this.readableStreams = arena.getWide(counts + 32);
  }

  openStreams(firstId: number, count: number): number[] {
    const { arena, streams } = this.#parts.scratch;
    const found = this.#library.native.spooky_conn_open_streams(
      this.#connection.address,
      firstId,
      count,
      arena.address + streams,
      LIMITS.openStreamsListedMax,
    );
    return Array.from({ length: found }, (_, i) => arena.getWide(streams + 8 * i));
  }

  isReset(streamId: number): boolean {
    // Reading nothing tells: quiche's HTTP/3 layer sees a reset only when body bytes are asked for.
    const { arena, flag, code } = this.#parts.scratch;
    const at = arena.address;
    const { native } = this.#library;
    const size = native.quiche_conn_stream_recv(this.#connection.address, streamId, at + code, 0, at + flag, at + code);
    return size === QUICHE_ERROR.QUICHE_ERR_STREAM_RESET;
  }

  resetStream(streamId: number, code: number): void {
    this.#shutdown(streamId, QUICHE.QUICHE_SHUTDOWN_WRITE, code);
    this.#shutdown(streamId, QUICHE.QUICHE_SHUTDOWN_READ, code);
  }

  stopReading(streamId: number, code: number): void {
    this.#shutdown(streamId, QUICHE.QUICHE_SHUTDOWN_READ, code);
  }

  sendGoaway(streamId: number | null): boolean {
    const id = streamId ?? HIGHEST_REQUEST_ID;
    return this.#library.native.quiche_h3_send_goaway(this.#handle.address, this.#connection.address, id) === 0;
  }

  roundTripMs(): number {
    const { arena, path } = this.#parts.scratch;
    let longestNs = 0;
    for (let index = 0; index < LIMITS.pathsPerConnectionMax; index++) {
      const at = arena.address + path;
      if (this.#library.native.quiche_conn_path_stats(this.#connection.address, index, at) < 0) break;
      longestNs = Math.max(longestNs, arena.getWide(path + PATH_STATS.rtt));
    }
    return longestNs / NS_PER_MS;
  }

  #poll(): EventKind {
    const { library, fields, scratch } = this.#parts;
    const kind = library.native.spooky_h3_poll(
      this.#handle.address,
      this.#connection.address,
      fields.address,
      LIMITS.fieldSectionBytesMax,
      scratch.arena.address + scratch.facts,
    );
    if (kind < 0) return kind === H3_ERROR.QUICHE_H3_ERR_DONE ? EVENT.none : EVENT.failed;
    this.streamId = scratch.arena.getWide(scratch.facts);
    if (kind !== H3_EVENT.QUICHE_H3_EVENT_HEADERS) return EVENT_OF[kind] ?? EVENT.other;
    const size = scratch.arena.word(scratch.facts + 8);
    this.section = size === TOO_LARGE ? null : fields.bytes;
    this.sectionBytes = size === TOO_LARGE ? 0 : size;
    this.moreFrames = scratch.arena.word(scratch.facts + 12) !== 0;
    return EVENT.fields;
  }

  /** Keeps an event for `poll`; its section is copied, because the memory it lies in is used again. */
  #keep(kind: EventKind): void {
    const section = kind === EVENT.fields ? (this.section?.slice(0, this.sectionBytes) ?? null) : null;
    this.#pending.push({ kind, streamId: this.streamId, moreFrames: this.moreFrames, section });
  }

  #recvBody(streamId: number): number {
    const { body } = this.#parts;
    return this.#library.native.quiche_h3_recv_body(
      this.#handle.address,
      this.#connection.address,
      streamId,
      body.address,
      LIMITS.bodyReadBytesMax,
    );
  }

  #shutdown(streamId: number, side: number, code: number): void {
    this.#library.native.quiche_conn_stream_shutdown(this.#connection.address, streamId, side, code);
  }
}

/** By quiche's numbers of events; HEADERS has more to it. */
const EVENT_OF: Readonly<Record<number, EventKind>> = {
  [H3_EVENT.QUICHE_H3_EVENT_DATA]: EVENT.data,
  [H3_EVENT.QUICHE_H3_EVENT_FINISHED]: EVENT.finished,
  [H3_EVENT.QUICHE_H3_EVENT_RESET]: EVENT.reset,
  [H3_EVENT.QUICHE_H3_EVENT_GOAWAY]: EVENT.goaway,
};
/** RFC 9114 5.2: 2^62 - 4. */
const HIGHEST_REQUEST_ID = 2n ** 62n - 4n;
const NS_PER_MS = 1_000_000;
/** In place of a section's size. */
const TOO_LARGE = 0xffff_ffff;

/** A result of quiche's HTTP/3 calls as a number of the port. */
function streamNumber(result: number): number {
  switch (result) {
    case H3_ERROR.QUICHE_H3_ERR_DONE:
    case H3_ERROR.QUICHE_H3_ERR_STREAM_BLOCKED:
    case H3_ERROR.QUICHE_H3_TRANSPORT_ERR_DONE:
      return STREAM.blocked;
    case H3_ERROR.QUICHE_H3_TRANSPORT_ERR_STREAM_STOPPED:
      return STREAM.stopped;
    default:
      return STREAM.gone;
  }
}

/** A result of quiche's transport calls as a number of the port. */
function transportNumber(result: number): number {
  if (result === QUICHE_ERROR.QUICHE_ERR_STREAM_STOPPED) return STREAM.stopped;
  return result === QUICHE_ERROR.QUICHE_ERR_DONE ? STREAM.blocked : STREAM.gone;
}
