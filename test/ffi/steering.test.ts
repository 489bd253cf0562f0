/** The kernel against the router: sockets that share a port on the loopback address, with the real program attached. */
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { ProxyError } from "../../src/core/error.ts";
import { Random } from "../../src/core/random.ts";
import { BPF, encodeProgram } from "../../src/quic/cbpf.ts";
import { readMark, SLOT_MASK } from "../../src/quic/id-mark.ts";
import { routeDatagram, slotsOfBank, steeringProgram, type SteeringPlan } from "../../src/quic/steer.ts";
import { BPF_CODES, SOCK_FPROG, SOCKET } from "../../ffi/layout.ts";
import type { Library } from "../../ffi/library.ts";
import { attachSteering, steeringSupport } from "../../ffi/steering.ts";
import { UdpSocket } from "../../ffi/udp-socket.ts";
import { openTestLibrary } from "../support/native.ts";
import { anyDatagram, randomMark, randomPlan } from "../support/steering.ts";

const library = openTestLibrary();
const buffers = { receiveBufferBytes: 1 << 20, sendBufferBytes: 1 << 20 };
const support = steeringSupport(library);
const steered = test.skipIf(!support.supported);
const closers: (() => void)[] = [];
afterAll(() => closers.forEach((close) => close()));

/** Two banks of sockets on one port, and who sends to them. */
interface Group {
  readonly port: number;
  readonly sockets: readonly UdpSocket[];
  use(plan: SteeringPlan): void;
  send(datagram: Uint8Array): void;
  /** Takes what has arrived: for each datagram its slot and its bytes. */
  take(): { slot: number; bytes: Uint8Array }[];
}

async function openGroup(members: number, ip: string = "127.0.0.1"): Promise<Group> {
  const sockets: UdpSocket[] = [];
  for (let i = 0; i < members; i++) {
    const port = sockets[0]?.localPort ?? 0;
    sockets.push(new UdpSocket(library, { ip, port, ...buffers, sharePort: true }, new Counters()));
  }
  const port = must(sockets[0], "a group has members").localPort;
  // Two senders, so that the kernel's own hash would spread what they send.
  const senders = await Promise.all([0, 1].map(() => Bun.udpSocket({ hostname: ip })));
  closers.push(() => {
    for (const socket of sockets) socket.close();
    for (const sender of senders) sender.close();
  });
  let turn = 0;
  return {
    port,
    sockets,
    use: (plan) => attachSteering(library, sockets[0]?.fd ?? -1, encodeProgram(steeringProgram(plan))),
    send(datagram) {
      const sent = senders[turn++ & 1]?.send(datagram, port, ip);
      expect(sent).toBe(true);
    },
    take: () => sockets.flatMap((socket, slot) => takeAll(socket).map((bytes) => ({ slot, bytes }))),
  };
}

function takeAll(socket: UdpSocket): Uint8Array[] {
  const taken: Uint8Array[] = [];
  for (let count = socket.receive(); count > 0; count = socket.receive()) {
    for (let i = 0; i < count; i++) {
      const at = socket.offsetOf(i);
      taken.push(socket.received.slice(at, at + socket.lengthOf(i)));
    }
  }
  return taken;
}

/** Takes until all are there; loopback may finish a delivery a moment later. Gives up after so many empty looks. */
async function takeEvery(group: Group, count: number): Promise<{ slot: number; bytes: Uint8Array }[]> {
  const taken = group.take();
  for (let looks = 0; taken.length < count && looks < 1000; looks++) {
    await Bun.sleep(1);
    taken.push(...group.take());
  }
  return taken;
}

