import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { IdCodec } from "../../../src/quic/cid.ts";
import { readMark, SLOT_MASK } from "../../../src/quic/id-mark.ts";
import { routeDatagram, slotsOfBank, steeringProgram, type SteeringPlan } from "../../../src/quic/steer.ts";
import { runProgram } from "../../support/cbpf-machine.ts";
import {
  anyDatagram,
  idFor,
  longDatagram,
  randomBytes,
  randomMark,
  randomPlan,
  shortDatagram,
} from "../../support/steering.ts";

const MARK = { idBytes: 18, at: 0, checkByte: 0xa7, veil: null } as const;
const BANK_A = slotsOfBank(0, 4, 4);
const BANK_B = slotsOfBank(1, 4, 4);
const STEADY: SteeringPlan = { mark: MARK, multiplier: 0x9e37_79b1, active: BANK_A, draining: null, standIns: [] };
const UPGRADE: SteeringPlan = { ...STEADY, active: BANK_B, draining: BANK_A };

/** Ids as clients may choose them: random ones as all do, and ones that only count up in three of their bytes. */
const KINDS: readonly (readonly [string, (datagram: Uint8Array, random: Random, i: number) => void])[] = [
  [
    "random ids",
    (datagram, random) => {
      for (let at = 6; at < 14; at++) datagram[at] = random.nextUint32();
    },
  ],
  ["ids that count at their end", (datagram, _, i) => count(datagram, i, [13, 12, 11])],
  ["ids that count at their beginning", (datagram, _, i) => count(datagram, i, [6, 7, 8])],
  ["ids that count in the middle", (datagram, _, i) => count(datagram, i, [10, 9, 8])],
];

function count(datagram: Uint8Array, value: number, places: readonly number[]): void {
  for (const [i, place] of places.entries()) datagram[place] = value >>> (8 * i);
}

function route(plan: SteeringPlan, datagram: Uint8Array): number {
  return routeDatagram(plan, datagram, 0, datagram.length);
}

/** Whether a worker reads what comes to this slot. */
function isLive({ active, draining, standIns }: SteeringPlan, slot: number): boolean {
  if (standIns.some((standIn) => standIn.slot === slot)) return false;
  return [active, draining].some((range) => range !== null && slot >= range.first && slot < range.first + range.count);
}

test("100,000 random and mutated datagrams: the program and the router agree, on a worker that is there, within the datagram", () => {
  const random = Random.fromEntropy([117]);
  const seen = new Set<number>();
  let stepsMax = 0;
  for (let round = 0; round < 1000; round++) {
    const plan = randomPlan(random);
    const program = steeringProgram(plan);
    for (let i = 0; i < 100; i++) {
      const datagram = anyDatagram(random, plan.mark);
      const routed = route(plan, datagram);
      const { value, beyond, steps } = runProgram(program, datagram);
      if (value !== routed || beyond || !isLive(plan, routed)) {
        expect.unreachable(
          `kernel ${value}, router ${routed}, beyond ${beyond}: ${JSON.stringify({ plan, datagram })}`,
        );
      }
      seen.add(routed);
      stepsMax = Math.max(stepsMax, steps);
    }
  }
  expect(seen.size).toBe(64);
  expect(stepsMax).toBeLessThanOrEqual(45);
});

test("the router reads a datagram where it lies, and no further than its end", () => {
  const random = Random.fromEntropy([3]);
  const room = randomBytes(random, 600);
  for (let round = 0; round < 5000; round++) {
    const plan = randomPlan(random);
    const datagram = anyDatagram(random, plan.mark);
    const at = random.nextBelow(600 - datagram.length);
    room.set(datagram, at);
    expect(routeDatagram(plan, room, at, datagram.length)).toBe(route(plan, datagram));
  }
});

