import { describe, expect, test } from "bun:test";
import { RequestId } from "../../../src/core/request-id.ts";
import { must } from "../../../src/core/assert.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { FieldSection } from "../../../src/core/fields.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Malformed, readRequestHead, type RequestHead } from "../../../src/h3/head.ts";
import { Random } from "../../../src/core/random.ts";
import { Provenance } from "../../../src/proxy/provenance.ts";
import {
  type ForwardContext,
  requestIdOf,
  writeRequestFields,
  writeResponseFields,
} from "../../../src/proxy/rewrite.ts";
import { Trace } from "../../../src/proxy/trace.ts";
import { STANDARD_POOL } from "../../support/settings.ts";
import { type Field, fieldsOfFlat, flatOf, sectionOf } from "../../support/sections.ts";

const THE_ID = RequestId.given("the-id");

const CONTEXT: ForwardContext = {
  provenance: new Provenance("192.0.2.17"),
  forwarding: STANDARD_POOL.forwarding,
  requestId: RequestId.given("made-here"),
  get trace(): Trace {
    return new Trace(Random.fromEntropy([1]));
  },
  early: false,
  takesTrailers: false,
};

/** What the context's trace is, from the same numbers. */
function madeTrace(): string {
  const random = Random.fromEntropy([1]);
  const words = Array.from({ length: 6 }, (_, i) => random.nextUint32() | (i === 3 || i === 5 ? 1 : 0));
  const hex = words.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`;
}

/** What we add to a request that has nothing of its own. */
const ADDED: readonly Field[] = [
  ["via", "3 spooky"],
  ["x-forwarded-for", "192.0.2.17"],
  ["x-forwarded-proto", "https"],
  ["x-forwarded-host", "example.com:8443"],
  ["forwarded", 'for=192.0.2.17;host="example.com:8443";proto=https'],
  ["x-request-id", "made-here"],
  ["traceparent", madeTrace()],
];
const ADDED_BESIDE_ID = ADDED.filter(([name]) => name !== "x-request-id");

const PSEUDO: readonly Field[] = [
  [":method", "POST"],
  [":scheme", "https"],
  [":authority", "example.com:8443"],
  [":path", "/a"],
];

const writer = new FieldWriter();

function headOf(fields: readonly Field[]): RequestHead {
  const head = readRequestHead(must(FieldSection.from(flatOf(fields)), "well formed"));
  if (head instanceof Malformed) throw new TypeError(`the head is malformed: ${head.reason}`);
  return head;
}

/** What a backend gets for these fields behind the pseudo-fields. */
function sent(...fields: readonly Field[]): Field[] {
  expect(writeRequestFields(headOf([...PSEUDO, ...fields]), writer, CONTEXT)).toBe(true);
  return fieldsOfFlat(writer.finish());
}

/** As from an HTTP/1.1 listener, whose heads may have what HTTP/3 forbids. */
function sentFromHttp1(...fields: readonly Field[]): Field[] | null {
  const head: RequestHead = { ...headOf(PSEUDO), fields: sectionOf(fields), firstField: 0 };
  return writeRequestFields(head, writer, CONTEXT) ? fieldsOfFlat(writer.finish()) : null;
}

describe("a request on its way to a backend", () => {
  test("has our fields, and no pseudo-field and no Host", () => {
    expect(sent()).toEqual([...ADDED]);
    expect(sent(["host", "example.com:8443"])).toEqual([...ADDED]);
  });

  test("keeps the client's fields in order and byte for byte", () => {
    const fields: Field[] = [
      ["accept", "*/*"],
      ["x-own", "gr\u00c3\u00bcn"],
      ["accept", "text/html"],
      ["authorization", "Basic abc"],
      ["x-empty", ""],
      ["expect", "100-continue"],
    ];
    expect(sent(...fields)).toEqual([...fields, ...ADDED]);
  });

  test("has no te, whatever it said", () => expect(sent(["te", "trailers"])).toEqual([...ADDED]));

  test("has its Via lines in the order of the hops, ours last", () => {
    expect(sent(["via", "2 first"], ["a", "b"]).filter(([name]) => name === "via")).toEqual([
      ["via", "2 first"],
      ["via", "3 spooky"],
    ]);
  });

  test("has Host's authority where there was no :authority", () => {
    const fields = PSEUDO.filter(([name]) => name !== ":authority");
    writeRequestFields(headOf([...fields, ["host", "example.org"]]), writer, CONTEXT);
    expect(fieldsOfFlat(writer.finish())).toContainEqual(["x-forwarded-host", "example.org"]);
  });
});

describe("what a client says about where it came from", () => {
  const claims = ["forwarded", "x-real-ip", "proxy", "proxy-authorization", "http2-settings"];
  const suffixes = ["for", "proto", "host", "port", "prefix", "server", "scheme", "ssl"];
  for (const name of [...claims, ...suffixes.map((suffix) => `x-forwarded-${suffix}`)]) {
    test(`${name} goes no further`, () => expect(sent([name, "forged"], ["a", "b"])).toEqual([["a", "b"], ...ADDED]));
  }

  for (const suffix of ["client-cert", "protocol", "user", "for.", "f"]) {
    const name = `x-forwarded-${suffix}`;
    test(`${name} goes no further: a stranger forwards nothing`, () => {
      expect(sent([name, "forged"], ["a", "b"])).toEqual([["a", "b"], ...ADDED]);
    });
  }

  const disguises = ["x.forwarded.for", "x-forwarded~proto", "x!real'ip", "x+request+id", "x_forwarded_client_cert"];
  const underscored = ["x_forwarded_for", "x-forwarded_for", "x_forwarded-host", "x_real_ip", "x_request_id"];
  for (const name of [...underscored, ...disguises]) {
    test(`${name} goes no further, since CGI takes it for the other`, () => {
      expect(sent([name, "forged"], ["a", "b"])).toEqual([["a", "b"], ...ADDED]);
    });
  }

  test("other names with underscores pass", () => {
    const fields: Field[] = [
      ["x_own", "v"],
      ["_", "v"],
      ["x_forwarded", "v"],
      ["x-forwarded-", "v"],
      ["xxforwarded_for", "v"],
    ];
    expect(sent(...fields)).toEqual([...fields, ...ADDED]);
  });
});

describe("cookies", () => {
  test("one goes as it is", () => {
    expect(sent(["cookie", "a=1; b=2"], ["c", "d"])).toEqual([["cookie", "a=1; b=2"], ["c", "d"], ...ADDED]);
  });

  test("crumbs are joined in order where the first one stood", () => {
    expect(sent(["a", "b"], ["cookie", "a=1"], ["c", "d"], ["cookie", "b=2"], ["cookie", "c=3"], ["e", "f"])).toEqual([
      ["a", "b"],
      ["cookie", "a=1; b=2; c=3"],
      ["c", "d"],
      ["e", "f"],
      ...ADDED,
    ]);
  });

  test("as many crumbs as there may be fields make one", () => {
    const crumbs = Array.from({ length: LIMITS.fieldsPerSectionMax - 4 }, (_, i): Field => ["cookie", `c${i}=1`]);
    expect(sent(...crumbs)).toEqual([["cookie", crumbs.map(([, value]) => value).join("; ")], ...ADDED]);
  });
});

describe("content-length towards a backend", () => {
  test("is written once for equal repeats", () => {
    expect(sent(["content-length", "5"], ["a", "b"], ["content-length", "5"])).toEqual([
      ["a", "b"],
      ["content-length", "5"],
      ...ADDED,
    ]);
  });

  test("loses leading zeros, which some read as octal", () => {
    expect(sent(["content-length", "0012"])).toEqual([["content-length", "12"], ...ADDED]);
  });

  test("0 is said", () => expect(sent(["content-length", "0"])).toEqual([["content-length", "0"], ...ADDED]));
});

describe("the request id", () => {
  const kept = (value: string): string | null =>
    requestIdOf(headOf([...PSEUDO, ["x-request-id", value]]))?.text ?? null;

  for (const id of ["a", "0190-abc_~!", "x".repeat(128)]) {
    test(`${id.slice(0, 20)} of ${id.length} is kept`, () => {
      expect(kept(id)).toBe(id);
      expect(sent(["x-request-id", id], ["a", "b"])).toEqual([["x-request-id", id], ["a", "b"], ...ADDED_BESIDE_ID]);
    });
  }

  for (const id of ["", "x".repeat(129), "a b", "a\tb", "gr\u00fcn"]) {
    test(`${JSON.stringify(id.slice(0, 20))} of ${id.length} is replaced by ours`, () => {
      expect(kept(id)).toBeNull();
      expect(sent(["x-request-id", id], ["a", "b"])).toEqual([["a", "b"], ...ADDED]);
    });
  }

  test("of two the first is kept and the second is not sent", () => {
    expect(sent(["x-request-id", "one"], ["x-request-id", "two"])).toEqual([
      ["x-request-id", "one"],
      ...ADDED_BESIDE_ID,
    ]);
  });

  test("is null when the client sent none", () => expect(requestIdOf(headOf(PSEUDO))).toBeNull());
});

describe("the trace", () => {
  const GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const OURS = ADDED.filter(([name]) => name !== "traceparent");

  test("of a client is kept with its state, where they stood", () => {
    const fields: Field[] = [
      ["tracestate", "a=1"],
      ["a", "b"],
      ["traceparent", GOOD],
      ["tracestate", "c=2"],
      ["baggage", "k=v"],
    ];
    expect(sent(...fields)).toEqual([...fields, ...OURS]);
  });

  for (const [why, fields] of [
    ["malformed", [["traceparent", `${GOOD}0`]]],
    ["missing", []],
    [
      "there several times",
      [
        ["traceparent", GOOD],
        ["traceparent", GOOD],
      ],
    ],
  ] as const) {
    test(`is ours where the client's is ${why}, and its state goes with it`, () => {
      expect(sent(["tracestate", "a=1"], ...fields, ["baggage", "k=v"])).toEqual([["baggage", "k=v"], ...ADDED]);
    });
  }
});

