/** Sending: packets of equal size share a message, a kernel that refuses segmentation gets plain ones, a full one keeps the rest. */
import { afterAll, describe, expect, test } from "bun:test";
import { Counters } from "../../src/core/counters.ts";
import { ERRNO, MMSGHDR, SEND_INFO } from "../../ffi/layout.ts";
import { SendBatch, type SendKernel } from "../../ffi/send-batch.ts";
import { UdpSocket } from "../../ffi/udp-socket.ts";
import { writeSockaddr } from "../../ffi/sockaddr.ts";
import { openTestLibrary } from "../support/native.ts";

const library = openTestLibrary();
const buffers = { receiveBufferBytes: 4 << 20, sendBufferBytes: 4 << 20 };
const opened: UdpSocket[] = [];
afterAll(() => opened.forEach((socket) => socket.close()));

function openSocket(ip = "127.0.0.1"): UdpSocket {
  const socket = new UdpSocket(library, { ip, port: 0, ...buffers }, new Counters());
  opened.push(socket);
  return socket;
}

interface Bed {
  readonly batch: SendBatch;
  readonly counters: Counters;
  /** Puts a packet of `size` bytes of `fill` into the batch. */
  put(size: number, fill: number): void;
  /** Sizes and fills of what has arrived. */
  arrived(): [number, number][];
}

function bed(kernel?: SendKernel): Bed {
  const from = openSocket();
  const to = openSocket();
  const counters = new Counters();
  const batch = new SendBatch(library, from.bound, counters, kernel);
  const length = writeSockaddr(batch.meta, batch.info + SEND_INFO.to, to.bound.local);
  batch.meta.view.setUint32(batch.info + SEND_INFO.to_len, length, true);
  return {
    batch,
    counters,
    put(size, fill) {
      const at = batch.writeAddress - batch.data.address;
      batch.data.bytes.fill(fill, at, at + size);
      batch.append(size);
    },
    arrived() {
      const found: [number, number][] = [];
      for (let count = to.receive(); count > 0; count = to.receive()) {
        for (let slot = 0; slot < count; slot++) found.push([to.lengthOf(slot), to.received[to.offsetOf(slot)] ?? -1]);
      }
      return found;
    },
  };
}

describe("send batch", () => {
  test("packets of one size and a shorter last one are one message, a longer one begins another", () => {
    const { batch, counters, put, arrived } = bed();
    put(1200, 1);
    put(1200, 2);
    put(300, 3);
    put(1200, 4);
    put(1250, 5);
    expect(batch.flush()).toBe(true);
    expect(arrived()).toEqual([
      [1200, 1],
      [1200, 2],
      [300, 3],
      [1200, 4],
      [1250, 5],
    ]);
    expect(counters.sendCalls).toBe(1);
    expect(counters.datagramsSent).toBe(5);
  });

  test("200 packets keep their order and sizes over many messages", () => {
    const { batch, put, arrived } = bed();
    for (let i = 0; i < 200; i++) put(1300, i);
    expect(batch.flush()).toBe(true);
    expect(arrived()).toEqual(Array.from({ length: 200 }, (_, i) => [1300, i]));
  });

  for (const [name, errno] of [
    ["EIO", ERRNO.EIO],
    ["EINVAL", ERRNO.EINVAL],
    ["EOPNOTSUPP", ERRNO.EOPNOTSUPP],
  ] as const) {
    test(`a kernel that refuses segmentation with ${name} gets plain sends from then on, nothing is lost`, () => {
      const kernel = refusing(errno);
      const { batch, counters, put, arrived } = bed(kernel);
      for (const round of [1, 2]) {
        for (let i = 0; i < 5; i++) put(1200, round * 10 + i);
        put(100, round * 10 + 5);
        expect(batch.flush()).toBe(true);
        const fills = Array.from({ length: 6 }, (_, i) => round * 10 + i);
        expect(arrived()).toEqual(fills.map((fill, i) => [i < 5 ? 1200 : 100, fill]));
      }
      expect(counters.gsoFallbacks).toBe(1);
      expect(kernel.segmentedCalls).toBe(1);
      expect(counters.sendErrors).toBe(0);
    });
  }

  test.each(["EAGAIN", "ENOBUFS"] as const)("a full kernel (%s) keeps the rest, and goes on in order", (name) => {
    let full = true;
    const kernel: SendKernel = {
      sendmmsg: (fd, at, count, flags) => (full ? -1 : library.libc.sendmmsg(fd, at, count, flags)),
      errno: () => (full ? ERRNO[name] : library.errno()),
    };
    const { batch, counters, put, arrived } = bed(kernel);
    put(1000, 1);
    put(1200, 2);
    expect(batch.flush()).toBe(false);
    expect(counters.sendBlocked).toBe(1);
    expect(batch.hasWork).toBe(true);
    full = false;
    expect(batch.flush()).toBe(true);
    expect(arrived()).toEqual([
      [1000, 1],
      [1200, 2],
    ]);
  });

  test("a message that cannot be sent is counted and the next ones go", () => {
    let calls = 0;
    const kernel: SendKernel = {
      sendmmsg: (fd, at, count, flags) => (++calls === 1 ? -1 : library.libc.sendmmsg(fd, at, count, flags)),
      errno: () => ERRNO.EMSGSIZE,
    };
    const { batch, counters, put, arrived } = bed(kernel);
    put(1000, 1);
    put(1200, 2);
    expect(batch.flush()).toBe(true);
    expect(arrived()).toEqual([[1200, 2]]);
    expect(counters.sendErrors).toBe(1);
  });
});

/** Refuses every call whose first message carries a control message, as a device without checksum offload does. */
function refusing(errno: number): SendKernel & { segmentedCalls: number } {
  const kernel = {
    segmentedCalls: 0,
    sendmmsg(fd: number, at: number, count: number, flags: number): number {
      library.copyIn(library.scratch, 64, at + MMSGHDR.msg_controllen, 8);
      if (library.scratch.getWide(64) === 0) return library.libc.sendmmsg(fd, at, count, flags);
      kernel.segmentedCalls += 1;
      return -1;
    },
    errno: () => errno,
  };
  return kernel;
}
