/**
 * Datagrams to send, collected over a turn and handed over in few `sendmmsg` calls. Packets of equal size to one address become one
 * message with `UDP_SEGMENT`, which for large bodies halves the cost of everything; a kernel or card that refuses it gets plain messages.
 */
import type { Counters } from "../src/core/counters.ts";
import { LIMITS } from "../src/core/limits.ts";
import {
  CMSG,
  ERRNO,
  IN6_PKTINFO,
  IN_PKTINFO,
  IOVEC,
  MMSGHDR,
  SEND_INFO,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOCKET,
} from "./layout.ts";
import type { Libc, Library } from "./library.ts";
import { Arena } from "./memory.ts";
import { SOCKADDR_BYTES } from "./sockaddr.ts";
import type { BoundSocket } from "./udp-open.ts";

const MESSAGES = LIMITS.messagesPerSendMax;
const DATA_BYTES = LIMITS.sendArenaBytesMax;
const PACKET_BYTES = LIMITS.sendDatagramBytesMax;
const CONTROL_BYTES = 128;
/** The kernel's maximum (UDP_MAX_SEGMENTS before Linux 6.9). */
const SEGMENTS_MAX = 64;
/** One message is one UDP datagram to the kernel until it is cut: 65,507 bytes over IPv4, and 20 less over IPv6. */
const MESSAGE_BYTES_MAX = 65_487;

/** The two calls that sending needs; tests inject failures here. */
export interface SendKernel {
  readonly sendmmsg: Libc["sendmmsg"];
  /** Of the last `sendmmsg`. */
  errno(): number;
}

/** Collects and sends for one socket. */
export class SendBatch {
  /** Packets are written here by the engine. */
  readonly data: Arena;
  /** `quiche_send_info` is written here by the engine; then the messages' headers and addresses. */
  readonly meta: Arena;
  /** Offset in `meta` of the `quiche_send_info`. */
  readonly info: number;
  readonly #kernel: SendKernel;
  readonly #socket: BoundSocket;
  readonly #counters: Counters;
  readonly #headers: number;
  readonly #vectors: number;
  readonly #names: number;
  readonly #locals: number;
  readonly #controls: number;
  readonly #segmentBytes = new Int32Array(MESSAGES);
  readonly #totalBytes = new Int32Array(MESSAGES);
  readonly #startAt = new Int32Array(MESSAGES);
  #used = 0;
  #count = 0;
  /** The last message may still grow. */
  #open = false;
  /** First message not yet taken by the kernel. */
  #next = 0;
  #segmentation = true;

  constructor(
    library: Library,
    socket: BoundSocket,
    counters: Counters,
    kernel: SendKernel = { sendmmsg: library.libc.sendmmsg, errno: () => library.errno() },
  ) {
    this.#kernel = kernel;
    this.#socket = socket;
    this.#counters = counters;
    this.data = new Arena(library.foreign, DATA_BYTES);
    const perMessage = MMSGHDR.size + IOVEC.size + 2 * SOCKADDR_BYTES + CONTROL_BYTES;
    this.meta = new Arena(library.foreign, SEND_INFO.size + MESSAGES * perMessage + 64);
    this.info = this.meta.take(SEND_INFO.size);
    this.#headers = this.meta.take(MESSAGES * MMSGHDR.size);
    this.#vectors = this.meta.take(MESSAGES * IOVEC.size);
    this.#names = this.meta.take(MESSAGES * SOCKADDR_BYTES);
    this.#locals = this.meta.take(MESSAGES * SOCKADDR_BYTES);
    this.#controls = this.meta.take(MESSAGES * CONTROL_BYTES);
    for (let i = 0; i < MESSAGES; i++) this.#prepare(i);
  }

  /** True when one more packet of any size fits. False also while the kernel takes no more. */
  get hasRoom(): boolean {
    return this.#next === 0 && this.#count < MESSAGES && this.#used + PACKET_BYTES <= DATA_BYTES;
  }

  /** True when something waits to be sent. */
  get hasWork(): boolean {
    return this.#count > this.#next;
  }

  /** Where the next packet is written: an address with `PACKET_BYTES` of room. */
  get writeAddress(): number {
    return this.data.address + this.#used;
  }

  /** Room at `writeAddress`, bytes. */
  get writeRoom(): number {
    return PACKET_BYTES;
  }

  /** Address of the `quiche_send_info` to be filled. */
  get infoAddress(): number {
    return this.meta.address + this.info;
  }

