/**
 * A turn's worth of received datagrams: one `recvmmsg` into fixed slots. Everything C needs to know about a slot (where its bytes,
 * its sender's address and our local address lie) is written once at the start.
 */
import type { Counters } from "../src/core/counters.ts";
import { LIMITS } from "../src/core/limits.ts";
import {
  CMSG,
  IN6_PKTINFO,
  IN_PKTINFO,
  IOVEC,
  MMSGHDR,
  RECV_INFO,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOCKET,
} from "./layout.ts";
import type { Library } from "./library.ts";
import { alignUp, Arena } from "./memory.ts";
import { SOCKADDR_BYTES, sockaddrLength, writeSockaddr } from "./sockaddr.ts";
import type { BoundSocket } from "./udp-open.ts";

const SLOTS = LIMITS.datagramsPerTurnMax;
const SLOT_BYTES = LIMITS.datagramBytesMax;
const CONTROL_BYTES = 128;
const LINK_LOCAL = 0xfe80;
const LINK_LOCAL_MASK = 0xffc0;

/** Receives for one socket. */
export class ReceiveBatch {
  /** The datagrams' bytes, `SLOT_BYTES` apart. */
  readonly data: Arena;
  /** Everything else; offsets below point into it. */
  readonly meta: Arena;
  readonly #library: Library;
  readonly #socket: BoundSocket;
  readonly #counters: Counters;
  readonly #headers: number;
  readonly #names: number;
  readonly #locals: number;
  readonly #controls: number;
  readonly #infos: number;
  #count: number = SLOTS;
  #kernelDrops = 0;

  constructor(library: Library, socket: BoundSocket, counters: Counters) {
    this.#library = library;
    this.#socket = socket;
    this.#counters = counters;
    this.data = new Arena(library.foreign, SLOTS * SLOT_BYTES);
    const perSlot = MMSGHDR.size + IOVEC.size + 2 * SOCKADDR_BYTES + CONTROL_BYTES + RECV_INFO.size;
    this.meta = new Arena(library.foreign, SLOTS * perSlot + 64);
    this.#headers = this.meta.take(SLOTS * MMSGHDR.size);
    const vectors = this.meta.take(SLOTS * IOVEC.size);
    this.#names = this.meta.take(SLOTS * SOCKADDR_BYTES);
    this.#locals = this.meta.take(SLOTS * SOCKADDR_BYTES);
    this.#controls = this.meta.take(SLOTS * CONTROL_BYTES);
    this.#infos = this.meta.take(SLOTS * RECV_INFO.size);
    for (let slot = 0; slot < SLOTS; slot++) this.#prepare(slot, vectors + slot * IOVEC.size);
  }