describe("a request from a connection that has hop-by-hop fields", () => {
  test("loses them and what Connection lists, but nothing that we write", () => {
    const fields: Field[] = [
      ["connection", "X-Secret, cookie, x-forwarded-for, via, x-request-id"],
      ["x-secret", "s"],
      ["cookie", "a=1"],
      ["cookie", "b=2"],
      ["keep-alive", "5"],
      ["upgrade", "h2c"],
      ["x-request-id", "mine"],
      ["a", "b"],
    ];
    expect(sentFromHttp1(...fields)).toEqual([["x-request-id", "mine"], ["a", "b"], ...ADDED_BESIDE_ID]);
  });

  test("is refused when Connection lists more names than anybody does", () => {
    const names = Array.from({ length: LIMITS.connectionOptionsMax + 1 }, (_, i) => `x-${i}`).join();
    expect(sentFromHttp1(["connection", names])).toBeNull();
  });
});

describe("the largest request head that passes", () => {
  test("fits the writer with everything we add", () => {
    const crumbs = Array.from({ length: LIMITS.fieldsPerSectionMax - 4 }, (_, i): Field => [`x-${i}`, "v"]);
    expect(sent(...crumbs).length).toBe(crumbs.length + ADDED.length);

    const authority = "a".repeat(LIMITS.fieldSectionBytesMax - 200);
    const fields = PSEUDO.map(([name, value]): Field => [name, name === ":authority" ? authority : value]);
    const head = headOf(fields);
    expect(writeRequestFields(head, writer, CONTEXT)).toBe(true);
    const impossible: RequestHead = { ...head, authority: "a".repeat(LIMITS.fieldWriterBytesMax) };
    expect(writeRequestFields(impossible, writer, CONTEXT)).toBe(false);
  });
});