  /** Takes a packet that was made outside, addressed as the send info says. */
  appendBytes(packet: Uint8Array): void {
    this.data.bytes.set(packet, this.#used);
    this.append(packet.length);
  }

  /** Takes the packet of `length` bytes at `writeAddress`, addressed as the send info says. */
  append(length: number): void {
    const last = this.#count - 1;
    if (this.#open && this.#canJoin(last, length)) {
      if (length < (this.#segmentBytes[last] ?? 0)) this.#open = false;
      this.#totalBytes[last] = (this.#totalBytes[last] ?? 0) + length;
    } else {
      this.#begin(length);
    }
    this.#used += length;
    this.#counters.datagramsSent += 1;
    this.#counters.bytesSent += length;
  }

  /** Sends everything. False: the kernel takes no more now; what is left stays and goes first next time. */
  flush(): boolean {
    if (!this.hasWork) return true;
    for (let i = this.#next; i < this.#count; i++) this.#finish(i);
    this.#open = false;
    while (this.#next < this.#count) {
      const sent =
        this.#segmentation || !this.#isSegmented(this.#next) ? this.#sendFrom(this.#next) : this.#sendPlain(this.#next);
      if (sent < 0) return false;
      this.#next += sent;
    }
    this.#used = 0;
    this.#count = 0;
    this.#next = 0;
    return true;
  }

  #canJoin(last: number, length: number): boolean {
    const segment = this.#segmentBytes[last] ?? 0;
    const total = this.#totalBytes[last] ?? 0;
    if (!this.#segmentation || length > segment) return false;
    if (total + length > MESSAGE_BYTES_MAX || total >= segment * SEGMENTS_MAX) return false;
    if (!this.#sameWords(this.info + SEND_INFO.to, this.#names + last * SOCKADDR_BYTES, this.#toLength())) return false;
    return (
      !this.#socket.wildcard ||
      this.#sameWords(this.info + SEND_INFO.from, this.#locals + last * SOCKADDR_BYTES, this.#fromLength())
    );
  }

  #toLength(): number {
    return this.meta.view.getUint32(this.info + SEND_INFO.to_len, true);
  }

  #fromLength(): number {
    return this.meta.view.getUint32(this.info + SEND_INFO.from_len, true);
  }

  #sameWords(a: number, b: number, lengthBytes: number): boolean {
    const { words } = this.meta;
    for (let i = 0; i < lengthBytes >> 2; i++) if (words[(a >> 2) + i] !== words[(b >> 2) + i]) return false;
    return true;
  }

  #begin(length: number): void {
    const i = this.#count++;
    const name = this.#names + i * SOCKADDR_BYTES;
    const { bytes, view } = this.meta;
    const to = this.info + SEND_INFO.to;
    bytes.copyWithin(name, to, to + SOCKADDR_BYTES);
    if (this.#socket.wildcard) {
      const from = this.info + SEND_INFO.from;
      bytes.copyWithin(this.#locals + i * SOCKADDR_BYTES, from, from + SOCKADDR_BYTES);
    }
    view.setUint32(this.#headers + i * MMSGHDR.size + MMSGHDR.msg_namelen, this.#toLength(), true);
    this.#startAt[i] = this.#used;
    this.#segmentBytes[i] = length;
    this.#totalBytes[i] = length;
    this.#open = true;
  }

  #isSegmented(i: number): boolean {
    return (this.#totalBytes[i] ?? 0) > (this.#segmentBytes[i] ?? 0);
  }

  /** Writes what is only known when a message grows no more. */
  #finish(i: number): void {
    const vector = this.#vectors + i * IOVEC.size;
    const header = this.#headers + i * MMSGHDR.size;
    this.meta.setWide(vector + IOVEC.iov_base, this.data.address + (this.#startAt[i] ?? 0));
    this.meta.setWide(vector + IOVEC.iov_len, this.#totalBytes[i] ?? 0);
    let controlLength = this.#socket.wildcard ? this.#writePktinfo(i) : 0;
    if (this.#isSegmented(i)) controlLength += this.#writeSegment(i, controlLength);
    this.meta.setWide(header + MMSGHDR.msg_controllen, controlLength);
  }

  #sendFrom(first: number): number {
    const sent = this.#call(first, this.#runLength(first));
    if (sent > 0) return sent;
    const errno = this.#kernel.errno();
    if (errno === ERRNO.EINTR) return 0;
    if (errno === ERRNO.EAGAIN || errno === ERRNO.ENOBUFS) return this.#blocked();
    if (this.#isSegmented(first) && isSegmentationRefusal(errno)) return this.#tryWithout(first);
    // This one message cannot be sent (no route, too large for the path ...). The peer will miss it and say so.
    this.#counters.sendErrors += 1;
    return 1;
  }

  /** The same message cut by us. Only when that goes out was it segmentation that was refused, and not this one address. */
  #tryWithout(i: number): number {
    const errorsBefore = this.#counters.sendErrors;
    const sent = this.#sendPlain(i);
    if (this.#counters.sendErrors === errorsBefore) {
      this.#segmentation = false;
      this.#counters.gsoFallbacks += 1;
    }
    return sent;
  }

  /** How many messages from `first` on may go in one call: all, unless segmentation was just refused. */
  #runLength(first: number): number {
    if (this.#segmentation) return this.#count - first;
    let length = 0;
    while (first + length < this.#count && !this.#isSegmented(first + length)) length++;
    return length;
  }

  /** One message that was built for segmentation, cut by us. */
  #sendPlain(i: number): number {
    const vector = this.#vectors + i * IOVEC.size;
    const header = this.#headers + i * MMSGHDR.size;
    const total = this.#totalBytes[i] ?? 0;
    const segment = this.#segmentBytes[i] ?? 0;
    const start = this.#startAt[i] ?? 0;
    this.meta.setWide(header + MMSGHDR.msg_controllen, this.#socket.wildcard ? this.#writePktinfo(i) : 0);
    for (let at = 0; at < total; at += segment) {
      this.meta.setWide(vector + IOVEC.iov_base, this.data.address + start + at);
      this.meta.setWide(vector + IOVEC.iov_len, Math.min(segment, total - at));
      // A full socket in the middle of a message loses the rest of it; loss recovery is what QUIC has for that.
      if (this.#call(i, 1) <= 0) this.#counters.sendErrors += 1;
    }
    return 1;
  }

  #call(first: number, count: number): number {
    this.#counters.sendCalls += 1;
    const at = this.meta.address + this.#headers + first * MMSGHDR.size;
    return this.#kernel.sendmmsg(this.#socket.fd, at, count, SOCKET.MSG_DONTWAIT);
  }

  #blocked(): number {
    this.#counters.sendBlocked += 1;
    return -1;
  }

  #writePktinfo(i: number): number {
    const control = this.#controls + i * CONTROL_BYTES;
    const local = this.#locals + i * SOCKADDR_BYTES;
    const { bytes, view } = this.meta;
    const data = control + CMSG.data;
    if (view.getUint16(local, true) === SOCKET.AF_INET) {
      this.#writeControlHead(control, CMSG.pktinfoLen, SOCKET.IPPROTO_IP, SOCKET.IP_PKTINFO);
      view.setUint32(data + IN_PKTINFO.ipi_ifindex, 0, true);
      const address = local + SOCKADDR_IN.sin_addr;
      bytes.copyWithin(data + IN_PKTINFO.ipi_spec_dst, address, address + 4);
      view.setUint32(data + IN_PKTINFO.ipi_addr, 0, true);
      return CMSG.pktinfoSpace;
    }
    this.#writeControlHead(control, CMSG.pktinfo6Len, SOCKET.IPPROTO_IPV6, SOCKET.IPV6_PKTINFO);
    const address = local + SOCKADDR_IN6.sin6_addr;
    bytes.copyWithin(data + IN6_PKTINFO.ipi6_addr, address, address + 16);
    view.setUint32(data + IN6_PKTINFO.ipi6_ifindex, view.getUint32(local + SOCKADDR_IN6.sin6_scope_id, true), true);
    return CMSG.pktinfo6Space;
  }

  #writeSegment(i: number, offset: number): number {
    const control = this.#controls + i * CONTROL_BYTES + offset;
    this.#writeControlHead(control, CMSG.segmentLen, SOCKET.IPPROTO_UDP, SOCKET.UDP_SEGMENT);
    this.meta.view.setUint16(control + CMSG.data, this.#segmentBytes[i] ?? 0, true);
    return CMSG.segmentSpace;
  }

  #writeControlHead(at: number, length: number, level: number, type: number): void {
    this.meta.setWide(at + CMSG.cmsg_len, length);
    this.meta.view.setInt32(at + CMSG.cmsg_level, level, true);
    this.meta.view.setInt32(at + CMSG.cmsg_type, type, true);
  }

  #prepare(i: number): void {
    const header = this.#headers + i * MMSGHDR.size;
    const { meta } = this;
    meta.setWide(header + MMSGHDR.msg_name, meta.address + this.#names + i * SOCKADDR_BYTES);
    meta.setWide(header + MMSGHDR.msg_iov, meta.address + this.#vectors + i * IOVEC.size);
    meta.setWide(header + MMSGHDR.msg_iovlen, 1);
    meta.setWide(header + MMSGHDR.msg_control, meta.address + this.#controls + i * CONTROL_BYTES);
  }
}

/** The ways kernels and drivers say that they do not segment: no checksum offload (EIO), unknown option, no support. */
function isSegmentationRefusal(errno: number): boolean {
  return errno === ERRNO.EIO || errno === ERRNO.EINVAL || errno === ERRNO.EOPNOTSUPP;
}
