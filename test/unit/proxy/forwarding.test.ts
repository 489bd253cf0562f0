import { describe, expect, test } from "bun:test";
import { RequestId } from "../../../src/core/request-id.ts";
import { parseCidr, type Cidr } from "../../../src/config/cidr.ts";
import type { ForwardingSettings } from "../../../src/config/snapshot.ts";
import { must } from "../../../src/core/assert.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { Random } from "../../../src/core/random.ts";
import { forwardedElement, Provenance } from "../../../src/proxy/provenance.ts";
import { writeRequestFields } from "../../../src/proxy/rewrite.ts";
import { Trace } from "../../../src/proxy/trace.ts";
import { Malformed, readRequestHead } from "../../../src/h3/head.ts";
import { type Field, fieldsOfFlat, sectionOf } from "../../support/sections.ts";

const PROXY = "10.1.2.3";
const STRANGER = "192.0.2.17";
const writer = new FieldWriter();

function network(text: string): Cidr {
  return must(parseCidr(text).value, "a test's network is one");
}

/** Names that every request gets and that are told of elsewhere. */
const ELSEWHERE = new Set(["via", "x-request-id", "traceparent"]);

/** What a backend is told when `peer` sends these fields. */
function told(mode: ForwardingSettings["mode"], peer: string, fields: readonly Field[], extra: object = {}): Field[] {
  const head = readRequestHead(
    sectionOf([[":method", "GET"], [":scheme", "https"], [":authority", "shop.test:8443"], [":path", "/"], ...fields]),
  );
  if (head instanceof Malformed) throw new TypeError(head.reason);
  const forwarding = { mode, trustedProxies: [network("10.0.0.0/8")], sendsForwarded: true, ...extra };
  const trace = new Trace(Random.fromEntropy([1]));
  const context = {
    provenance: new Provenance(peer),
    forwarding,
    requestId: RequestId.given("id"),
    trace,
    early: false,
    takesTrailers: false,
  };
  expect(writeRequestFields(head, writer, context)).toBe(true);
  return fieldsOfFlat(writer.finish()).filter(([name]) => !ELSEWHERE.has(name));
}

const OURS = (ip: string): Field[] => [
  ["x-forwarded-for", ip],
  ["x-forwarded-proto", "https"],
  ["x-forwarded-host", "shop.test:8443"],
  ["forwarded", `for=${ip};host="shop.test:8443";proto=https`],
];

const CLAIMS: readonly Field[] = [
  ["x-forwarded-for", "203.0.113.9, 198.51.100.2"],
  ["x-forwarded-proto", "http"],
  ["forwarded", "for=203.0.113.9"],
  ["x-forwarded-host", "front.test"],
  ["x-forwarded-for", "198.51.100.3"],
  ["forwarded", 'for="_x";by="[::1]"'],
];

/** Single values, which have no list form. */
const SINGLES: readonly Field[] = [
  ["x-real-ip", "203.0.113.9"],
  ["x-forwarded-port", "443"],
  ["x-forwarded-prefix", "/shop"],
  ["x-forwarded-server", "edge"],
  ["x-forwarded-scheme", "https"],
  ["x-forwarded-ssl", "on"],
  ["x-forwarded-client-cert", "Hash=00"],
];

/** Trusted or not, these go no further. */
const NEVER: readonly Field[] = [
  ["proxy", "http://203.0.113.9"],
  ["x_forwarded_for", "203.0.113.9"],
  ["x_real-ip", "203.0.113.9"],
  ["x.forwarded.for", "203.0.113.9"],
];

describe("from a stranger", () => {
  for (const mode of ["overwrite", "append", "preserve"] as const) {
    test(`claims are replaced with mode ${mode}`, () => {
      expect(told(mode, STRANGER, [...CLAIMS, ...SINGLES, ...NEVER])).toEqual(OURS(STRANGER));
    });
  }
});

