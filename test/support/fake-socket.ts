/** The socket of the engine port by script: datagrams go in by hand, and what would have been sent can be looked at. */
import { assert, must } from "../../src/core/assert.ts";
import { LIMITS } from "../../src/core/limits.ts";
import type { DatagramSocket } from "../../src/quic/engine.ts";
import type { FakeConnection } from "./fake-engine.ts";

/** What memory that may be written over is written over with, so that whoever kept a view of it is found out. */
export const STALE = 0xa5;

/** A packet on its way out. */
export interface FakePacket {
  readonly from: FakeConnection | null;
}

/** A socket without a kernel. */
export class FakeSocket implements DatagramSocket {
  readonly localText = "127.0.0.1:443";
  readonly localPort = 443;
  readonly received = new Uint8Array(LIMITS.datagramsPerTurnMax * LIMITS.datagramBytesMax);
  /** What the kernel has taken. */
  readonly sent: FakePacket[] = [];
  /** While true the kernel takes nothing. */
  full = false;
  /** Packets that a batch holds. */
  batchMax = 1024;
  flushes = 0;
  closed = false;
  /** The sender of everything: 192.0.2.1 unless a test says otherwise. */
  port = 50_000;
  readonly peerPort = (): number => this.port;
  readonly peer = Uint32Array.from([0, 0, 0xffff, 0xc0000201]);
  readonly #waiting: Uint8Array[] = [];
  #lengths: number[] = [];
  readonly #batch: FakePacket[] = [];

  /** Puts a datagram where `receive` will find it. */
  arrive(datagram: Uint8Array): void {
    this.#waiting.push(datagram);
  }

  /** Datagrams not yet received. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Packets collected and not yet taken by the kernel. */
  get collected(): number {
    return this.#batch.length;
  }

  receive(): number {
    this.#lengths.forEach((length, slot) => {
      const at = this.offsetOf(slot);
      this.received.fill(STALE, at, at + length);
    });
    const taken = this.#waiting.splice(0, LIMITS.datagramsPerTurnMax);
    this.#lengths = taken.map((datagram) => datagram.length);
    taken.forEach((datagram, slot) => this.received.set(datagram, this.offsetOf(slot)));
    return taken.length;
  }

  offsetOf(slot: number): number {
    assert(slot >= 0 && slot < this.#lengths.length, "a slot is one of the last batch");
    return slot * LIMITS.datagramBytesMax;
  }

  lengthOf(slot: number): number {
    return must(this.#lengths[slot], "a slot is one of the last batch");
  }

  peerWords(_slot: number): Uint32Array {
    return this.peer;
  }

  /** For connections: false when the batch is full. */
  append(packet: FakePacket): boolean {
    if (this.#batch.length >= this.batchMax) return false;
    this.#batch.push(packet);
    return true;
  }

  flush(): boolean {
    this.flushes += 1;
    if (this.full) return this.#batch.length === 0;
    this.sent.push(...this.#batch.splice(0));
    return true;
  }

  close(): void {
    this.closed = true;
  }
}
