/**
 * Request heads that no backend may see (RFC 9114 4.1.2 to 4.3, RFC 9110). Each is sent letter by letter, with FIN; then a good request
 * on the same connection must be served, and it alone may stand in the backend's record, byte for byte.
 */
import { GET, hello, request } from "./frame-steps.ts";
import type { H3iField } from "./h3i.ts";
import type { Http3Case } from "./http3-case.ts";

/** What the client gets: a status, or a reset of the stream with H3_MESSAGE_ERROR. */
type Answer = 400 | 501 | "reset";

const H3_MESSAGE_ERROR = 0x10e;
const METHOD: H3iField = [":method", "GET"];
const SCHEME: H3iField = [":scheme", "https"];
const AUTHORITY: H3iField = [":authority", "shop.test"];
const PATH: H3iField = [":path", "/"];
const CRLF_HEAD = "a\r\nhost: evil.test\r\n\r\nGET /evil HTTP/1.1\r\nhost: evil.test\r\n\r\n";

/** A good head and more. */
function withFields(...fields: readonly H3iField[]): readonly H3iField[] {
  return [...GET, ...fields];
}

/** A good head with another value of one field. */
function withValue(name: string, value: string): readonly H3iField[] {
  return GET.map((field): H3iField => (field[0] === name ? [name, value] : field));
}

/** Row, what is wrong, the whole field section, the answer. */
const BAD: readonly (readonly [row: number, name: string, fields: readonly H3iField[], answer: Answer])[] = [
  [16, "two :method", [METHOD, METHOD, SCHEME, AUTHORITY, PATH], "reset"],
  [16, "two :scheme", [METHOD, SCHEME, SCHEME, AUTHORITY, PATH], "reset"],
  [16, "two :authority", [METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH], "reset"],
  [16, "two :path", [METHOD, SCHEME, AUTHORITY, PATH, [":path", "/evil"]], "reset"],
  [16, "no :method", [SCHEME, AUTHORITY, PATH], "reset"],
  [16, "no :scheme", [METHOD, AUTHORITY, PATH], "reset"],
  [16, "no :path", [METHOD, SCHEME, AUTHORITY], "reset"],
  [16, "an unknown pseudo-field", [METHOD, SCHEME, AUTHORITY, PATH, [":foo", "bar"]], "reset"],
  [16, "a pseudo-field after a field", [METHOD, SCHEME, AUTHORITY, ["x", "1"], PATH], "reset"],
  [16, ":protocol without CONNECT", [METHOD, [":protocol", "websocket"], SCHEME, AUTHORITY, PATH], "reset"],
  [16, "no field at all", [], "reset"],

  [17, ":status before the rest", [[":status", "200"], ...GET], "reset"],
  [17, ":status after the rest", withFields([":status", "200"]), "reset"],

  [18, "an upper-case name", withFields(["X-Upper", "1"]), "reset"],
  [18, "an upper-case Content-Length", withFields(["Content-Length", "0"]), "reset"],
  [18, "a name with a blank", withFields(["x y", "1"]), "reset"],
  [18, "a name with a blank at its end", withFields(["content-length ", "5"]), "reset"],
  [18, "a name with a colon", withFields(["x:y", "1"]), "reset"],
  [18, "a name with a line in it", withFields(["x: 1\r\nx-evil", "1"]), "reset"],
  [18, "an empty name", withFields(["", "1"]), "reset"],
  [18, "a name with NUL", withFields(["x\0y", "1"]), "reset"],
  [18, "a name beyond ASCII", withFields(["caf\u00e9", "1"]), "reset"],

  [19, "CRLF and a second head in a value", withFields(["x", CRLF_HEAD]), "reset"],
  [19, "CR in a value", withFields(["x", "a\rb"]), "reset"],
  [19, "LF in a value", withFields(["x", "a\nb"]), "reset"],
  [19, "NUL in a value", withFields(["x", "a\0b"]), "reset"],
  [19, "DEL in a value", withFields(["x", "a\x7fb"]), "reset"],
  [19, "LF in the value of a field with a rule", withFields(["cookie", "a=1\nx: 2"]), "reset"],
  [19, "a blank before a value", withFields(["x", " a"]), "reset"],
  [19, "a tab after a value", withFields(["x", "a\t"]), "reset"],
  ...[":method", ":scheme", ":authority", ":path"].flatMap((name) =>
    [
      ["CRLF", CRLF_HEAD],
      ["LF", "/a\nb"],
      ["NUL", "/a\0b"],
    ].map(([what, value]) => [19, `${what} in ${name}`, withValue(name, value ?? ""), "reset"] as const),
  ),

  [20, "a whole request line for a method", withValue(":method", "GET /x HTTP/1.1"), "reset"],
  [20, "an empty method", withValue(":method", ""), "reset"],
  [20, "a method with a tab", withValue(":method", "GET\t"), "reset"],
  [20, "a method with a colon", withValue(":method", "GET:"), "reset"],

  [21, "a blank in :path", withValue(":path", "/a b"), 400],
  [21, "a request line's end in :path", withValue(":path", "/ HTTP/1.1"), 400],
  [21, "a tab in :path", withValue(":path", "/a\tb"), 400],
  [21, "a control character in :path", withValue(":path", "/a\x01b"), "reset"],
  [21, "bytes beyond ASCII in :path", withValue(":path", "/caf\u00e9"), 400],
  [21, "a fragment in :path", withValue(":path", "/a#b"), 400],
  [21, "an empty :path", withValue(":path", ""), 400],
  [21, ":path without its slash", withValue(":path", "evil"), 400],
  [21, ":path that begins with a query", withValue(":path", "?a=1"), 400],
  [21, "* with GET", withValue(":path", "*"), 400],

  [22, "an absolute :path", withValue(":path", "http://evil.test/"), 400],
  [22, "an absolute :path of our own", withValue(":path", "https://shop.test/"), 400],
  [22, "a host and a port for a :path", withValue(":path", "evil.test:80"), 400],

  [23, "scheme ftp", withValue(":scheme", "ftp"), 400],
  [23, "a scheme with a blank", withValue(":scheme", "https "), 400],
  [23, "an empty scheme", withValue(":scheme", ""), 400],
  [23, "a scheme that carries a head", withValue(":scheme", "https://evil.test/"), 400],

  [24, "Host is another than :authority", withFields(["host", "evil.test"]), "reset"],
  [24, "Host has another port than :authority", withFields(["host", "shop.test:81"]), "reset"],
  [24, "Host is empty beside :authority", withFields(["host", ""]), "reset"],
  [24, "two Host", withFields(["host", "shop.test"], ["host", "shop.test"]), "reset"],

  [26, "neither :authority nor Host", [METHOD, SCHEME, PATH], "reset"],
  [26, "an empty :authority", [METHOD, SCHEME, [":authority", ""], PATH], 400],
  [26, "an empty Host alone", [METHOD, SCHEME, PATH, ["host", ""]], 400],

  [27, "a user in :authority", withValue(":authority", "user@shop.test"), 400],
  [27, "a user and a password in :authority", withValue(":authority", "user:password@shop.test"), 400],
  [27, "a user in Host alone", [METHOD, SCHEME, PATH, ["host", "user@shop.test"]], 400],
  [27, "a slash in :authority", withValue(":authority", "shop.test/evil"), 400],
  [27, "a backslash in :authority", withValue(":authority", "shop.test\\evil.test"), 400],

  [29, "connection", withFields(["connection", "close"]), "reset"],
  [29, "connection, empty", withFields(["connection", ""]), "reset"],
  [29, "keep-alive", withFields(["keep-alive", "timeout=5"]), "reset"],
  [29, "proxy-connection", withFields(["proxy-connection", "keep-alive"]), "reset"],
  [29, "upgrade", withFields(["upgrade", "websocket"]), "reset"],
  [29, "transfer-encoding", withFields(["transfer-encoding", "chunked"]), "reset"],

  [30, "te: gzip", withFields(["te", "gzip"]), "reset"],
  [30, "te: trailers and more", withFields(["te", "trailers, deflate"]), "reset"],
  [30, "te: trailers with a weight", withFields(["te", "trailers;q=0.5"]), "reset"],
  [30, "te, empty", withFields(["te", ""]), "reset"],

  [31, "two different content-length", withFields(["content-length", "0"], ["content-length", "1"]), "reset"],
  [31, "content-length +0", withFields(["content-length", "+0"]), "reset"],
  [31, "content-length 0x0", withFields(["content-length", "0x0"]), "reset"],
  [31, "content-length -1", withFields(["content-length", "-1"]), "reset"],
  [31, "content-length 0, 0", withFields(["content-length", "0, 0"]), "reset"],
  [31, "content-length 0 and 00", withFields(["content-length", "0"], ["content-length", "00"]), "reset"],
  [31, "content-length, empty", withFields(["content-length", ""]), "reset"],
  [31, "content-length 0.0", withFields(["content-length", "0.0"]), "reset"],
  [31, "content-length over 2^64", withFields(["content-length", "18446744073709551616"]), "reset"],
  [31, "a content-length and no body", withFields(["content-length", "1"]), "reset"],

  [43, "CONNECT", [[":method", "CONNECT"], AUTHORITY], 501],
  [43, "CONNECT with :scheme and :path", [[":method", "CONNECT"], SCHEME, AUTHORITY, PATH], 501],
  [43, "extended CONNECT for websocket", extendedConnect("websocket", "/chat"), 501],
  [43, "connect-udp", extendedConnect("connect-udp", "/.well-known/masque/udp/192.0.2.6/443/"), 501],
];