describe("from a trusted proxy", () => {
  test("overwrite replaces its claims", () => {
    expect(told("overwrite", PROXY, [...CLAIMS, ...SINGLES, ...NEVER])).toEqual(OURS(PROXY));
  });

  test("append joins each list into one field with ours at its end, and keeps single values", () => {
    expect(told("append", PROXY, [...CLAIMS, ...SINGLES, ...NEVER])).toEqual([
      ...SINGLES,
      ["x-forwarded-for", `203.0.113.9, 198.51.100.2, 198.51.100.3, ${PROXY}`],
      ["x-forwarded-proto", "http, https"],
      ["x-forwarded-host", "front.test, shop.test:8443"],
      ["forwarded", `for=203.0.113.9, for="_x";by="[::1]", for=${PROXY};host="shop.test:8443";proto=https`],
    ]);
  });

  test("append to nothing, and to empty fields, is ours alone", () => {
    expect(told("append", PROXY, [])).toEqual(OURS(PROXY));
    const empty: Field[] = ["x-forwarded-for", "x-forwarded-for", "forwarded"].map((name) => [name, ""]);
    expect(told("append", PROXY, empty)).toEqual(OURS(PROXY));
  });

  test("append leaves empty fields of a list out", () => {
    const list: Field[] = ["203.0.113.9", "", "198.51.100.2", ""].map((value) => ["x-forwarded-for", value]);
    expect(told("append", PROXY, list)[0]).toEqual(["x-forwarded-for", `203.0.113.9, 198.51.100.2, ${PROXY}`]);
  });

  test("append without Forwarded leaves theirs out too, for it would lack us", () => {
    const [xff, proto, host] = OURS(PROXY);
    expect(told("append", PROXY, [["forwarded", "for=203.0.113.9"]], { sendsForwarded: false })).toEqual([
      ...[xff, proto, host].map((field) => must(field, "there are three")),
    ]);
  });

  test("preserve keeps fields as they are, several of one name too, and adds the missing ones", () => {
    expect(told("preserve", PROXY, [...CLAIMS, ...SINGLES, ...NEVER])).toEqual([...CLAIMS, ...SINGLES]);
    const some: Field[] = [
      ["x-forwarded-proto", "http"],
      ["x-real-ip", "203.0.113.9"],
    ];
    const missing = OURS(PROXY).filter(([name]) => name !== "x-forwarded-proto");
    expect(told("preserve", PROXY, some)).toEqual([...some, ...missing]);
  });

  test("preserve without Forwarded adds none and keeps theirs", () => {
    const theirs: Field[] = [["forwarded", "for=203.0.113.9"]];
    const added = OURS(PROXY).slice(0, 3);
    expect(told("preserve", PROXY, [], { sendsForwarded: false })).toEqual(added);
    expect(told("preserve", PROXY, theirs, { sendsForwarded: false })).toEqual([...theirs, ...added]);
  });
});

test("Forwarded is left out of what strangers' requests are told where a pool wants none", () => {
  expect(told("overwrite", STRANGER, CLAIMS, { sendsForwarded: false })).toEqual(OURS(STRANGER).slice(0, 3));
});

describe("an element of Forwarded", () => {
  for (const [ip, authority, element] of [
    ["192.0.2.1", "shop.test", "for=192.0.2.1;host=shop.test;proto=https"],
    ["192.0.2.1", "shop.test:8443", 'for=192.0.2.1;host="shop.test:8443";proto=https'],
    ["2001:db8::1", "[2001:db8::2]:8443", 'for="[2001:db8::1]";host="[2001:db8::2]:8443";proto=https'],
    ["2001:db8::1", "[2001:db8::2]", 'for="[2001:db8::1]";host="[2001:db8::2]";proto=https'],
    ["192.0.2.1", "a%20b,c;d=e", 'for=192.0.2.1;host="a%20b,c;d=e";proto=https'],
    ["192.0.2.1", "a'b~c", "for=192.0.2.1;host=a'b~c;proto=https"],
  ] as const) {
    test(element, () => expect(forwardedElement(ip, authority)).toBe(element));
  }
});

describe("the provenance of a connection", () => {
  test("says each host as it is asked for, and again", () => {
    const provenance = new Provenance("2001:db8::1");
    const hostIn = (authority: string): string | null => provenance.fields(authority).get("x-forwarded-host");
    expect(["a.test", "b.test", "b.test", "a.test"].map(hostIn)).toEqual(["a.test", "b.test", "b.test", "a.test"]);
    expect(provenance.fields("a.test")).toBe(provenance.fields("a.test"));
  });

  test("knows each list of proxies by itself", () => {
    const provenance = new Provenance("10.1.2.3");
    const lists = ["10.0.0.0/8", "10.1.2.4", "::ffff:a01:0/112", "2001:db8::/32"].map((text) => [network(text)]);
    for (let again = 0; again < 2; again++)
      expect(lists.map((list) => provenance.isOneOf(list))).toEqual([true, false, true, false]);
    expect(provenance.isOneOf([])).toBe(false);
  });
});