describe("an id of ours", () => {
  const random = Random.fromEntropy([5]);

  for (const [name, mark] of [
    ["in clear", MARK],
    ["under a veil", randomMark(random, true)],
  ] as const) {
    test(`${name} leads to its slot in both kinds of header and with any rotation`, () => {
      const plan = { ...UPGRADE, mark };
      for (let round = 0; round < 100; round++) {
        const slot = round % 8;
        const id = idFor(random, mark, slot);
        expect(readMark(mark, id, 0) & SLOT_MASK).toBe(slot);
        expect(route(plan, shortDatagram(random, id, 40))).toBe(slot);
        expect(route(plan, longDatagram(random, id, 1200))).toBe(slot);
      }
    });
  }

  test("made by the codec of a worker leads to that worker", () => {
    for (let slot = 0; slot < 8; slot++) {
      const codec = new IdCodec({ slot, rotation: slot & 3, checkByte: MARK.checkByte, mask: 7 }, (bytes) => {
        bytes.set(randomBytes(random, bytes.length));
      });
      expect(route(UPGRADE, longDatagram(random, codec.mint(slot), 1200))).toBe(slot);
    }
  });

  test("is known by every version of QUIC: versions are not looked at (RFC 8999)", () => {
    const datagram = longDatagram(random, idFor(random, MARK, 6), 60);
    datagram.set([0xff, 0, 0, 0x1d], 1);
    expect(route(UPGRADE, datagram)).toBe(6);
  });

  test("of the bank without workers leads around the other one, and any slot byte to some worker", () => {
    const onBankB = { ...STEADY, active: BANK_B };
    for (let slot = 0; slot < 64; slot++) {
      const datagram = shortDatagram(random, idFor(random, MARK, slot), 40);
      expect(route(STEADY, datagram)).toBe(slot % 4);
      expect(route(onBankB, datagram)).toBe(4 + (slot % 4));
      expect(route(UPGRADE, datagram)).toBe(slot < 8 ? slot : 4 + (slot % 4));
    }
  });

  test("of a worker beyond a smaller new generation leads to one of it", () => {
    const fewer: SteeringPlan = { ...STEADY, active: slotsOfBank(1, 4, 3) };
    const slots = [4, 5, 6, 7, 0].map((slot) => route(fewer, shortDatagram(random, idFor(random, MARK, slot), 40)));
    expect(slots).toEqual([4, 5, 6, 4 + (7 % 3), 4]);
  });

  test("of a worker that is gone leads to its stand-in; so does everything else that would have gone there", () => {
    const plan: SteeringPlan = { ...STEADY, standIns: [{ slot: 0, by: 2 }] };
    expect(route(plan, shortDatagram(random, idFor(random, MARK, 0), 40))).toBe(2);
    expect(route(plan, shortDatagram(random, idFor(random, MARK, 60), 40))).toBe(2);
    expect(route(plan, new Uint8Array(0))).toBe(2);
    const others = Array.from({ length: 500 }, () => route(plan, longDatagram(random, randomBytes(random, 8), 1200)));
    expect(new Set(others)).toEqual(new Set([1, 2, 3]));
  });

  test("with a wrong check byte is a client's id in a long header", () => {
    const id = idFor(random, MARK, 2);
    const hashed = new Set<number>();
    for (let value = 0; value < 256; value++) {
      if (value !== id[1]) hashed.add(route(STEADY, longDatagram(random, id.with(1, value), 1200)));
    }
    expect(hashed).toEqual(new Set([0, 1, 2, 3]));
  });

  test("cut off by the datagram's end is none", () => {
    const datagram = longDatagram(random, idFor(random, MARK, 7), 1200);
    expect(route(UPGRADE, datagram.subarray(0, 24))).toBe(7);
    const cut = datagram.slice(0, 23);
    expect(route(UPGRADE, cut)).toBe(runProgram(steeringProgram(UPGRADE), cut).value);
    expect(route(UPGRADE, datagram.subarray(0, 18))).toBe(4);
  });

  test("under a veil shows nothing of its slot: each value of its six bits is as frequent as the others", () => {
    const mark = { ...randomMark(random, true), idBytes: 20, at: 14 };
    const counts = new Array<number>(64).fill(0);
    for (let i = 0; i < 64_000; i++) {
      const byte = idFor(random, mark, 5)[mark.at] ?? 0;
      counts[byte & 63] = (counts[byte & 63] ?? 0) + 1;
    }
    expect(chiSquare(counts)).toBeLessThan(criticalValue(63));
  });
});

