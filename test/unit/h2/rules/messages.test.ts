/**
 * RFC 9113 section 8: what a response may look like. A malformed one is an error of its stream (8.1.1) and of nothing else. What values
 * may hold is judged where responses of all transports are (`h3/response-head.ts`).
 */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../../src/core/limits.ts";
import { FLAG, FRAME, H2_CODE } from "../../../../src/h2/codes.ts";
import { dataFrame, frame, GET, H2Peer, joined } from "../../../support/h2-peer.ts";
import { type Field, sectionOf } from "../../../support/sections.ts";
import { ANSWERED, ASKED, HEAD_ASKED, makeBed, OK, OPEN, type Rule, tryRules } from "./bed.ts";

function head(status: string, ...fields: readonly Field[]): Field[] {
  return [[":status", status], ...fields];
}

/** A head on `ASKED` that is malformed for this reason. */
function badHead(
  section: string,
  name: string,
  fields: readonly Field[],
  fault: "status" | "pseudo-field" | "field-name" | "connection-field",
): Rule {
  return [section, name, `stream ${fault}`, (peer) => [peer.headers(ASKED, fields, true)]];
}

describe("8.1 the order of a response's frames:", () => {
  tryRules([
    ["8.1", "DATA before the head", "stream data-before-head", () => [dataFrame(ASKED, "a")]],
    ["8.1", "an empty end before the head", "stream data-before-head", () => [dataFrame(ASKED, "", true)]],
    [
      "8.1",
      "DATA behind an interim response",
      "stream data-before-head",
      (peer) => [peer.headers(ASKED, head("100")), dataFrame(ASKED, "a")],
    ],
    [
      "8.1",
      "an interim response that ends",
      "stream informational-end",
      (peer) => [peer.headers(ASKED, head("103"), true)],
    ],
    [
      "8.1",
      "interim responses, the same one again and again",
      "nothing",
      (peer) => [
        ...Array.from({ length: LIMITS.h2InformationalMax }, () => peer.headers(ASKED, head("102"))),
        peer.headers(ASKED, OK, true),
      ],
    ],
    [
      "8.1",
      "an interim response behind the head",
      "stream trailers-without-end",
      (peer) => [peer.headers(ANSWERED, head("103"))],
    ],
    ["8.1", "a second head", "stream trailers-without-end", (peer) => [peer.headers(ANSWERED, OK)]],
    ["8.1", "a second head that ends", "stream pseudo-field", (peer) => [peer.headers(ANSWERED, OK, true)]],
    [
      "8.1",
      "trailers that do not end",
      "stream trailers-without-end",
      (peer) => [peer.headers(ANSWERED, [["a", "b"]])],
    ],
    ["8.1", "trailers of no fields", "nothing", (peer) => [peer.headers(ANSWERED, [], true)]],
    [
      "8.1",
      "trailers in pieces",
      "nothing",
      (peer) => {
        const block = peer.block([["grpc-status", "0"]]);
        return [
          frame(FRAME.headers, FLAG.endStream, ANSWERED, block.slice(0, 1)),
          frame(FRAME.continuation, FLAG.endHeaders, ANSWERED, block.slice(1)),
        ];
      },
    ],
    ["8.1", "an answer that is complete before its request", "nothing", (peer) => [peer.headers(OPEN, OK, true)]],
    [
      "8.1",
      "an empty DATA frame before and behind a body",
      "nothing",
      () => [dataFrame(ANSWERED, ""), dataFrame(ANSWERED, "a"), dataFrame(ANSWERED, "", true)],
    ],
  ]);
});