describe("a response on its way to a client", () => {
  function answered(status: number, fields: readonly Field[], received: "1.0" | "1.1" | "2" | "3" = "2"): Field[] {
    expect(writeResponseFields(status, sectionOf(fields), writer, THE_ID, received)).toBeNull();
    return fieldsOfFlat(writer.finish());
  }

  test("has its status first, our Via and its id last, and the rest as it was", () => {
    expect(
      answered(200, [
        ["server", "nginx"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["via", "1.1 inner"],
      ]),
    ).toEqual([
      [":status", "200"],
      ["server", "nginx"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["via", "1.1 inner"],
      ["via", "2 spooky"],
      ["x-request-id", "the-id"],
    ]);
  });

  test("loses the backend's Alt-Svc, id, proxy fields and hop-by-hop fields", () => {
    const fields: Field[] = [
      ["alt-svc", 'h3=":8443"'],
      ["x-request-id", "theirs"],
      ["connection", "x-secret"],
      ["x-secret", "s"],
      ["transfer-encoding", "chunked"],
      ["proxy-authenticate", "Basic"],
      ["proxy-authentication-info", "x"],
    ];
    expect(answered(200, fields)).toEqual([
      [":status", "200"],
      ["via", "2 spooky"],
      ["x-request-id", "the-id"],
    ]);
  });

  test("names the protocol it came by", () => {
    expect(answered(204, [], "1.1")[1]).toEqual(["via", "1.1 spooky"]);
    expect(answered(204, [], "3")[1]).toEqual(["via", "3 spooky"]);
  });

  test("is refused with the reason when it is malformed", () => {
    expect(writeResponseFields(101, sectionOf([]), writer, THE_ID, "2")).toBe("status");
    expect(writeResponseFields(200, sectionOf([["a", "b\r\n"]]), writer, THE_ID, "2")).toBe("value-character");
  });

  test("is refused when our own fields do not fit any more", () => {
    const value = "v".repeat(LIMITS.fieldWriterBytesMax - 20);
    expect(writeResponseFields(200, sectionOf([["a", value]]), writer, THE_ID, "2")).toBe("section-too-large");
  });
});