describe("an id that a client chose", () => {
  test("leads to one worker whatever else differs: version, type, source id, length", () => {
    const random = Random.fromEntropy([7]);
    for (let round = 0; round < 200; round++) {
      const id = randomBytes(random, 8 + random.nextBelow(13));
      const first = route(STEADY, longDatagram(random, id, 1200));
      for (let i = 0; i < 5; i++) expect(route(STEADY, longDatagram(random, id, 100 + i))).toBe(first);
    }
  });

  test("leads to the new generation in an upgrade, never to the old one", () => {
    const random = Random.fromEntropy([8]);
    const slots = Array.from({ length: 1000 }, () =>
      route(UPGRADE, longDatagram(random, randomBytes(random, 8), 1200)),
    );
    expect(new Set(slots)).toEqual(new Set([4, 5, 6, 7]));
  });

  for (const workers of [2, 3, 7, 32]) {
    for (const [kind, chooseId] of KINDS) {
      test(`${kind}, over ${workers} workers: fair by chi-square at 5 %, and each share true to 5 %`, () => {
        const random = Random.fromEntropy([workers, 21]);
        const plan = { ...STEADY, active: slotsOfBank(0, 32, workers) };
        const counts = new Array<number>(workers).fill(0);
        const each = 10_000;
        const datagram = longDatagram(random, new Uint8Array(8), 30);
        for (let i = 0; i < each * workers; i++) {
          chooseId(datagram, random, i);
          const slot = route(plan, datagram);
          counts[slot] = (counts[slot] ?? 0) + 1;
        }
        for (const count of counts) expect(Math.abs(count / each - 1)).toBeLessThan(0.05);
        if (kind === "random ids") expect(chiSquare(counts)).toBeLessThan(criticalValue(workers - 1));
      });
    }
  }

  test("leads elsewhere with another multiplier, so that nobody knows beforehand", () => {
    const random = Random.fromEntropy([9]);
    const other = { ...STEADY, multiplier: 0x1234_5679 };
    let same = 0;
    for (let i = 0; i < 4000; i++) {
      const datagram = longDatagram(random, randomBytes(random, 8), 30);
      if (route(STEADY, datagram) === route(other, datagram)) same += 1;
    }
    expect(same).toBeGreaterThan(800);
    expect(same).toBeLessThan(1200);
  });
});

describe("a plan that cannot be", () => {
  const refused: readonly [string, Partial<SteeringPlan>, RegExp][] = [
    ["an even multiplier", { multiplier: 2 }, /odd/],
    ["no workers", { active: { first: 0, count: 0 } }, /1 to 32/],
    ["33 workers", { active: { first: 0, count: 33 } }, /1 to 32/],
    ["slots beyond six bits", { active: { first: 40, count: 25 } }, /six bits/],
    ["banks that share a slot", { active: BANK_A, draining: { first: 3, count: 2 } }, /both banks/],
    ["two stand-ins for one", { standIns: [1, 2].map((by) => ({ slot: 0, by })) }, /one stand-in/],
    [
      "a stand-in that is gone itself",
      {
        standIns: [
          { slot: 0, by: 1 },
          { slot: 1, by: 2 },
        ],
      },
      /is there/,
    ],
    ["a stand-in of no bank", { standIns: [{ slot: 0, by: 9 }] }, /is there/],
  ];
  for (const [name, part, message] of refused) {
    test(name, () => expect(() => steeringProgram({ ...STEADY, ...part })).toThrow(message));
  }
  test("a bank of more slots than six bits have for two", () => {
    expect(() => slotsOfBank(0, 33, 1)).toThrow(/1 to 32/);
    expect(() => slotsOfBank(2, 4, 1)).toThrow(/two banks/);
    expect(() => slotsOfBank(0, 4, 5)).toThrow(/no more than slots/);
  });
});

/** Chi-square over equal shares. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** What chi-square exceeds by chance one time in twenty (Wilson and Hilferty's approximation). */
function criticalValue(degrees: number): number {
  const spread = 2 / (9 * degrees);
  return degrees * (1 - spread + 1.6449 * Math.sqrt(spread)) ** 3;
}
