import { describe, expect, test } from "bun:test";
import { isIPv6 } from "node:net";
import { RequestId } from "../../../src/core/request-id.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { FieldSection } from "../../../src/core/fields.ts";
import { Random } from "../../../src/core/random.ts";
import { Malformed, readRequestHead, type RequestHead } from "../../../src/h3/head.ts";
import { readResponseFields } from "../../../src/h3/response-head.ts";
import { readTrailers } from "../../../src/h3/trailers.ts";
import { Provenance } from "../../../src/proxy/provenance.ts";
import { Trace } from "../../../src/proxy/trace.ts";
import { writeRequestFields, writeResponseFields } from "../../../src/proxy/rewrite.ts";
import { STANDARD_POOL } from "../../support/settings.ts";
import { type Field, fieldsOf, fieldsOfFlat, flatOf, oneOf, randomText, sectionOf } from "../../support/sections.ts";

const VALID: readonly (readonly Field[])[] = [
  [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "example.com"],
    [":path", "/"],
  ],
  [
    [":method", "POST"],
    [":path", "/upload?name=%20x"],
    [":scheme", "https"],
    [":authority", "[2001:db8::1]:8443"],
    ["host", "[2001:db8::1]:8443"],
    ["content-length", "17"],
    ["content-type", "text/plain; charset=utf-8"],
    ["te", "trailers"],
    ["cookie", "a=1"],
    ["x-own", "with \t white space"],
    ["cookie", "b=2"],
    ["x-request-id", "abc-123"],
  ],
];

/** What an attacker would try to put somewhere, and what stands beside it in code. */
const SPICES = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  "\t",
  ":",
  "#",
  "@",
  "*",
  ",",
  "\u007f",
  "\u0080",
  "\u00ff",
  "%",
  "[",
  "A",
  "",
];

/** Names and values that have rules of their own. */
const PARTS = [
  ":method",
  ":path",
  ":status",
  ":protocol",
  "host",
  "te",
  "connection",
  "upgrade",
  "content-length",
  "x",
];

/** A valid head with some bytes, fields or orders changed. */
function damaged(random: Random): Field[] {
  const fields = [...oneOf(random, VALID)];
  for (let changes = random.nextBelow(3); changes >= 0; changes--) {
    const at = random.nextBelow(fields.length + 1);
    const [name, value] = fields[at] ?? ["", ""];
    switch (random.nextBelow(6)) {
      case 0:
        fields.splice(at, 1, [spiced(random, name), value]);
        break;
      case 1:
      case 2:
        fields.splice(at, 1, [name, spiced(random, value)]);
        break;
      case 3:
        fields.splice(at, 0, [oneOf(random, PARTS), randomText(random, 4, "GET/ 5,ab\n")]);
        break;
      case 4:
        fields.splice(at, 1);
        break;
      default:
        fields.splice(at, 0, ...fields.splice(random.nextBelow(fields.length + 1), 1));
    }
  }
  return fields;
}

function spiced(random: Random, text: string): string {
  const at = random.nextBelow(text.length + 1);
  return text.slice(0, at) + oneOf(random, SPICES) + text.slice(at + random.nextBelow(2));
}

/** The rules once more, over strings and patterns, as plainly as they can be said. */
function isLegalField([name, value]: Field): boolean {
  return (
    /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name) &&
    /^(?:[^\0-\x20\x7f](?:[^\0-\x08\x0a-\x1f\x7f]*[^\0-\x20\x7f])?)?$/.test(value)
  );
}

const PSEUDO = new Set([":method", ":scheme", ":authority", ":path"]);
const NEVER = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