describe("8.1.1 Content-Length and the body:", () => {
  const of = (length: string): Field[] => head("200", ["content-length", length]);
  tryRules([
    ["8.1.1", "a head that promises and ends", "stream body-length", (peer) => [peer.headers(ASKED, of("1"), true)]],
    [
      "8.1.1",
      "a body shorter by one byte",
      "stream body-length",
      (peer) => [peer.headers(ASKED, of("4")), dataFrame(ASKED, "abc", true)],
    ],
    [
      "8.1.1",
      "a body longer by one byte",
      "stream body-length",
      (peer) => [peer.headers(ASKED, of("2")), dataFrame(ASKED, "abc", true)],
    ],
    [
      "8.1.1",
      "a body longer in its second frame",
      "stream body-length",
      (peer) => [peer.headers(ASKED, of("3")), dataFrame(ASKED, "abc"), dataFrame(ASKED, "d")],
    ],
    [
      "8.1.1",
      "no body and an empty end",
      "stream body-length",
      (peer) => [peer.headers(ASKED, of("3")), dataFrame(ASKED, "", true)],
    ],
    [
      "8.1.1",
      "a body cut short by trailers",
      "stream body-length",
      (peer) => [peer.headers(ASKED, of("3")), dataFrame(ASKED, "ab"), peer.headers(ASKED, [["a", "b"]], true)],
    ],
    [
      "8.1.1",
      "a body as promised, in frames with padding",
      "nothing",
      (peer) => [
        peer.headers(ASKED, of("5")),
        dataFrame(ASKED, "abc", false, 7),
        dataFrame(ASKED, "", false, 3),
        dataFrame(ASKED, "de", true, 0),
      ],
    ],
    [
      "8.1.1",
      "a body as promised, then trailers",
      "nothing",
      (peer) => [peer.headers(ASKED, of("2")), dataFrame(ASKED, "ab"), peer.headers(ASKED, [["a", "b"]], true)],
    ],
    ["8.1.1", "a body of no bytes as promised", "nothing", (peer) => [peer.headers(ASKED, of("0"), true)]],
    [
      "8.1.1",
      "a byte where none was promised",
      "stream body-length",
      (peer) => [peer.headers(ASKED, of("0")), dataFrame(ASKED, "a", true)],
    ],
    [
      "8.1.1",
      "Content-Length in an interim response promises nothing",
      "nothing",
      (peer) => [peer.headers(ASKED, head("103", ["content-length", "5"])), peer.headers(ASKED, OK, true)],
    ],
    [
      "8.1.1",
      "Content-Length in trailers promises nothing",
      "nothing",
      (peer) => [peer.headers(ANSWERED, [["content-length", "5"]], true)],
    ],
    ["8.1.1", "HEAD: a length and no body", "nothing", (peer) => [peer.headers(HEAD_ASKED, of("512"), true)]],
    [
      "8.1.1",
      "HEAD: an empty end",
      "nothing",
      (peer) => [peer.headers(HEAD_ASKED, of("512")), dataFrame(HEAD_ASKED, "", true)],
    ],
    [
      "8.1.1",
      "HEAD: a body",
      "stream body-length",
      (peer) => [peer.headers(HEAD_ASKED, of("3")), dataFrame(HEAD_ASKED, "abc", true)],
    ],
    [
      "8.1.1",
      "304: a length and no body",
      "nothing",
      (peer) => [peer.headers(ASKED, head("304", ["content-length", "512"]), true)],
    ],
    ["8.1.1", "304: a body", "stream body-length", (peer) => [peer.headers(ASKED, head("304")), dataFrame(ASKED, "a")]],
    ["8.1.1", "204: a body", "stream body-length", (peer) => [peer.headers(ASKED, head("204")), dataFrame(ASKED, "a")]],
    [
      "8.1.1",
      "a length that is none, left to the validator",
      "nothing",
      (peer) => [peer.headers(ASKED, of("x"), true)],
    ],
  ]);

  test("a promise that is not kept is told before the head where that is known with it", () => {
    const { peer, sinks } = makeBed();
    peer.say(peer.headers(ASKED, of("1"), true));
    expect(sinks.get(ASKED)?.notes).toEqual([`reset ${H2_CODE.protocolError}`]);
    expect(peer.counters.h2StreamsReset).toBe(2);
  });

  test("requests with the control data as strings know of HEAD as well", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    const line = { method: "HEAD", scheme: "http", authority: "a", path: "/" };
    const stream = peer.client.openLine(line, sectionOf([]), false, sink, peer.nowMs);
    peer.say(peer.headers(3, of("5"), true));
    expect([stream?.fault, stream?.remoteEnded]).toEqual([null, true]);
  });
});

describe("8.2.1 names of fields:", () => {
  const names = [
    "Server",
    "sErver",
    "ser ver",
    " server",
    "server ",
    "server:",
    "a:b",
    "ser\0ver",
    "ser\tver",
    "ser\nver",
    "\x7f",
    "caf\xe9",
    "a(b)",
    "",
    "a\x1fb",
    "\xff",
  ];
  tryRules([
    ...names.map((name) => badHead("8.2.1", JSON.stringify(name), head("200", [name, "x"]), "field-name")),
    ...["Server", "a b", ""].map((name): Rule => [
      "8.2.1",
      `${JSON.stringify(name)} in trailers`,
      "stream field-name",
      (peer) => [peer.headers(ANSWERED, [[name, "x"]], true)],
    ]),
    [
      "8.2.1",
      "upper case in an interim response",
      "stream field-name",
      (peer) => [peer.headers(ASKED, head("103", ["Link", "x"]))],
    ],
    [
      "8.2.1",
      "every character that a name may have",
      "nothing",
      (peer) => [peer.headers(ASKED, head("200", ["!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", "x"]), true)],
    ],
  ]);
});

