import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import {
  type HeadLimits,
  Malformed,
  MALFORMED_ANSWERS,
  type MalformedReason,
  readRequestHead,
} from "../../../src/h3/head.ts";
import { type Field, sectionOf } from "../../support/sections.ts";

const METHOD: Field = [":method", "GET"];
const SCHEME: Field = [":scheme", "https"];
const AUTHORITY: Field = [":authority", "example.com"];
const PATH: Field = [":path", "/a?b"];
const PSEUDO: readonly Field[] = [METHOD, SCHEME, AUTHORITY, PATH];

/** The four pseudo-fields with some of them replaced, and further fields behind. */
function headWith(replaced: Readonly<Record<string, string>>, ...more: readonly Field[]): Field[] {
  return [...PSEUDO.map(([name, value]): Field => [name, replaced[name] ?? value]), ...more];
}

function without(name: string, ...more: readonly Field[]): Field[] {
  return [...PSEUDO.filter((field) => field[0] !== name), ...more];
}

function read(fields: readonly Field[]) {
  const head = readRequestHead(sectionOf(fields));
  if (head instanceof Malformed) return head.reason;
  const { method, scheme, authority, path, firstField, contentLengthBytes } = head;
  return { method, scheme, authority, path, firstField, contentLengthBytes };
}

const PLAIN = {
  method: "GET",
  scheme: "https",
  authority: "example.com",
  path: "/a?b",
  firstField: 4,
  contentLengthBytes: -1,
};

type Differences = Partial<typeof PLAIN>;

const GOOD: readonly (readonly [string, readonly Field[], Differences])[] = [
  ["the four pseudo-fields", PSEUDO, {}],
  ["pseudo-fields in any order", [PATH, AUTHORITY, METHOD, SCHEME, ["accept", "*/*"]], {}],
  ["scheme http", headWith({ ":scheme": "http" }), { scheme: "http" }],
  ["a method of nobody's", headWith({ ":method": "BREW" }), { method: "BREW" }],
  ["a method in lower case, which is another method", headWith({ ":method": "get" }), { method: "get" }],
  ["a method of odd token characters", headWith({ ":method": "!#$%&'*+-.^_`|~" }), { method: "!#$%&'*+-.^_`|~" }],
  ["an authority with a port", headWith({ ":authority": "example.com:8443" }), { authority: "example.com:8443" }],
  ["an address as authority", headWith({ ":authority": "[2001:db8::1]:443" }), { authority: "[2001:db8::1]:443" }],
  ["Host in place of :authority", without(":authority", ["host", "example.com"]), { firstField: 3 }],
  ["Host that equals :authority", headWith({}, ["host", "example.com"]), {}],
  ["Host that differs in case only", headWith({}, ["host", "EXAMPLE.com"]), {}],
  ["the shortest path", headWith({ ":path": "/" }), { path: "/" }],
  ["OPTIONS *", headWith({ ":method": "OPTIONS", ":path": "*" }), { method: "OPTIONS", path: "*" }],
  ["OPTIONS of a path", headWith({ ":method": "OPTIONS" }), { method: "OPTIONS" }],
  ["a path with escapes, kept as sent", headWith({ ":path": "/a%20b%2Fc/%c3?%zz" }), { path: "/a%20b%2Fc/%c3?%zz" }],
  ["a path with dot segments, kept as sent", headWith({ ":path": "/a/../b/./c" }), { path: "/a/../b/./c" }],
  ["every visible character but # in a path", headWith({ ":path": visiblePath() }), { path: visiblePath() }],
  ["a path that begins like an authority", headWith({ ":path": "//evil/" }), { path: "//evil/" }],
  ["a path of 8,000 bytes", headWith({ ":path": `/${"p".repeat(8000)}` }), { path: `/${"p".repeat(8000)}` }],
  ["te: trailers", headWith({}, ["te", "trailers"]), {}],
  ["te: Trailers", headWith({}, ["te", "Trailers"]), {}],
  ["content-length: 0", headWith({}, ["content-length", "0"]), { contentLengthBytes: 0 }],
  ["content-length: 5", headWith({}, ["content-length", "5"]), { contentLengthBytes: 5 }],
  ["content-length with leading zeros", headWith({}, ["content-length", "007"]), { contentLengthBytes: 7 }],
  [
    "the largest content-length",
    headWith({}, ["content-length", "9007199254740991"]),
    { contentLengthBytes: Number.MAX_SAFE_INTEGER },
  ],
  [
    "content-length repeated digit for digit",
    headWith({}, ["content-length", "5"], ["a", "b"], ["content-length", "5"], ["content-length", "5"]),
    { contentLengthBytes: 5 },
  ],
  ["an empty value", headWith({}, ["x-own", ""]), {}],
  ["tab and space inside a value", headWith({}, ["x-own", "a \t b"]), {}],
  ["bytes above ASCII in a value", headWith({}, ["x-own", "gr\u00c3\u00bcn"]), {}],
  ["a name of odd token characters", headWith({}, ["!#$%&'*+-.^_`|~0", "v"]), {}],
  ["a name that is known, twice", headWith({}, ["accept", "a"], ["accept", "b"]), {}],
  ["fields that are hop-by-hop by custom only", headWith({}, ["trailer", "x"], ["http2-settings", "x"]), {}],
  ["as many fields as there may be", headWith({}, ...many(LIMITS.fieldsPerSectionMax - 4)), {}],
];