/** Head, and that it is as good as any. */
const GOOD: readonly (readonly [row: number, name: string, fields: readonly H3iField[], seen: RegExp])[] = [
  [24, "Host that is :authority in other letters", withFields(["host", "SHOP.test"]), /^host: shop\.test$/gim],
  [30, "te: trailers", withFields(["te", "trailers"]), /^GET \/ HTTP\/1\.1$/gm],
  [31, "content-length 0", withFields(["content-length", "0"]), /^GET \/ HTTP\/1\.1$/gm],
  [43, "OPTIONS *", [[":method", "OPTIONS"], SCHEME, AUTHORITY, [":path", "*"]], /^OPTIONS \* HTTP\/1\.1$/gm],
  [20, "a method that nobody knows", withValue(":method", "FROBNICATE"), /^FROBNICATE \/ HTTP\/1\.1$/gm],
];

/** Rows 16 to 31 and 43, as far as heads alone go. */
export const HEAD_TABLE: readonly Http3Case[] = [
  ...BAD.map(([row, name, fields, answer]): Http3Case => {
    const seen = answer === "reset" ? { reset: H3_MESSAGE_ERROR } : { status: answer };
    return { row, name, steps: [...hello(), request(fields)], answer: seen, by: "Spooky" };
  }),
  ...GOOD.map(([row, name, fields, sent]): Http3Case => ({
    ...{ row, name: `${name} is served`, sent },
    ...{ steps: [...hello(), request(fields)], answer: { status: 200 }, by: "Spooky" },
  })),
];

function extendedConnect(protocol: string, path: string): readonly H3iField[] {
  return [[":method", "CONNECT"], [":protocol", protocol], SCHEME, AUTHORITY, [":path", path]];
}