describe("8.2.2 fields of one connection:", () => {
  const names = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
  tryRules([
    ...names.map((name) => badHead("8.2.2", name, head("200", [name, "x"]), "connection-field")),
    [
      "8.2.2",
      "transfer-encoding: chunked before a body",
      "stream connection-field",
      (peer) => [peer.headers(ASKED, head("200", ["transfer-encoding", "chunked"]))],
    ],
    ["8.2.2", "in trailers", "stream connection-field", (peer) => [peer.headers(ANSWERED, [["upgrade", "x"]], true)]],
    [
      "8.2.2",
      "in an interim response",
      "stream connection-field",
      (peer) => [peer.headers(ASKED, head("103", ["connection", "close"]))],
    ],
    [
      "8.2.2",
      "without a value",
      "stream connection-field",
      (peer) => [peer.headers(ASKED, head("200", ["connection", ""]))],
    ],
  ]);
});

describe("8.3 pseudo-fields:", () => {
  const requests = [":method", ":scheme", ":authority", ":path", ":protocol"];
  const statuses = [
    "",
    "2",
    "20",
    "2000",
    "2x0",
    "-20",
    "+20",
    "099",
    "000",
    "101",
    " 20",
    "20 ",
    "2.0",
    "200 OK",
    "\xb2\xb0\xb0",
  ];
  tryRules([
    badHead("8.3.2", "no fields at all", [], "status"),
    badHead("8.3.2", "no :status", [["server", "x"]], "status"),
    badHead("8.3.2", ":status twice alike", [...OK, ...OK], "pseudo-field"),
    badHead("8.3.2", ":status twice, behind a field", [...OK, ["server", "x"], ...OK], "pseudo-field"),
    badHead("8.3", ":status behind a field", [["server", "x"], ...OK], "status"),
    badHead("8.3.2", ":Status", [[":Status", "200"]], "status"),
    badHead("8.3", "a pseudo-field of nobody", [...OK, [":x", "/"]], "pseudo-field"),
    badHead("8.3", "a pseudo-field of no name", [...OK, [":", "/"]], "pseudo-field"),
    ...requests.map((name) => badHead("8.3", `${name} behind :status`, [...OK, [name, "/"]], "pseudo-field")),
    ...requests.map((name) => badHead("8.3", `${name} before :status`, [[name, "/"], ...OK], "status")),
    ...statuses.map((status) => badHead("8.3.2", `:status ${JSON.stringify(status)}`, head(status), "status")),
    ...["200", "599", "600", "999"].map((status): Rule => [
      "8.3.2",
      `:status ${status}`,
      "nothing",
      (peer) => [peer.headers(ASKED, head(status), true)],
    ]),
    ["8.1", ":status in trailers", "stream pseudo-field", (peer) => [peer.headers(ANSWERED, OK, true)]],
    ["8.1", ":path in trailers", "stream pseudo-field", (peer) => [peer.headers(ANSWERED, [[":path", "/"]], true)]],
    ["8.6", "101", "stream status", (peer) => [peer.headers(ASKED, head("101", ["x", "y"]))]],
  ]);
});

describe("8.4 and 8.7 refusals:", () => {
  test("8.7 REFUSED_STREAM before the head: surely not processed; behind an interim response, too", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    const refused = frame(FRAME.resetStream, 0, 1, Uint8Array.of(0, 0, 0, H2_CODE.refusedStream));
    peer.say(peer.headers(1, head("103")), refused);
    expect(sink.notes.at(-1)).toBe(`reset ${H2_CODE.refusedStream} not processed`);
  });

  test("8.1.1 a malformed response leaves all others of the connection alone, hundreds of times", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    for (let id = 3; id < 603; id += 2) {
      peer.request(GET);
      peer.say(peer.headers(id, head("200", ["content-length", "1"]), true));
      peer.output();
    }
    peer.say(joined(peer.headers(1, OK), dataFrame(1, "fine", true)));
    expect(sink.notes.at(-1)).toBe("end");
    expect(peer.failure).toBeNull();
    expect(peer.client.streams.count).toBe(0);
  });
});
