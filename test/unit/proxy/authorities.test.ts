/** Which hosts a connection may be asked for, by the certificate that it has shown. */
import { describe, expect, test } from "bun:test";
import { Authorities, hostOf } from "../../../src/proxy/authorities.ts";

const CERTIFICATES = [
  { serverNames: ["a.test", "www.a.test"], coveredNames: ["a.test", "www.a.test", "192.0.2.1", "::1"] },
  { serverNames: ["*.b.test"], coveredNames: ["*.b.test", "b.test"] },
  { serverNames: ["c.test"], coveredNames: ["c.test", "d.test"] },
  { serverNames: ["own.test"], coveredNames: ["other.test"] },
];

/** Server named in the handshake, authority, and what becomes of it leniently and strictly. */
const CASES: readonly (readonly [serverName: string, authority: string, lenient: boolean, strict: boolean])[] = [
  ["a.test", "a.test", false, false],
  ["a.test", "A.Test.:443", false, false],
  ["a.test", "www.a.test", false, false],
  ["a.test", "c.test", true, true],
  ["c.test", "a.test", true, true],
  ["c.test", "d.test", false, false],
  ["x.b.test", "y.b.test", false, false],
  ["x.b.test", "b.test", false, false],
  ["x.b.test", "x.y.b.test", false, true],
  ["a.test", "x.b.test:8443", true, true],
  ["own.test", "own.test", false, false],
  ["own.test", "other.test", false, false],
  // Nobody's: anybody's, or its who has named it.
  ["a.test", "unknown.test", false, true],
  ["unknown.test", "unknown.test", false, false],
  ["unknown.test", "c.test", true, true],
  ["", "a.test", false, false],
  ["", "c.test", true, true],
  ["", "192.0.2.1:443", false, false],
  ["", "[0:0:0:0:0:0:0:1]:443", false, false],
  ["", "192.0.2.9", false, true],
  ["c.test", "192.0.2.1", false, true],
];

describe("a request", () => {
  test.each([...CASES])(
    "on a connection for %p, to %p: misdirected %p, strictly %p",
    (name, authority, lenient, strict) => {
      const answers = [false, true].map((isStrict) =>
        new Authorities(CERTIFICATES, isStrict).connectionFor(name).isMisdirected(authority),
      );
      expect(answers).toEqual([lenient, strict]);
    },
  );

  test("after another on the same connection is judged by its own host", () => {
    const asked = new Authorities(CERTIFICATES, false).connectionFor("a.test");
    expect(["a.test", "c.test", "c.test", "a.test"].map((host) => asked.isMisdirected(host))).toEqual([
      ...[false, true, true, false],
    ]);
  });
});

test("a host has one spelling", () => {
  expect(["EXAMPLE.org.:443", "[2001:DB8::0:1]:1", "[::1]", "192.0.2.1:80"].map(hostOf)).toEqual([
    ...["example.org", "2001:db8::1", "::1", "192.0.2.1"],
  ]);
});
