/** `listeners`: what stands in for `listen`, which addresses are apart, and which listeners of two configurations are the same. */
import { describe, expect, test } from "bun:test";
import { listenerNames, overlap } from "../../../src/config/listeners.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { LEAST, printed, snapshotOf, UPSTREAM } from "./sample.ts";

const TLS = "tls: { cert: c, key: k }";

/** A file whose listeners are given as flow maps. */
function withListeners(...listeners: readonly string[]): string {
  return `listeners:\n${listeners.map((listener) => `  - ${listener}\n`).join("")}${UPSTREAM}`;
}

describe("listeners", () => {
  test("take the place of listen, each with its defaults and its own certificates", () => {
    const text = withListeners(
      `{ address: 127.0.0.1, ${TLS} }`,
      "{ port: 443, address: '::1', tls: { cert: d, key: e, refuse_misdirected: false } }",
    );
    const [first, second] = snapshotOf(text).listeners;
    expect(first).toMatchObject({ path: ["listeners", 0], address: "127.0.0.1", port: 9889, refusesMisdirected: true });
    expect(second).toMatchObject({ path: ["listeners", 1], address: "::1", port: 443, refusesMisdirected: false });
    expect(second?.certificates).toEqual([{ serverNames: [], certFile: "d", keyFile: "e" }]);
  });

  test("replace a listen that is given beside them, whatever certificates that lacks", () => {
    const text = `listen: { port: 7, tls: {} }\n${withListeners(`{ port: 8, ${TLS} }`)}`;
    const { listeners, listenIsReplaced } = snapshotOf(text);
    expect([listeners.map(({ port }) => port), listenIsReplaced]).toEqual([[8], true]);
  });

  test("that are none leave listen as it is", () => {
    const { listeners, listenIsReplaced } = snapshotOf(`${LEAST}listeners: []\n`);
    expect([listeners.map(({ path }) => path), listenIsReplaced]).toEqual([[["listen"]], false]);
  });

  test("that are none do not stand in for a listen that is missing", () => {
    expect(printed(`listeners: []\n${UPSTREAM}`)).toEqual([
      "c.yaml:1:1: listen: is missing; expected a map with protocol, address, port, tls",
    ]);
  });

  test("are at most so many", () => {
    const several = Array.from({ length: LIMITS.listenersMax + 1 }, (_, i) => `{ port: ${i + 1}, ${TLS} }`);
    expect(snapshotOf(withListeners(...several.slice(1))).listeners).toHaveLength(LIMITS.listenersMax);
    expect(printed(withListeners(...several))).toEqual([
      `c.yaml:1:1: listeners: has ${LIMITS.listenersMax + 1} entries; expected at most ${LIMITS.listenersMax}`,
    ]);
  });

  test("each keep the rules of listen", () => {
    expect(printed(withListeners(`{ ${TLS} }`, "{ port: 1, tls: { cert: c } }", "{ port: 2, tls: {} }"))).toEqual([
      "c.yaml:3:23: listeners[1].tls.key: is missing beside cert; expected both or none",
      "c.yaml:4:16: listeners[2].tls: has no certificate; expected cert with key, or certificates",
    ]);
  });

  test("that take each other's datagrams are told apart by nobody", () => {
    const text = withListeners(`{ ${TLS} }`, `{ address: 10.0.0.1, ${TLS} }`, `{ address: 10.0.0.1, port: 1, ${TLS} }`);
    expect(printed(text)).toEqual([
      "c.yaml:3:7: listeners[1]: 10.0.0.1:9889 overlaps 0.0.0.0:9889 of listeners[0] (line 2, column 5); expected addresses or ports that are apart",
    ]);
  });
});

describe("overlap", () => {
  test.each([
    ["10.0.0.1", 443, "10.0.0.1", 443, true],
    ["10.0.0.1", 443, "10.0.0.1", 444, false],
    ["10.0.0.1", 443, "10.0.0.2", 443, false],
    ["0.0.0.0", 443, "10.0.0.2", 443, true],
    ["10.0.0.2", 443, "0.0.0.0", 443, true],
    ["::", 443, "10.0.0.2", 443, true],
    ["::", 443, "0.0.0.0", 443, true],
    ["::1", 443, "0:0::0", 443, true],
    ["0.0.0.0", 443, "::1", 443, false],
    ["2001:db8::1", 443, "2001:0DB8:0::1", 443, true],
    ["127.0.0.1", 0, "127.0.0.1", 0, false],
  ])("%s %d and %s %d: %s", (address, port, otherAddress, otherPort, expected) => {
    expect(overlap({ address, port }, { address: otherAddress, port: otherPort })).toBe(expected);
  });
});

test("names are places; those whose port the kernel chooses have a number behind the first", () => {
  const places = [
    { address: "::1", port: 443 },
    { address: "127.0.0.1", port: 0 },
    { address: "127.0.0.1", port: 0 },
  ];
  expect(listenerNames(places)).toEqual(["[::1]:443", "127.0.0.1:0", "127.0.0.1:0#2"]);
});
