import { describe, expect, test } from "bun:test";
import { ipWords, liesIn, parseCidr } from "../../../src/config/cidr.ts";
import { checked } from "../../../src/config/parsed.ts";
import { LEAST, poolOf, printed, withPool } from "./sample.ts";

describe("networks", () => {
  test.each([
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.7", "10.0.0.7", true],
    ["10.0.0.7", "10.0.0.6", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["::/0", "203.0.113.9", true],
    ["2001:db8::/33", "2001:db8:7fff::1", true],
    ["2001:db8::/33", "2001:db8:8000::1", false],
    ["::1", "::1", true],
    ["::1", "0:0:0:0:0:0:0:1", true],
    ["128.0.0.0/1", "255.0.0.1", true],
    ["128.0.0.0/1", "127.0.0.1", false],
    ["2001:db8::/32", "not an address", false],
  ])("%s holds %s: %p", (network, address, holds) => {
    expect(liesIn([checked(parseCidr(network))], address)).toBe(holds);
  });

  test.each(["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1", "fe80::1%eth0", "x"])(
    "%p is none",
    (text) => {
      expect(parseCidr(text).value).toBeUndefined();
    },
  );

  test("bits beyond the length are a mistake", () => {
    expect(parseCidr("10.1.2.3/8").fault?.wrong).toBe('"10.1.2.3/8" has bits beyond its length');
  });

  test("words of an address", () => {
    expect(ipWords("2001:db8::8:800:200c:417a")).toEqual([0x20010db8, 0, 0x00080800, 0x200c417a]);
    expect(ipWords("::ffff:1.2.3.4")).toEqual([0, 0, 0xffff, 0x01020304]);
    expect(ipWords("255.255.255.255")).toEqual([0, 0, 0xffff, 0xffffffff]);
  });
});

describe("host_policy", () => {
  const rest = ["route: { path_prefix: / }", "backends: [{ id: a, address: a:1 }]"] as const;

  test("rewrite takes a host", () => {
    const text = withPool("host_policy: { mode: rewrite, host: App.Internal:8080 }", ...rest);
    expect(poolOf(text).hostPolicy).toEqual({ mode: "rewrite", host: "app.internal:8080" });
    expect(poolOf(withPool("host_policy: { mode: upstream }", ...rest)).hostPolicy).toEqual({ mode: "upstream" });
  });

  test("rewrite needs a host, the others take none", () => {
    expect(printed(withPool("host_policy: { mode: rewrite }", ...rest))).toEqual([
      'c.yaml:7:5: upstream.web.host_policy.host: is missing beside mode "rewrite"; expected the host that backends are to be asked for',
    ]);
    expect(printed(withPool("host_policy: { host: a }", ...rest))).toEqual([
      'c.yaml:7:20: upstream.web.host_policy.host: has no meaning with this mode; expected host only with mode "rewrite"',
    ]);
    expect(printed(withPool("host_policy: { mode: rewrite, host: a@b }", ...rest))).toHaveLength(1);
  });

  test("a network that is none is named with its place", () => {
    const text = `${LEAST}forwarded_headers: { trusted_proxies: ["10.0.0.0/40"] }\n`;
    expect(printed(text)).toEqual([
      'c.yaml:12:40: forwarded_headers.trusted_proxies[0]: "10.0.0.0/40" has the length "40"; expected a length from 0 to 32',
    ]);
  });
});
