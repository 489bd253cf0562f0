/** Socket addresses as bytes: against layouts written by hand, against C's own, and against another program's idea of IPv6 text. */
import { describe, expect, test } from "bun:test";
import { Random } from "../../src/core/random.ts";
import { SOCKADDR_IN, SOCKADDR_IN6, SOCKET } from "../../ffi/layout.ts";
import { Arena } from "../../ffi/memory.ts";
import { bunForeign } from "../../ffi/open.bun.ts";
import { formatAddress, readSockaddr, SOCKADDR_BYTES, sockaddrLength, writeSockaddr } from "../../ffi/sockaddr.ts";

const AT = 64;
const arena = new Arena(bunForeign, 4096);

/** Writes an address over rubbish and gives its bytes. */
function written(ip: string, port: number): number[] {
  arena.bytes.fill(0xa5);
  const length = writeSockaddr(arena, AT, { ip, port });
  expect(arena.bytes[AT - 1]).toBe(0xa5);
  expect(arena.bytes[AT + SOCKADDR_BYTES]).toBe(0xa5);
  return [...arena.bytes.subarray(AT, AT + length)];
}

function back(ip: string, port: number = 443): string {
  written(ip, port);
  const read = readSockaddr(arena, AT);
  expect(read.port).toBe(port);
  return read.ip;
}

describe("an IPv4 address", () => {
  test("is 16 bytes: family in the machine's order, port in the network's, then the address", () => {
    expect(written("192.0.2.33", 0x1234)).toEqual([2, 0, 0x12, 0x34, 192, 0, 2, 33, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(sockaddrLength(SOCKET.AF_INET)).toBe(16);
  });

  test.each(["0.0.0.0", "127.0.0.1", "255.255.255.255", "1.2.3.4"])("%s comes back", (ip) => expect(back(ip)).toBe(ip));

  test.each([0, 1, 80, 443, 8443, 65_535])("port %d comes back", (port) => {
    expect(written("10.0.0.1", port).slice(2, 4)).toEqual([port >> 8, port & 0xff]);
    back("10.0.0.1", port);
    back("::1", port);
  });
});

describe("an IPv6 address", () => {
  test("is 28 bytes: family, port, no flow, sixteen bytes, no scope", () => {
    expect(written("2001:db8::a:b", 0x1234)).toEqual([
      ...[10, 0, 0x12, 0x34, 0, 0, 0, 0],
      ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0, 0x0b],
      ...[0, 0, 0, 0],
    ]);
    expect(sockaddrLength(SOCKET.AF_INET6)).toBe(28);
  });

  test.each([
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:db8::1", "2001:db8::1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["fe80::0202:b3ff:fe1e:8329", "fe80::202:b3ff:fe1e:8329"],
    // RFC 5952 4.2.2: one group of zeros is written out.
    ["1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"],
    ["1::3:4:5:6:7:8", "1:0:3:4:5:6:7:8"],
    // RFC 5952 4.2.3: the longest run is cut, of equals the first.
    ["1:0:0:4:0:0:0:8", "1:0:0:4::8"],
    ["1:0:0:4:5:0:0:8", "1::4:5:0:0:8"],
    ["0:0:3:4:5:6:0:0", "::3:4:5:6:0:0"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
  ])("%s is read as %s", (ip, text) => expect(back(ip)).toBe(text));

  test.each(["::ffff:192.0.2.33", "::ffff:c000:221", "0:0:0:0:0:ffff:c000:221"])(
    "%s is IPv4 mapped and is read as that",
    (ip) => expect(back(ip)).toBe("192.0.2.33"),
  );

  test("is only mapped IPv4 with exactly that prefix", () => {
    expect(back("::fffe:c000:221")).toBe("::fffe:c000:221");
    expect(back("1::ffff:c000:221")).toBe("1::ffff:c000:221");
    expect(back("::c000:221")).toBe("::c000:221");
  });

  test("20,000 random ones with runs of zeros agree with the URL parser's bytes and text", () => {
    const random = Random.fromEntropy([6]);
    for (let round = 0; round < 20_000; round++) {
      const groups = Array.from({ length: 8 }, () => (random.nextBelow(2) === 0 ? 0 : random.nextBelow(0x1_0000)));
      const ip = groups.map((group) => group.toString(16)).join(":");
      const canonical = new URL(`http://[${ip}]/`).hostname.slice(1, -1);
      const bytes = written(canonical, 1).slice(SOCKADDR_IN6.sin6_addr, SOCKADDR_IN6.sin6_addr + 16);
      const expected = groups.flatMap((group) => [group >> 8, group & 0xff]);
      if (bytes.join() !== expected.join()) expect(bytes, canonical).toEqual(expected);
      const text = back(ip, 1);
      // URLs know no mapped addresses.
      if (text !== canonical && !text.includes(".")) expect(text).toBe(canonical);
    }
  });
});

describe("what is no address", () => {
  test.each(["", "localhost", "1.2.3", "1.2.3.4.5", "::1::", "[::1]", "1.2.3.4:80", "fe80::1%eth0"])(
    "%p is never made into bytes",
    (ip) => expect(() => writeSockaddr(arena, AT, { ip, port: 1 })).toThrow(/checked to be an IP literal/),
  );

  test("of a family we do not speak is never read", () => {
    arena.bytes.fill(0);
    arena.view.setUint16(AT, 1, true);
    expect(() => readSockaddr(arena, AT)).toThrow(/IPv4 or IPv6/);
  });
});

test("addresses are shown with brackets where they need them", () => {
  expect(formatAddress({ ip: "127.0.0.1", port: 443 })).toBe("127.0.0.1:443");
  expect(formatAddress({ ip: "::1", port: 443 })).toBe("[::1]:443");
});

test("the room for one address holds either family", () => {
  expect(SOCKADDR_BYTES).toBeGreaterThanOrEqual(Math.max(SOCKADDR_IN.size, SOCKADDR_IN6.size));
  expect(SOCKADDR_BYTES % 8).toBe(0);
});