const BAD: readonly (readonly [MalformedReason, string, readonly Field[]])[] = [
  ["method-missing", "no fields at all", []],
  ["method-missing", "no :method", without(":method")],
  ["method-missing", "only ordinary fields", [["accept", "*/*"]]],
  ["scheme-missing", "no :scheme", without(":scheme")],
  ["path-missing", "no :path", without(":path")],
  ["authority-missing", "neither :authority nor Host", without(":authority")],
  ["pseudo-duplicate", ":method twice", [METHOD, METHOD, SCHEME, AUTHORITY, PATH]],
  ["pseudo-duplicate", ":path twice, not in a row", [PATH, METHOD, SCHEME, AUTHORITY, PATH]],
  ["pseudo-duplicate", ":authority twice, equal", [AUTHORITY, METHOD, SCHEME, AUTHORITY, PATH]],
  ["pseudo-duplicate", ":scheme twice", [...PSEUDO, SCHEME]],
  ["pseudo-unknown", ":status in a request", [...PSEUDO, [":status", "200"]]],
  ["pseudo-unknown", ":status behind fields", [...PSEUDO, ["a", "b"], [":status", "200"]]],
  ["pseudo-unknown", "a pseudo-field nobody knows", [...PSEUDO, [":foo", "bar"]]],
  ["pseudo-unknown", "a pseudo-field in upper case", [[":Method", "GET"], SCHEME, AUTHORITY, PATH]],
  ["pseudo-unknown", "a name that is only a colon", [...PSEUDO, [":", "bar"]]],
  ["pseudo-after-field", ":path behind a field", [METHOD, SCHEME, AUTHORITY, ["a", "b"], PATH]],
  ["pseudo-after-field", ":authority twice, one of them behind a field", [...PSEUDO, ["a", "b"], AUTHORITY]],
  ["pseudo-after-field", ":protocol behind a field", [...PSEUDO, ["a", "b"], [":protocol", "websocket"]]],
  ["protocol-without-connect", ":protocol with GET", [...PSEUDO, [":protocol", "websocket"]]],
  ["connect", "CONNECT", [[":method", "CONNECT"], AUTHORITY]],
  ["connect", "CONNECT with scheme and path", headWith({ ":method": "CONNECT" })],
  ["extended-connect", "extended CONNECT", [...headWith({ ":method": "CONNECT" }), [":protocol", "websocket"]]],
  ["method-character", "an empty method", headWith({ ":method": "" })],
  ["method-character", "a request line as method", headWith({ ":method": "GET /x HTTP/1.1" })],
  ["method-character", "a method with a space at its end", headWith({ ":method": "GET " })],
  ["method-character", "a method with a colon", headWith({ ":method": "GET:" })],
  ["method-character", "a method above ASCII", headWith({ ":method": "G\u00c9T" })],
  ["value-character", "a method with CRLF", headWith({ ":method": "GET\r\nx: y" })],
  ["scheme-unsupported", "scheme ftp", headWith({ ":scheme": "ftp" })],
  ["scheme-unsupported", "an empty scheme", headWith({ ":scheme": "" })],
  ["scheme-unsupported", "a scheme in upper case", headWith({ ":scheme": "HTTPS" })],
  ["scheme-unsupported", "a scheme with a space", headWith({ ":scheme": "https " })],
  ["scheme-unsupported", "a scheme with an authority", headWith({ ":scheme": "https://evil/x?" })],
  ["value-character", "a scheme with LF", headWith({ ":scheme": "https\n" })],
  ["path-empty", "an empty path", headWith({ ":path": "" })],
  ["path-form", "a path without a slash", headWith({ ":path": "a" })],
  ["path-form", "an absolute path", headWith({ ":path": "http://evil/" })],
  ["path-form", "a query alone", headWith({ ":path": "?a" })],
  ["path-form", "* with GET", headWith({ ":path": "*" })],
  ["path-form", "* and more with OPTIONS", headWith({ ":method": "OPTIONS", ":path": "*/" })],
  ["path-fragment", "a fragment", headWith({ ":path": "/a#b" })],
  ["path-fragment", "an empty fragment", headWith({ ":path": "/#" })],
  ["path-character", "a space in the path", headWith({ ":path": "/a b" })],
  ["path-character", "a space before the path", headWith({ ":path": " /a" })],
  ["path-character", "bytes above ASCII in the path", headWith({ ":path": "/gr\u00c3\u00bcn" })],
  ["path-character", "the byte 0x80 in the path", headWith({ ":path": "/\u0080" })],
  ["path-escape", "an escape that is none", headWith({ ":path": "/a%zz" })],
  ["path-escape", "an escape that is cut off", headWith({ ":path": "/a%2" })],
  ["path-control", "an escaped NUL", headWith({ ":path": "/a%00" })],
  ["path-ambiguous", "an escaped slash beside a dot segment", headWith({ ":path": "/a%2f../b" })],
  ["path-ambiguous", "a dot segment with a parameter", headWith({ ":path": "/a/..;/b" })],
  ["value-character", "an escape that is none, and LF", headWith({ ":path": "/a%zz\n" })],
  ["path-character", "a tab in the path", headWith({ ":path": "/\t" })],
  ["value-character", "NUL in the path", headWith({ ":path": "/a\0b" })],
  ["value-character", "CRLF in the path", headWith({ ":path": "/ HTTP/1.1\r\nhost: evil\r\n\r\n" })],
  ["value-character", "DEL in the path", headWith({ ":path": "/\u007f" })],
  ["authority-empty", "an empty :authority", headWith({ ":authority": "" })],
  ["authority-empty", "an empty :authority beside Host", headWith({ ":authority": "" }, ["host", "example.com"])],
  ["authority-empty", "an empty Host alone", without(":authority", ["host", ""])],
  ["authority-userinfo", "userinfo", headWith({ ":authority": "user@example.com" })],
  ["authority-userinfo", "userinfo in Host", without(":authority", ["host", "user:pw@example.com"])],
  ["authority-invalid", "a space in the authority", headWith({ ":authority": "example.com evil" })],
  ["authority-invalid", "a path in the authority", headWith({ ":authority": "example.com/x" })],
  ["authority-invalid", "a port out of range", headWith({ ":authority": "example.com:65536" })],
  ["authority-invalid", "two hosts in Host", without(":authority", ["host", "a, b"])],
  ["value-character", "CRLF in the authority", headWith({ ":authority": "example.com\r\nx: y" })],
  ["value-character", "CRLF in Host", without(":authority", ["host", "example.com\r\n"])],
  ["host-mismatch", "Host that differs", headWith({}, ["host", "evil.com"])],
  ["host-mismatch", "Host with a port more", headWith({}, ["host", "example.com:443"])],
  ["host-mismatch", "an empty Host beside :authority", headWith({}, ["host", ""])],
  ["host-duplicate", "Host twice, equal", headWith({}, ["host", "example.com"], ["host", "example.com"])],
  ["host-duplicate", "Host twice without :authority", without(":authority", ["host", "a"], ["host", "b"])],
  ["name-empty", "an empty name", headWith({}, ["", "v"])],
  ["name-upper-case", "an upper-case name", headWith({}, ["X-Own", "v"])],
  ["name-upper-case", "a known name in upper case", headWith({}, ["Content-Length", "5"])],
  ["name-upper-case", "a connection field in upper case", headWith({}, ["Connection", "close"])],
  ["name-character", "a space in a name", headWith({}, ["x own", "v"])],
  ["name-character", "a space behind a name", headWith({}, ["content-length ", "5"])],
  ["name-character", "a colon in a name", headWith({}, ["x:own", "v"])],
  ["name-character", "a colon behind a name", headWith({}, ["host:", "v"])],
  ["name-character", "CRLF in a name", headWith({}, ["x\r\ny", "v"])],
  ["name-character", "NUL in a name", headWith({}, ["x\0", "v"])],
  ["name-character", "a name above ASCII", headWith({}, ["gr\u00fcn", "v"])],
  ["name-character", "a name in quotes", headWith({}, ['"x"', "v"])],
  ["value-character", "CRLF in a value", headWith({}, ["x-own", "a\r\nhost: evil"])],
  ["value-character", "CR alone in a value", headWith({}, ["x-own", "a\rb"])],
  ["value-character", "LF alone in a value", headWith({}, ["accept", "a\nb"])],
  ["value-character", "NUL in a value", headWith({}, ["x-own", "a\0b"])],
  ["value-character", "ESC in a value", headWith({}, ["user-agent", "\u001b[31m"])],
  ["value-character", "DEL in a value", headWith({}, ["x-own", "\u007f"])],
  ["value-character", "CRLF at the end of a value", headWith({}, ["x-own", "a\r\n"])],
  ["value-whitespace", "a space before a value", headWith({}, ["x-own", " a"])],
  ["value-whitespace", "a tab behind a value", headWith({}, ["accept", "a\t"])],
  ["value-whitespace", "a value of one space", headWith({}, ["x-own", " "])],
  ["connection-specific", "connection", headWith({}, ["connection", "close"])],
  ["connection-specific", "keep-alive", headWith({}, ["keep-alive", "timeout=5"])],
  ["connection-specific", "proxy-connection", headWith({}, ["proxy-connection", "keep-alive"])],
  ["connection-specific", "transfer-encoding", headWith({}, ["transfer-encoding", "chunked"])],
  ["connection-specific", "transfer-encoding: identity", headWith({}, ["transfer-encoding", "identity"])],
  ["connection-specific", "upgrade", headWith({}, ["upgrade", "websocket"])],
  ["te", "te: gzip", headWith({}, ["te", "gzip"])],
  ["te", "te: trailers and more", headWith({}, ["te", "trailers, deflate"])],
  ["te", "te with weight", headWith({}, ["te", "trailers;q=1"])],
  ["te", "an empty te", headWith({}, ["te", ""])],
  ["te", "a second te", headWith({}, ["te", "trailers"], ["te", "chunked"])],
  ["content-length", "an empty content-length", headWith({}, ["content-length", ""])],
  ["content-length", "a plus", headWith({}, ["content-length", "+5"])],
  ["content-length", "a minus", headWith({}, ["content-length", "-5"])],
  ["content-length", "hexadecimal digits", headWith({}, ["content-length", "0x5"])],
  ["content-length", "a list of equal values", headWith({}, ["content-length", "5, 5"])],
  ["content-length", "a list without a space", headWith({}, ["content-length", "5,5"])],
  ["content-length", "a fraction", headWith({}, ["content-length", "5.0"])],
  ["content-length", "a space behind", headWith({}, ["content-length", "5 "])],
  ["content-length", "2^53", headWith({}, ["content-length", "9007199254740992"])],
  ["content-length", "2^64", headWith({}, ["content-length", "18446744073709551616"])],
  ["content-length", "a bad repeat", headWith({}, ["content-length", "5"], ["content-length", "5a"])],
  ["content-length-conflict", "two lengths", headWith({}, ["content-length", "5"], ["content-length", "6"])],
  [
    "content-length-conflict",
    "the same in other digits",
    headWith({}, ["content-length", "5"], ["content-length", "05"]),
  ],
  ["too-many-fields", "a field too many", headWith({}, ...many(LIMITS.fieldsPerSectionMax - 3))],
];