  /** Takes what the kernel has, up to `SLOTS` datagrams. A datagram that did not fit has length 0. */
  receive(): number {
    for (let slot = 0; slot < this.#count; slot++) this.#rearm(slot);
    const { libc } = this.#library;
    const count = libc.recvmmsg(this.#socket.fd, this.meta.address + this.#headers, SLOTS, SOCKET.MSG_DONTWAIT, 0);
    this.#counters.receiveCalls += 1;
    if (count <= 0) {
      this.#count = 0;
      return 0;
    }
    this.#count = count;
    this.#counters.datagramsReceived += count;
    for (let slot = 0; slot < count; slot++) this.#accept(slot);
    return count;
  }

  offsetOf(slot: number): number {
    return slot * SLOT_BYTES;
  }

  lengthOf(slot: number): number {
    return this.meta.view.getUint32(this.#headers + slot * MMSGHDR.size + MMSGHDR.msg_len, true);
  }

  /** Offset in `meta` of the sender's address. */
  nameAt(slot: number): number {
    return this.#names + slot * SOCKADDR_BYTES;
  }

  /** Offset in `meta` of the local address the datagram came to. */
  localAt(slot: number): number {
    return this.#locals + slot * SOCKADDR_BYTES;
  }

  /** Address of the slot's `quiche_recv_info`. */
  infoAddress(slot: number): number {
    return this.meta.address + this.#infos + slot * RECV_INFO.size;
  }

  /** Address of the datagram's bytes. */
  dataAddress(slot: number): number {
    return this.data.address + slot * SLOT_BYTES;
  }

  #prepare(slot: number, vector: number): void {
    const header = this.#headers + slot * MMSGHDR.size;
    const info = this.#infos + slot * RECV_INFO.size;
    const { meta } = this;
    meta.setWide(vector + IOVEC.iov_base, this.dataAddress(slot));
    meta.setWide(vector + IOVEC.iov_len, SLOT_BYTES);
    meta.setWide(header + MMSGHDR.msg_name, meta.address + this.nameAt(slot));
    meta.setWide(header + MMSGHDR.msg_iov, meta.address + vector);
    meta.setWide(header + MMSGHDR.msg_iovlen, 1);
    meta.setWide(header + MMSGHDR.msg_control, meta.address + this.#controls + slot * CONTROL_BYTES);
    const localLength = writeSockaddr(meta, this.localAt(slot), this.#socket.local);
    meta.setWide(info + RECV_INFO.from, meta.address + this.nameAt(slot));
    meta.setWide(info + RECV_INFO.to, meta.address + this.localAt(slot));
    meta.view.setUint32(info + RECV_INFO.to_len, localLength, true);
  }

  #rearm(slot: number): void {
    const header = this.#headers + slot * MMSGHDR.size;
    this.meta.view.setUint32(header + MMSGHDR.msg_namelen, SOCKADDR_BYTES, true);
    this.meta.view.setUint32(header + MMSGHDR.msg_controllen, CONTROL_BYTES, true);
  }

  #accept(slot: number): void {
    const header = this.#headers + slot * MMSGHDR.size;
    const { view } = this.meta;
    const length = view.getUint32(header + MMSGHDR.msg_len, true);
    this.#counters.bytesReceived += length;
    if ((view.getInt32(header + MMSGHDR.msg_flags, true) & SOCKET.MSG_TRUNC) !== 0) {
      this.#counters.datagramsTruncated += 1;
      view.setUint32(header + MMSGHDR.msg_len, 0, true);
    }
    const family = view.getUint16(this.nameAt(slot), true);
    view.setUint32(this.#infos + slot * RECV_INFO.size + RECV_INFO.from_len, sockaddrLength(family), true);
    if (view.getUint16(this.nameAt(slot) + SOCKADDR_IN.sin_port, false) === 0) {
      // Nobody can be answered at port 0: such a datagram is forged.
      this.#counters.datagramsFromPortZero += 1;
      view.setUint32(header + MMSGHDR.msg_len, 0, true);
    }
    const controlLength = view.getUint32(header + MMSGHDR.msg_controllen, true);
    if (controlLength > 0) this.#readControl(slot, controlLength);
  }

  #readControl(slot: number, length: number): void {
    const { view } = this.meta;
    let at = this.#controls + slot * CONTROL_BYTES;
    const end = at + length;
    // At most three messages fit into CONTROL_BYTES, so the walk is short whatever the lengths say.
    while (at + CMSG.size <= end) {
      const messageLength = view.getUint32(at + CMSG.cmsg_len, true);
      if (messageLength < CMSG.data) return;
      const level = view.getInt32(at + CMSG.cmsg_level, true);
      const type = view.getInt32(at + CMSG.cmsg_type, true);
      const data = at + CMSG.data;
      if (level === SOCKET.SOL_SOCKET && type === SOCKET.SO_RXQ_OVFL) this.#noteDrops(view.getUint32(data, true));
      else if (level === SOCKET.IPPROTO_IP && type === SOCKET.IP_PKTINFO) this.#setLocal4(slot, data);
      else if (level === SOCKET.IPPROTO_IPV6 && type === SOCKET.IPV6_PKTINFO) this.#setLocal6(slot, data);
      at += alignUp(messageLength, CMSG.align);
    }
  }

  /** The kernel counts drops since the socket was made; 32 bits that wrap. */
  #noteDrops(total: number): void {
    this.#counters.kernelDrops += (total - this.#kernelDrops) >>> 0;
    this.#kernelDrops = total;
  }

  #setLocal4(slot: number, data: number): void {
    const { bytes } = this.meta;
    const from = data + IN_PKTINFO.ipi_addr;
    bytes.copyWithin(this.localAt(slot) + SOCKADDR_IN.sin_addr, from, from + 4);
  }

  #setLocal6(slot: number, data: number): void {
    const { bytes, view } = this.meta;
    const local = this.localAt(slot);
    const from = data + IN6_PKTINFO.ipi6_addr;
    bytes.copyWithin(local + SOCKADDR_IN6.sin6_addr, from, from + 16);
    const linkLocal = (view.getUint16(from, false) & LINK_LOCAL_MASK) === LINK_LOCAL;
    const scope = linkLocal ? view.getUint32(data + IN6_PKTINFO.ipi6_ifindex, true) : 0;
    view.setUint32(local + SOCKADDR_IN6.sin6_scope_id, scope, true);
  }
}
