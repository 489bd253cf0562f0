/** A UDP socket as the QUIC side sees it: a batch in, a batch out, over one descriptor. */
import type { Counters } from "../src/core/counters.ts";
import type { DatagramSocket } from "../src/quic/engine.ts";
import type { Library } from "./library.ts";
import { ReceiveBatch } from "./receive-batch.ts";
import { SendBatch } from "./send-batch.ts";
import { formatAddress, readAddressWords, readPort } from "./sockaddr.ts";
import { type BoundSocket, openUdpSocket, type UdpOptions } from "./udp-open.ts";

/** The socket port over libc. */
export class UdpSocket implements DatagramSocket {
  readonly bound: BoundSocket;
  readonly incoming: ReceiveBatch;
  readonly outgoing: SendBatch;
  readonly localText: string;
  readonly localPort: number;
  readonly received: Uint8Array;
  readonly #library: Library;
  readonly #peerWords = new Uint32Array(4);
  #closed = false;

  /** Over a socket that is bound already, which is its own from here on, or over one that it opens. Throws what `openUdpSocket` throws. */
  constructor(library: Library, socket: BoundSocket | UdpOptions, counters: Counters) {
    this.#library = library;
    this.bound = "fd" in socket ? socket : openUdpSocket(library, socket);
    this.incoming = new ReceiveBatch(library, this.bound, counters);
    this.outgoing = new SendBatch(library, this.bound, counters);
    this.localText = formatAddress(this.bound.local);
    this.localPort = this.bound.local.port;
    this.received = this.incoming.data.bytes;
  }

  /** The descriptor, for the waker. */
  get fd(): number {
    return this.bound.fd;
  }

  receive(): number {
    return this.incoming.receive();
  }

  offsetOf(slot: number): number {
    return this.incoming.offsetOf(slot);
  }

  lengthOf(slot: number): number {
    return this.incoming.lengthOf(slot);
  }

  peerWords(slot: number): Uint32Array {
    readAddressWords(this.incoming.meta, this.incoming.nameAt(slot), this.#peerWords);
    return this.#peerWords;
  }

  peerPort(slot: number): number {
    return readPort(this.incoming.meta, this.incoming.nameAt(slot));
  }

  flush(): boolean {
    return this.outgoing.flush();
  }

  /** Closes the descriptor. Idempotent, so that every way out may call it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#library.libc.close(this.bound.fd);
  }
}