describe("the kernel (needs SO_ATTACH_REUSEPORT_CBPF)", () => {
  for (const ip of ["127.0.0.1", "::1"]) {
    steered(`puts 6,000 datagrams of every kind where the router says, over ${ip}`, async () => {
      const group = await openGroup(64, ip);
      const random = Random.fromEntropy([ip.length, 3]);
      for (let round = 0; round < 60; round++) {
        const plan = randomPlan(random);
        group.use(plan);
        for (let sent = 0; sent < 100; sent += 50) {
          const datagrams = Array.from({ length: 50 }, () => anyDatagram(random, plan.mark));
          for (const datagram of datagrams) group.send(datagram);
          const taken = await takeEvery(group, datagrams.length);
          const expected = datagrams.map((bytes) => `${routeDatagram(plan, bytes, 0, bytes.length)} ${bytes.toHex()}`);
          expect(taken.map(({ slot, bytes }) => `${slot} ${bytes.toHex()}`).toSorted()).toEqual(expected.toSorted());
        }
      }
    });
  }

  steered("puts empty and tiny datagrams where somebody reads, also when the first bank has no workers", async () => {
    const group = await openGroup(8);
    const mark = randomMark(Random.fromEntropy([1]), false);
    const plan = { mark, multiplier: 5, active: slotsOfBank(1, 4, 4), draining: null, standIns: [] };
    group.use(plan);
    for (let length = 0; length < 30; length++) {
      for (const first of [0x40, 0xc0]) group.send(new Uint8Array(length).fill(0).map((_, i) => (i === 0 ? first : 1)));
    }
    const taken = await takeEvery(group, 60);
    expect(taken.length).toBe(60);
    for (const { slot } of taken) expect(slot).toBeGreaterThanOrEqual(4);
  });

  steered("ends a program with index 0 where it would read beyond the datagram; ours never gets there", async () => {
    const group = await openGroup(4);
    const reading = encodeProgram([
      { code: BPF.LD_B_ABS, jt: 0, jf: 0, k: 5 },
      { code: BPF.LD_IMM, jt: 0, jf: 0, k: 3 },
      { code: BPF.RET_A, jt: 0, jf: 0, k: 0 },
    ]);
    attachSteering(library, group.sockets[0]?.fd ?? -1, reading);
    for (let i = 0; i < 10; i++) group.send(new Uint8Array(5 + (i & 1)));
    const taken = await takeEvery(group, 10);
    expect(taken.map(({ slot, bytes }) => [slot, bytes.length]).toSorted()).toEqual([
      ...Array.from({ length: 5 }, () => [0, 5]),
      ...Array.from({ length: 5 }, () => [3, 6]),
    ]);
  });

  steered(
    "loses, doubles and misleads nothing while programs are swapped under a sender's hands: 20,000 datagrams",
    async () => {
      const group = await openGroup(8);
      const mark = { idBytes: 18, at: 0, checkByte: 0x3c, veil: null };
      const base = { mark, multiplier: 0x9e37_79b1, standIns: [] };
      const [bankA, bankB] = [slotsOfBank(0, 4, 4), slotsOfBank(1, 4, 4)];
      const upgrade = encodeProgram(steeringProgram({ ...base, active: bankB, draining: bankA }));
      const back = encodeProgram(steeringProgram({ ...base, active: bankA, draining: bankB }));
      const count = 20_000;
      const burst = 500;
      const sender = Bun.spawn({
        cmd: [
          process.execPath,
          join(import.meta.dir, "steering.sender.ts"),
          group.port,
          count,
          burst,
          mark.checkByte,
        ].map(String),
        stdin: "pipe",
        stdout: "ignore",
        stderr: "inherit",
      });
      closers.push(() => sender.kill());
      const fd = must(group.sockets[0], "a group has members").fd;
      const seen = new Set<number>();
      const banks = [0, 0];
      let [arrived, swaps] = [0, 0];
      for (let asked = 0; asked < count; asked += burst) {
        sender.stdin.write("more\n");
        await sender.stdin.flush();
        for (let looks = 0; arrived < Math.min(count, asked + burst) && looks < 20_000; looks++) {
          attachSteering(library, fd, swaps++ % 2 === 0 ? upgrade : back);
          await Bun.sleep(0);
          for (const { slot, bytes } of group.take()) {
            arrived += 1;
            seen.add(new DataView(bytes.buffer, bytes.byteOffset).getUint32(56));
            const marked = bytes[5] === 18 ? readMark(mark, bytes, 6) : -1;
            if (marked >= 0) expect(slot).toBe(marked & SLOT_MASK);
            else banks[slot >> 2] = (banks[slot >> 2] ?? 0) + 1;
          }
        }
      }
      expect(await sender.exited).toBe(0);
      expect({ arrived, distinct: seen.size }).toEqual({ arrived: count, distinct: count });
      expect(banks[0]).toBeGreaterThan(0);
      expect(banks[1]).toBeGreaterThan(0);
      expect(swaps).toBeGreaterThan(100);
    },
  );

  steered("takes programs of every shape that a plan can have", async () => {
    const group = await openGroup(1);
    const random = Random.fromEntropy([77]);
    for (let round = 0; round < 2000; round++) group.use(randomPlan(random));
  });
});

