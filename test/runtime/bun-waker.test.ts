/** Sleeping outside Bun's loop: what ends a sleep, and who watches when nothing comes. */
import { afterEach, describe, expect, test } from "bun:test";
import { Counters } from "../../src/core/counters.ts";
import { createBunWaker } from "../../src/runtime/bun-waker.ts";
import type { Waker, WakerHost } from "../../src/runtime/runtime.ts";
import { SEND_INFO } from "../../ffi/layout.ts";
import { Library } from "../../ffi/library.ts";
import { writeSockaddr } from "../../ffi/sockaddr.ts";
import { UdpSocket } from "../../ffi/udp-socket.ts";
import { waitUntil } from "../support/net.ts";
import { openTestLibrary } from "../support/native.ts";

/** A sleep that nothing ends would end the test run. */
const FOR_EVER_MS = 3_600_000;
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** A socket with its waker, and what both have done. */
class Bed implements WakerHost {
  readonly socket: UdpSocket;
  readonly #sender: UdpSocket;
  turnDue = false;
  deadlineMs = Infinity;
  wakes = 0;
  /** Sleeps, and those of them that ended by time. */
  sleeps = 0;
  sleptOut = 0;
  /** How often the thread was asked to watch. */
  threadArms = 0;
  rearm = true;
  readonly library: Library;
  #waker: Waker | null = null;

  constructor() {
    const { foreign, libc, native } = openTestLibrary();
    const poll = (address: number, count: number | bigint, maxMs: number): number => {
      this.sleeps += 1;
      const ready = libc.poll(address, count, maxMs);
      if (ready === 0) this.sleptOut += 1;
      return ready;
    };
    const arm = (waker: number, mask: number): number => {
      this.threadArms += 1;
      return native.spooky_waker_arm(waker, mask);
    };
    this.library = new Library(foreign, { ...libc, poll }, { ...native, spooky_waker_arm: arm });
    this.socket = this.#open();
    this.#sender = this.#open();
  }

  static async make(sleepMsMax: number): Promise<Bed> {
    const bed = new Bed();
    bed.#waker = await createBunWaker(bed.library, [bed.socket.fd], bed, sleepMsMax);
    cleanups.push(() => bed.#waker?.close());
    bed.arm();
    return bed;
  }

  arm(): void {
    this.#waker?.arm(false);
  }

  onWake(): void {
    this.wakes += 1;
    this.socket.receive();
    if (this.rearm) this.arm();
  }

  /** A datagram for the socket. */
  send(): void {
    const { outgoing } = this.#sender;
    const to = { ip: "127.0.0.1", port: this.socket.localPort };
    const length = writeSockaddr(outgoing.meta, outgoing.info + SEND_INFO.to, to);
    outgoing.meta.view.setUint32(outgoing.info + SEND_INFO.to_len, length, true);
    outgoing.append(1);
    outgoing.flush();
  }

  /** Wakes it once by the thread; from then on it sleeps by itself. */
  async wakeByThread(): Promise<void> {
    this.send();
    await waitUntil(() => this.wakes > 0);
  }

  #open(): UdpSocket {
    const buffers = { receiveBufferBytes: 1 << 20, sendBufferBytes: 1 << 20 };
    const socket = new UdpSocket(this.library, { ip: "127.0.0.1", port: 0, ...buffers }, new Counters());
    cleanups.push(() => socket.close());
    return socket;
  }
}

describe("a process that sleeps outside Bun's loop", () => {
  test("is woken by a datagram: the first time by the thread, then by its own sleep", async () => {
    const bed = await Bed.make(FOR_EVER_MS);
    bed.rearm = false;
    await bed.wakeByThread();
    expect([bed.sleeps, bed.threadArms]).toEqual([0, 1]);
    bed.arm();
    bed.send();
    await waitUntil(() => bed.wakes === 2);
    expect([bed.sleeps, bed.sleptOut, bed.threadArms]).toEqual([1, 0, 1]);
  });

  test("is woken by sockets of Bun's loop and by a fetch, which Bun runs on a thread of its own", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("awake") });
    cleanups.push(() => void server.stop(true));
    const bed = await Bed.make(FOR_EVER_MS);
    const wakeUp = bed.wakeByThread();
    // Until the thread has woken it for the first time it does not sleep by itself; on a busy machine many requests are faster.
    for (let i = 0; i < 20 || bed.sleeps === 0; i++) {
      const response = await fetch(server.url);
      expect(await response.text()).toBe("awake");
    }
    bed.rearm = false;
    bed.send();
    await wakeUp;
    expect(bed.sleptOut).toBe(0);
  });

  test("wakes when the loop's next deadline has come", async () => {
    const bed = await Bed.make(FOR_EVER_MS);
    bed.rearm = false;
    await bed.wakeByThread();
    bed.deadlineMs = performance.now() + 3;
    bed.arm();
    await new Promise((resolve) => setTimeout(resolve, 3));
    bed.deadlineMs = Infinity;
    expect(bed.sleptOut).toBeGreaterThan(0);
    bed.send();
    await waitUntil(() => bed.wakes === 2);
  });

  test("does not sleep while a turn is due", async () => {
    const bed = await Bed.make(FOR_EVER_MS);
    bed.rearm = false;
    await bed.wakeByThread();
    bed.turnDue = true;
    bed.arm();
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(bed.sleeps).toBe(0);
    bed.send();
    bed.turnDue = false;
    await waitUntil(() => bed.wakes === 2);
    expect(bed.sleeps).toBe(1);
  });

  test("leaves the watch to the thread once a sleep brought nothing, and is woken all the same", async () => {
    const bed = await Bed.make(2);
    await bed.wakeByThread();
    await waitUntil(() => bed.threadArms === 2);
    const { sleeps } = bed;
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(bed.sleeps).toBe(sleeps);
    bed.send();
    await waitUntil(() => bed.wakes === 2);
  });

  test("never sleeps when the environment leaves all waking to the thread", async () => {
    process.env["SPOOKY_WAKER"] = "thread";
    cleanups.push(() => delete process.env["SPOOKY_WAKER"]);
    const bed = await Bed.make(FOR_EVER_MS);
    for (let wakes = 1; wakes <= 5; wakes++) {
      bed.send();
      await waitUntil(() => bed.wakes === wakes);
    }
    expect([bed.sleeps, bed.threadArms]).toEqual([0, 6]);
  });
});
