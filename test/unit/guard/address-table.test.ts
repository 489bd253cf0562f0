/** Connections by client address: what counts as one address, and that nothing stays of an address that is gone. */
import { describe, expect, test } from "bun:test";
import { ipWords } from "../../../src/config/cidr.ts";
import { must } from "../../../src/core/assert.ts";
import { Random } from "../../../src/core/random.ts";
import { addressKeyOf, AddressTable } from "../../../src/guard/address-table.ts";

const keyOf = (ip: string) => addressKeyOf(must(ipWords(ip), `${ip} is an address`));

describe("one address is", () => {
  test.each([
    ["an IPv4 address", "192.0.2.1", "192.0.2.1"],
    ["the same IPv4 address as a socket of both families sees it", "192.0.2.1", "::ffff:192.0.2.1"],
    ["a /64 of IPv6", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"],
    ["all of loopback's /64", "::1", "::2"],
  ])("%s: %s and %s", (_, a, b) => expect(keyOf(a)).toBe(keyOf(b)));

  test.each([
    ["neighbours", "192.0.2.1", "192.0.2.2"],
    ["the highest and the lowest", "255.255.255.255", "0.0.0.0"],
    ["two /64 of one /48", "2001:db8:1:2::1", "2001:db8:1:3::1"],
    ["two /32 with the same second word", "2001:db8:1:2::1", "2001:db9:1:2::1"],
    ["IPv4 and what only ends like it", "192.0.2.1", "64:ff9b::192.0.2.1"],
    ["IPv4 and the unspecified /64", "0.0.0.0", "::"],
  ])("not two: %s: %s and %s", (_, a, b) => expect(keyOf(a)).not.toBe(keyOf(b)));
});

describe("the table", () => {
  test("counts up and down, and forgets an address at 0", () => {
    const table = new AddressTable();
    const [a, b] = [keyOf("192.0.2.1"), keyOf("2001:db8::1")];
    for (const key of [a, a, b]) table.add(key);
    expect([table.countOf(a), table.countOf(b), table.size]).toEqual([2, 1, 2]);
    table.remove(a);
    table.remove(b);
    expect([table.countOf(a), table.countOf(b), table.size]).toEqual([1, 0, 1]);
    table.remove(a);
    expect(table.size).toBe(0);
  });

  test("takes a count below 0 for a mistake of ours", () => {
    expect(() => new AddressTable().remove(1)).toThrow("counted down as often");
  });

  test("100,000 random steps: each count is what it should be, and no entry is left over", () => {
    const random = Random.fromEntropy([271_828]);
    const table = new AddressTable();
    const model = new Map<string | number, number>();
    for (let step = 0; step < 100_000; step++) {
      const host = random.nextBelow(50);
      const key = host < 25 ? keyOf(`10.0.0.${host}`) : keyOf(`2001:db8:0:${host}::1`);
      const count = model.get(key) ?? 0;
      if (random.nextBelow(2) === 0) {
        table.add(key);
        model.set(key, count + 1);
      } else if (count > 0) {
        table.remove(key);
        model.set(key, count - 1);
      }
      expect(table.countOf(key)).toBe(model.get(key) ?? 0);
    }
    expect(table.size).toBe([...model.values()].filter((count) => count > 0).length);
  });
});
