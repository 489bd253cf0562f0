import { describe, expect, test } from "bun:test";
import { ById } from "../../../src/core/by-id.ts";
import { Random } from "../../../src/core/random.ts";
import { Roster, type Rostered } from "../../../src/core/roster.ts";

class Thing implements Rostered {
  readonly id: number;
  rosterPlace = -1;

  constructor(id: number) {
    this.id = id;
  }
}

const byNumber = (a: Thing, b: Thing): number => a.id - b.id;

describe("things by their number", () => {
  test("are what a Map has, through a hundred thousand comings and goings", () => {
    const random = Random.fromEntropy([1]);
    for (const step of [1, 2, 4, 2 ** 31, 2 ** 40]) {
      const table = new ById<Thing>();
      const model = new Map<number, Thing>();
      let next = 0;
      for (let round = 0; round < 20_000; round++) {
        // In waves: the table grows, becomes empty and grows again.
        const goes = random.nextBelow(100) < (round % 2000 < 1000 ? 45 : 55);
        const known = [...model.keys()];
        if (goes && known.length > 0) {
          const id = known[random.nextBelow(2) === 0 ? 0 : random.nextBelow(known.length)] ?? 0;
          expect(table.delete(id)).toBe(model.delete(id));
          expect(table.delete(id)).toBe(false);
        } else {
          const thing = new Thing(next);
          next += step * (1 + random.nextBelow(3));
          table.add(thing);
          model.set(thing.id, thing);
        }
        expect(table.size).toBe(model.size);
        const some = random.nextBelow(64) * step;
        if (table.get(some) !== model.get(some)) throw new TypeError(`${some} differs`);
      }
      for (const [id, thing] of model) expect(table.get(id)).toBe(thing);
      expect(table.list().toSorted(byNumber)).toEqual([...model.values()].toSorted(byNumber));
    }
  });

  test("may be deleted and added while somebody goes through them", () => {
    const table = new ById<Thing>();
    for (let id = 0; id < 200; id += 2) table.add(new Thing(id));
    for (const { id } of table.list()) {
      expect(table.delete(id)).toBe(true);
      table.add(new Thing(id + 1));
    }
    const left = table.list().toSorted(byNumber);
    expect(left.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, i) => 2 * i + 1));
    table.clear();
    expect([table.size, table.get(1), table.list()]).toEqual([0, undefined, []]);
    table.add(new Thing(1));
    expect(table.get(1)?.id).toBe(1);
  });

  test("have a number each", () => {
    const table = new ById<Thing>();
    table.add(new Thing(4));
    expect(() => table.add(new Thing(4))).toThrow("a number is given once");
  });
});

describe("a roster", () => {
  test("has those that have come and not gone", () => {
    const random = Random.fromEntropy([2]);
    const roster = new Roster<Thing>();
    const model = new Set<Thing>();
    for (let round = 0; round < 20_000; round++) {
      const known = [...model];
      const member = known[random.nextBelow(known.length + 1)];
      if (member !== undefined && random.nextBelow(100) < (round % 2000 < 1000 ? 45 : 55)) {
        roster.remove(member);
        roster.remove(member);
        model.delete(member);
        expect(member.rosterPlace).toBe(-1);
      } else {
        const added = new Thing(round);
        roster.add(added);
        model.add(added);
      }
      expect(roster.size).toBe(model.size);
    }
    const all = Array.from({ length: roster.size }, (_, place) => roster.at(place));
    expect(new Set(all)).toEqual(new Set<Thing | undefined>(model));
    expect(roster.at(roster.size)).toBeUndefined();
  });

  test("is met whole from the last to the first, whatever is removed on the way", () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = Random.fromEntropy([seed]);
      const roster = new Roster<Thing>();
      const members = Array.from({ length: 30 }, (_, id) => new Thing(id));
      for (const member of members) roster.add(member);
      const met = new Set<Thing>();
      const removed = new Set<Thing>();
      for (let place = roster.size - 1; place >= 0; place--) {
        const member = roster.at(place);
        if (member === undefined) continue;
        met.add(member);
        for (let i = random.nextBelow(3); i > 0; i--) {
          const other = members[random.nextBelow(members.length)] ?? member;
          roster.remove(other);
          removed.add(other);
        }
      }
      expect(members.filter((member) => !met.has(member) && !removed.has(member))).toEqual([]);
    }
  });

  test("takes nobody twice", () => {
    const roster = new Roster<Thing>();
    const member = new Thing(1);
    roster.add(member);
    expect(() => roster.add(member)).toThrow("twice");
  });
});