describe("a kernel that cannot", () => {
  for (const [errno, message] of [
    [92, /cannot steer datagrams/],
    [1, /forbidden here/],
    [12, /no memory/],
    [22, /errno 22/],
  ] as const) {
    test(`says so with a typed error and what to do: errno ${errno}`, () => {
      const refusing = refusingLibrary(errno);
      const error = thrownBy(() => attachSteering(refusing, 0, new Uint8Array(8)));
      expect(error.code).toBe("SYSTEM_CALL");
      expect(error.message).toMatch(message);
      expect(steeringSupport(refusing)).toEqual({ supported: false, reason: error.message });
    });
  }

  test("takes the program and does not follow it: found out", () => {
    expect(steeringSupport(refusingLibrary(0))).toEqual({
      supported: false,
      reason: "the kernel takes the program that steers datagrams and does not follow it",
    });
  });
});

test("a program on a socket that shares no port is refused, and says so", () => {
  const alone = new UdpSocket(library, { ip: "127.0.0.1", port: 0, ...buffers }, new Counters());
  closers.push(() => alone.close());
  const program = encodeProgram([{ code: BPF.RET_A, jt: 0, jf: 0, k: 0 }]);
  expect(thrownBy(() => attachSteering(library, alone.fd, program)).code).toBe("SYSTEM_CALL");
});

test("a port is shared only by sockets that all ask for it", () => {
  const alone = new UdpSocket(library, { ip: "127.0.0.1", port: 0, ...buffers }, new Counters());
  closers.push(() => alone.close());
  const join = () =>
    new UdpSocket(library, { ip: "127.0.0.1", port: alone.localPort, ...buffers, sharePort: true }, new Counters());
  expect(thrownBy(join).code).toBe("ADDRESS_IN_USE");
});

test("the operation codes are those of the kernel's headers", () => {
  expect<Record<string, number>>(BPF_CODES).toEqual(BPF);
  const { size: _, len, filter, ...layout } = SOCK_FPROG;
  expect({ len, filter, ...layout }).toEqual({
    ...{ len: 0, filter: 8, filterSize: 8, filterCode: 0, filterJt: 2, filterJf: 3, filterK: 4 },
  });
});

/** The library with a setsockopt that fails for steering; errno 0 pretends to have done it. */
function refusingLibrary(errno: number): Library {
  const setsockopt: Library["libc"]["setsockopt"] = (fd, level, name, value, length) => {
    if (name === SOCKET.SO_ATTACH_REUSEPORT_CBPF) return errno === 0 ? 0 : -1;
    return library.libc.setsockopt(fd, level, name, value, length);
  };
  return Object.assign(Object.create(library), { libc: { ...library.libc, setsockopt }, errno: () => errno });
}

function thrownBy(run: () => unknown): ProxyError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof ProxyError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}