function visiblePath(): string {
  let path = "/";
  for (let byte = 0x21; byte <= 0x7e; byte++) if (byte !== 0x23) path += String.fromCharCode(byte);
  return path.replace("%", "%25");
}

function many(count: number): Field[] {
  return Array.from({ length: count }, (_, i): Field => [`x-${i}`, "v"]);
}

describe("a request head passes with", () => {
  for (const [name, fields, differences] of GOOD) {
    test(name, () => expect(read(fields)).toEqual({ ...PLAIN, ...differences }));
  }
});

describe("a request head is refused for", () => {
  for (const [reason, name, fields] of BAD) {
    test(`${name}: ${reason}`, () => expect(read(fields)).toBe(reason));
  }

  test("a control character in any pseudo-field, whatever else is wrong with it", () => {
    for (const [name] of PSEUDO) {
      for (const control of ["\0", "\r", "\n", "\r\n", "\u007f", "\u001f"]) {
        expect([name, read(headWith({ [name]: `http://a b${control}#` }))]).toEqual([name, "value-character"]);
      }
    }
  });
});

describe("the answer to a malformed request", () => {
  const expectAnswer = (fields: readonly Field[], answer: "reset" | 400 | 431 | 501): void => {
    const head = readRequestHead(sectionOf(fields));
    expect(head instanceof Malformed ? head.answer : null).toBe(answer);
  };

  test("is a reset for what no honest client sends", () =>
    expectAnswer(headWith({}, ["connection", "close"]), "reset"));
  test("is 400 for a mistake in the URL", () => expectAnswer(headWith({ ":path": "/a#b" }), 400));
  test("is 501 for CONNECT", () => expectAnswer([[":method", "CONNECT"], AUTHORITY], 501));
  test("is 431 for too many fields", () => expectAnswer(many(LIMITS.fieldsPerSectionMax + 1), 431));

  test("every reason that a request can have stands in the table above", () => {
    const tested = new Set(BAD.map(([reason]) => reason));
    const behind = ["pseudo-in-trailers", "trailer-forbidden", "body-length", "body-after-trailers"];
    const elsewhere = ["section-too-large", "uri-too-long", "head-late", ...behind];
    const missing = Object.keys(MALFORMED_ANSWERS).filter((reason) => ![...tested].some((each) => each === reason));
    expect(missing).toEqual(elsewhere);
  });
});

