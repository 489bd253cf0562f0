import { describe, expect, test } from "bun:test";
import { isIPv6 } from "node:net";
import { authorityFault } from "../../../src/core/authority.ts";
import { Random } from "../../../src/core/random.ts";
import { latin1, randomText } from "../../support/sections.ts";

/** Checks a text that stands between bytes which could belong to it, so that reading past an end would show. */
function faultOf(text: string): string | null {
  return authorityFault(latin1(`[::1${text}41:80]`), 4, 4 + text.length);
}

const GOOD = [
  "example.com",
  "EXAMPLE.com",
  "example.com.",
  "localhost",
  "a",
  "under_score.example",
  "xn--bcher-kva.example",
  "example.com:443",
  "example.com:0",
  "example.com:65535",
  "example.com:00080",
  "192.0.2.1",
  "192.0.2.1:8443",
  "999.1.2.3",
  "a!$&'()*+,;=~b",
  "caf%C3%A9.example",
  "%41",
  "[::]",
  "[::1]",
  "[::1]:443",
  "[2001:db8::1]:8443",
  "[2001:DB8:0:0:0:0:0:1]",
  "[1:2:3:4:5:6:7:8]",
  "[1:2:3:4:5:6:7::]",
  "[::2:3:4:5:6:7:8]",
  "[1::8]",
  "[::ffff:192.0.2.1]",
  "[1:2:3:4:5:6:192.0.2.1]",
  "[::0.0.0.0]",
  "[::255.255.255.255]",
];

const INVALID = [
  ":443",
  "example.com:",
  "example.com:65536",
  "example.com:99999",
  "example.com:000080",
  "example.com:8a",
  "example.com:-1",
  "example.com: 80",
  "example.com:80:80",
  "example.com ",
  " example.com",
  "exam ple.com",
  "exam\tple.com",
  "example.com/",
  "example.com/path",
  "example.com?",
  "example.com#",
  "example.com\\",
  "http://example.com",
  "<example>",
  '"example"',
  "exam^ple",
  "exam|ple",
  "exam`ple",
  "{example}",
  "caf\u00e9.example",
  "exam\u0000ple",
  "example\u007f",
  "example\r\n",
  "%",
  "%4",
  "%4g",
  "%g4",
  "a%2",
  "2001:db8::1",
  "::1",
  "[]",
  "[",
  "]",
  "[::1",
  "::1]",
  "[::1]443",
  "[::1]:",
  "[::1]x",
  "[::1].example",
  "[[::1]]",
  "[1]",
  "[1:2:3:4:5:6:7]",
  "[1:2:3:4:5:6:7:8:9]",
  "[1:2:3:4:5:6:7:8::]",
  "[::1:2:3:4:5:6:7:8]",
  "[1::2::3]",
  "[:::]",
  "[:1:2:3:4:5:6:7]",
  "[1:2:3:4:5:6:7:]",
  "[1:]",
  "[:1]",
  "[:]",
  "[12345::]",
  "[g::]",
  "[::1%25eth0]",
  "[fe80::1%eth0]",
  "[v1.x]",
  "[192.0.2.1]",
  "[::192.0.2]",
  "[::192.0.2.1.1]",
  "[::192.0.2.256]",
  "[::192.0.2.01]",
  "[::192.0..1]",
  "[::192.0.2.1:1]",
  "[1:2:3:4:5:6:7:192.0.2.1]",
  "[example.com]",
];

describe("an authority", () => {
  for (const text of GOOD) test(`${text} passes`, () => expect(faultOf(text)).toBeNull());

  for (const text of INVALID) {
    test(`${JSON.stringify(text)} is refused`, () => expect(faultOf(text)).toBe("authority-invalid"));
  }

  test("the empty one is refused", () => expect(faultOf("")).toBe("authority-empty"));

  for (const text of ["user@example.com", "user:secret@example.com:443", "@example.com", "@", "a@[::1]", "[::1]@a"]) {
    test(`${text} is refused for its userinfo`, () => expect(faultOf(text)).toBe("authority-userinfo"));
  }

  test("20,000 random ones agree with a regular expression where there are no brackets", () => {
    const random = Random.fromEntropy([3986]);
    const pattern = /^(?:[-._~!$&'()*+,;=0-9a-zA-Z]|%[0-9a-fA-F]{2})+(?::[0-9]{1,5})?$/;
    let good = 0;
    for (let round = 0; round < 20_000; round++) {
      const text = randomText(random, 10, "aZ9.-_%%:::04fF=/@ #\u00e9");
      const port = Number(/:([0-9]+)$/.exec(text)?.[1] ?? 0);
      const expected = pattern.test(text) && port <= 65_535;
      expect([text, faultOf(text) === null]).toEqual([text, expected]);
      if (expected) good += 1;
    }
    expect(good).toBeGreaterThan(500);
  });

  test("20,000 random addresses in brackets agree with node:net", () => {
    const random = Random.fromEntropy([4291]);
    let good = 0;
    for (let round = 0; round < 20_000; round++) {
      const text = randomText(random, 16, "::::1f0a.2");
      const expected = isIPv6(text);
      expect([text, faultOf(`[${text}]`) === null]).toEqual([text, expected]);
      if (expected) good += 1;
    }
    expect(good).toBeGreaterThan(200);
  });
});