function isLegalHead(fields: readonly Field[]): boolean {
  const pseudo = new Map(fields.filter(([name]) => name.startsWith(":")));
  const rest = fields.slice(pseudo.size);
  if (rest.some(([name]) => name.startsWith(":")) || [...pseudo.keys()].some((name) => !PSEUDO.has(name))) return false;
  const valuesOf = (wanted: string): string[] => rest.filter(([name]) => name === wanted).map(([, value]) => value);
  const lengths = valuesOf("content-length");
  const hosts = valuesOf("host");
  const authority = pseudo.get(":authority") ?? hosts[0] ?? "";
  const method = pseudo.get(":method") ?? "";
  const path = pseudo.get(":path") ?? "";
  return (
    rest.every(isLegalField) &&
    rest.every(([name]) => !NEVER.has(name)) &&
    valuesOf("te").every((value) => value.toLowerCase() === "trailers") &&
    lengths.every(
      (value) => /^[0-9]+$/.test(value) && Number(value) <= Number.MAX_SAFE_INTEGER && value === lengths[0],
    ) &&
    hosts.length <= 1 &&
    hosts.every((host) => host.toLowerCase() === authority.toLowerCase()) &&
    isLegalAuthority(authority) &&
    /^[!#$%&'*+\-.^_`|~0-9a-zA-Z]+$/.test(method) &&
    method !== "CONNECT" &&
    /^https?$/.test(pseudo.get(":scheme") ?? "") &&
    ((/^\/[!"$-~]*$/.test(path) && !/^[^?]*%(?![0-9a-fA-F]{2})/.test(path)) || (path === "*" && method === "OPTIONS"))
  );
}

function isLegalAuthority(text: string): boolean {
  const [, host = "", port = "0"] = /^(\[.*\]|[^:[]*)(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const isName = /^(?:[-._~!$&'()*+,;=0-9a-zA-Z]|%[0-9a-fA-F]{2})+$/.test(host);
  return Number(port) <= 65_535 && (isName || (host.startsWith("[") && isIPv6(host.slice(1, -1))));
}

const writer = new FieldWriter();
const CONTEXT = {
  provenance: new Provenance("192.0.2.1"),
  forwarding: STANDARD_POOL.forwarding,
  trace: new Trace(Random.fromEntropy([3])),
  requestId: RequestId.given("made-here"),
  early: false,
  takesTrailers: false,
};

/** What must hold of every head that passed. */
function expectHarmless(head: RequestHead): void {
  for (const text of [head.method, head.scheme, head.authority, head.path]) expect(text).toMatch(/^[!-~]+$/);
  expect(fieldsOf(head.fields).slice(head.firstField).every(isLegalField)).toBe(true);
  expect(writeRequestFields(head, writer, CONTEXT)).toBe(true);
  const sent = fieldsOfFlat(writer.finish());
  expect(sent.every(isLegalField)).toBe(true);
  const names = sent.map(([name]) => name);
  for (const name of ["host", "te", "connection", "upgrade", "transfer-encoding"]) expect(names).not.toContain(name);
  expect(names.filter((name) => name === "content-length").length).toBe(head.contentLengthBytes < 0 ? 0 : 1);
  expect(names.filter((name) => name === "x-request-id").length).toBe(1);
}

describe("random request heads", () => {
  test("40,000 damaged ones pass exactly when the plainly written rules say so", () => {
    const random = Random.fromEntropy([9110]);
    let passed = 0;
    for (let round = 0; round < 40_000; round++) {
      const fields = damaged(random);
      const head = readRequestHead(sectionOf(fields));
      expect({ round, fields, legal: !(head instanceof Malformed) }).toEqual({
        round,
        fields,
        legal: isLegalHead(fields),
      });
      if (head instanceof Malformed) continue;
      passed += 1;
      expectHarmless(head);
    }
    expect(passed).toBeGreaterThan(2000);
    expect(passed).toBeLessThan(30_000);
  });

  test("20,000 of random bytes throw nothing, and none passes with CR, LF or NUL", () => {
    const random = Random.fromEntropy([0xbad]);
    for (let round = 0; round < 20_000; round++) {
      const fields = Array.from({ length: random.nextBelow(8) }, (): Field => {
        const name = random.nextBelow(3) === 0 ? randomText(random, 8) : oneOf(random, [...PSEUDO, ...PARTS]);
        return [name, randomText(random, 8)];
      });
      const head = readRequestHead(sectionOf(fields));
      if (!(head instanceof Malformed)) expectHarmless(head);
    }
  });

  test("20,000 damaged flat sections throw nothing on their way through", () => {
    const random = Random.fromEntropy([0xf1a7]);
    let read = 0;
    for (let round = 0; round < 20_000; round++) {
      const flat = flatOf(oneOf(random, VALID));
      for (let hits = random.nextBelow(4); hits >= 0; hits--)
        flat[random.nextBelow(flat.length)] = random.nextBelow(256);
      const section = FieldSection.from(flat);
      if (section === null) continue;
      read += 1;
      const head = readRequestHead(section);
      if (!(head instanceof Malformed)) expectHarmless(head);
    }
    expect(read).toBeGreaterThan(1000);
  });
});

describe("random trailers and response heads", () => {
  test("20,000 of them throw nothing, and what passes is legal", () => {
    const random = Random.fromEntropy([0x5e5]);
    const names = ["grpc-status", "server", "set-cookie", "connection", "content-length", "x-own", "alt-svc"];
    let passed = 0;
    for (let round = 0; round < 20_000; round++) {
      const fields = Array.from({ length: random.nextBelow(5) }, (): Field => {
        const name = random.nextBelow(8) === 0 ? randomText(random, 6) : oneOf(random, names);
        return [name, random.nextBelow(8) === 0 ? randomText(random, 6) : oneOf(random, ["5", "x-own, y", "a b", ""])];
      });
      const section = sectionOf(fields);
      if (readTrailers(section) === null) expect(fields.every(isLegalField)).toBe(true);
      const passes = typeof readResponseFields(200, section, writer) === "number";
      expect(writeResponseFields(200, section, writer, RequestId.given("id"), "2") === null).toBe(passes);
      if (!passes) continue;
      passed += 1;
      expect(fields.every(isLegalField)).toBe(true);
      expect(fieldsOfFlat(writer.finish()).slice(1).every(isLegalField)).toBe(true);
    }
    expect(passed).toBeGreaterThan(2000);
  });
});