describe("the limits of a head", () => {
  const readWithin = (fields: readonly Field[], limits: Partial<HeadLimits>): string => {
    const wide = { headerBytesMax: 10_000, headerCountMax: 100, uriBytesMax: 1000 };
    const head = readRequestHead(sectionOf(fields), { ...wide, ...limits });
    return head instanceof Malformed ? `${head.reason} ${head.answer}` : "read";
  };
  const BYTES = PSEUDO.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);

  test("are what may still be read", () => {
    expect(readWithin(PSEUDO, { headerBytesMax: BYTES, headerCountMax: 4, uriBytesMax: 4 })).toBe("read");
  });

  test("answer one byte more with 431, one field more with 431, a path of one byte more with 414", () => {
    expect(readWithin(PSEUDO, { headerBytesMax: BYTES - 1 })).toBe("section-too-large 431");
    expect(readWithin(PSEUDO, { headerCountMax: 3 })).toBe("too-many-fields 431");
    expect(readWithin(PSEUDO, { uriBytesMax: 3 })).toBe("uri-too-long 414");
  });

  test("are asked before the rules: what is too large is not looked at", () => {
    expect(readWithin(headWith({ ":path": "no slash" }), { uriBytesMax: 3 })).toBe("uri-too-long 414");
    expect(readWithin([["Upper", ""], ...PSEUDO], { headerCountMax: 3 })).toBe("too-many-fields 431");
  });
});

describe("a request head", () => {
  test("keeps the section it was read from", () => {
    const section = sectionOf(headWith({}, ["x-own", "v"]));
    const head = readRequestHead(section);
    expect(head instanceof Malformed ? null : head.fields).toBe(section);
  });
});
