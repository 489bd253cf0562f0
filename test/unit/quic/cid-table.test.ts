import { describe, expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { Random } from "../../../src/core/random.ts";
import { ID_BYTES, IdCodec } from "../../../src/quic/cid.ts";
import { IdTable } from "../../../src/quic/cid-table.ts";

function makeTable(entriesMax: number, seed: number = 1): IdTable<string> {
  const random = Random.fromEntropy([seed]);
  const codec = new IdCodec({ slot: 1, checkByte: 2, mask: 3 }, (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.nextBelow(256);
  });
  return new IdTable(codec, entriesMax);
}

function issue(table: IdTable<string>, owner: string): Uint8Array {
  return must(table.issue(owner), "the table has room");
}

function find(table: IdTable<string>, id: Uint8Array): string | null {
  return table.find(id, 0, id.length);
}

describe("ids of ours", () => {
  test("lead to their owners", () => {
    const table = makeTable(10);
    const ids = ["a", "b", "c"].map((owner) => issue(table, owner));
    expect(ids.map((id) => find(table, id))).toEqual(["a", "b", "c"]);
    expect(table.size).toBe(3);
  });

  test("are found where they lie in a datagram, and only whole", () => {
    const table = makeTable(10);
    const id = issue(table, "a");
    const datagram = new Uint8Array(60).fill(0x11);
    datagram.set(id, 20);
    expect(table.find(datagram, 20, 40)).toBe("a");
    expect(table.find(datagram, 20, ID_BYTES)).toBe("a");
    expect(table.find(datagram, 20, ID_BYTES - 1)).toBeNull();
    expect(table.find(datagram, 21, 39)).toBeNull();
  });

  test("with one changed byte lead nowhere, whichever byte it is", () => {
    const table = makeTable(10);
    const id = issue(table, "a");
    for (let i = 0; i < ID_BYTES; i++) expect(find(table, id.with(i, (id[i] ?? 0) ^ 1)), `byte ${i}`).toBeNull();
  });

  test("that point beyond the table lead nowhere", () => {
    const table = makeTable(10);
    const larger = makeTable(1000);
    const ids = Array.from({ length: 500 }, (_, i) => issue(larger, `${i}`));
    expect(ids.map((id) => find(table, id)).every((owner) => owner === null)).toBe(true);
  });

  test("are forgotten when released, and their place is used again", () => {
    const table = makeTable(2);
    const first = issue(table, "a");
    issue(table, "b");
    expect(table.issue("c")).toBeNull();
    table.release(first);
    expect(find(table, first)).toBeNull();
    expect(table.size).toBe(1);
    const third = issue(table, "c");
    expect(find(table, third)).toBe("c");
    // The old id has the same index and is still none.
    expect(find(table, first)).toBeNull();
    expect(table.size).toBe(2);
  });

  test("are released once, and only ours", () => {
    const table = makeTable(10);
    const id = issue(table, "a");
    table.release(id);
    expect(() => table.release(id)).toThrow(/released once/);
    issue(table, "b");
    expect(() => table.release(id)).toThrow(/released once/);
    expect(() => table.release(new Uint8Array(ID_BYTES))).toThrow(/released once/);
  });
});

describe("an id made for an owner that does not exist yet", () => {
  test("is mapped to whatever is made with it", () => {
    const table = makeTable(10);
    const owner = table.issueFor((id) => Array.from(id).join("."));
    const id = Uint8Array.from(must(owner, "there was room").split("."), Number);
    expect(find(table, id)).toBe(owner);
  });

  test("is given up when nothing could be made, and nothing is left behind", () => {
    const table = makeTable(2);
    for (let i = 0; i < 10; i++) expect(table.issueFor(() => null)).toBeNull();
    expect(table.size).toBe(0);
    const first = issue(table, "a");
    issue(table, "b");
    table.release(first);
    for (let i = 0; i < 10; i++) expect(table.issueFor(() => null)).toBeNull();
    expect(table.size).toBe(1);
    expect(find(table, issue(table, "c"))).toBe("c");
  });

  test("is not even asked for when the table is full", () => {
    const table = makeTable(1);
    issue(table, "a");
    let asked = 0;
    const make = (): string => `${(asked += 1)}`;
    expect(table.issueFor(make)).toBeNull();
    expect(asked).toBe(0);
  });
});

describe("ids that clients choose", () => {
  const bytes = Uint8Array.from({ length: 40 }, (_, i) => i + 200);

  test("are found by value, wherever they lie", () => {
    const table = makeTable(10);
    table.mapClientId(bytes, 4, 8, "a");
    const elsewhere = new Uint8Array(30);
    elsewhere.set(bytes.subarray(4, 12), 9);
    expect(table.findClientId(elsewhere, 9, 8)).toBe("a");
    expect(table.findClientId(elsewhere, 9, 7)).toBeNull();
    expect(table.findClientId(elsewhere, 8, 8)).toBeNull();
    expect(table.clientIdCount).toBe(1);
  });

  test("are forgotten by the key they were mapped with", () => {
    const table = makeTable(10);
    const key = table.mapClientId(bytes, 0, 20, "a");
    table.mapClientId(bytes, 20, 20, "b");
    table.releaseClientId(key);
    expect(table.findClientId(bytes, 0, 20)).toBeNull();
    expect(table.findClientId(bytes, 20, 20)).toBe("b");
    expect(table.clientIdCount).toBe(1);
  });
});

test("100,000 random issues and releases agree with a plain map", () => {
  const random = Random.fromEntropy([99]);
  const table = makeTable(300, 5);
  const known: { id: Uint8Array; owner: string }[] = [];
  const released: Uint8Array[] = [];
  for (let round = 0; round < 100_000; round++) {
    if (random.nextBelow(2) === 0) {
      const id = table.issue(`owner ${round}`);
      if (id === null) expect(known.length).toBe(300);
      else known.push({ id, owner: `owner ${round}` });
    } else if (known.length > 0) {
      const [entry] = known.splice(random.nextBelow(known.length), 1);
      const { id, owner } = must(entry, "one was taken out");
      if (find(table, id) !== owner) expect({ round, found: find(table, id) }).toEqual({ round, found: owner });
      table.release(id);
      released.push(id);
    }
    if (table.size !== known.length) expect({ round, size: table.size }).toEqual({ round, size: known.length });
  }
  expect(known.every(({ id, owner }) => find(table, id) === owner)).toBe(true);
  expect(released.every((id) => find(table, id) === null)).toBe(true);
  for (const { id } of known) table.release(id);
  expect(table.size).toBe(0);
});
