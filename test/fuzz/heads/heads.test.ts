/**
 * Field sections under damage, from the validator to the bytes that a backend reads: nothing throws, and whatever passes leaves as a
 * message that has one meaning. See `../rounds.ts`.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { RequestId } from "../../../src/core/request-id.ts";
import { parseCidr } from "../../../src/config/cidr.ts";
import type { ForwardingSettings } from "../../../src/config/snapshot.ts";
import { must } from "../../../src/core/assert.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { Random } from "../../../src/core/random.ts";
import { OutputBuffer } from "../../../src/h1/output.ts";
import { writeRequestHead } from "../../../src/h1/request-writer.ts";
import { Malformed, readRequestHead, type RequestHead } from "../../../src/h3/head.ts";
import { readResponseFields } from "../../../src/h3/response-head.ts";
import { readTrailers, trailerFaultAt } from "../../../src/h3/trailers.ts";
import { Provenance } from "../../../src/proxy/provenance.ts";
import {
  type ForwardContext,
  writeInformationalFields,
  writeRequestFields,
  writeResponseFields,
  writeResponseTrailers,
} from "../../../src/proxy/rewrite.ts";
import { isTraceParent, Trace } from "../../../src/proxy/trace.ts";
import { type Field, fieldsOfFlat, latin1, oneOf, sectionOf } from "../../support/sections.ts";
import { damaged, textSeeds } from "../damage.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";

const ROUNDS = fuzzRounds(10_000);
const SEEDS = textSeeds(join(import.meta.dirname, "seeds")).map(({ text }) => fieldsIn(text));
const WORDS = SEEDS.flat(2).concat(["\r\n", "\n", "\0", " ", "\t", ":", ",", "", "\u0080", "_", "%", "..", "A"]);

const PEER = "10.1.2.3";
const writer = new FieldWriter();
const second = new FieldWriter();
const random = Random.fromEntropy([FUZZ_SEED, 9114]);

/** Every policy, for a peer that is trusted and for one that is not. */
const FORWARDINGS: readonly ForwardingSettings[] = (["overwrite", "append", "preserve"] as const).flatMap((mode) =>
  [true, false].flatMap((sendsForwarded) =>
    ["10.0.0.0/8", "192.0.2.0/24"].map((network) => {
      const trustedProxies = [must(parseCidr(network).value, "it is a network")];
      return { mode, sendsForwarded, trustedProxies };
    }),
  ),
);

/** What belongs to a connection, or to us alone; never sent to a backend. */
const NEVER =
  /^(:.*|connection|keep-alive|proxy-connection|transfer-encoding|upgrade|http2-settings|host|proxy|proxy-authorization)$/;
/** What CGI would take for a field that says where a request came from. */
const DISGUISE =
  /^(?=.*_)(x[-_]forwarded[-_](for|proto|host|port|prefix|server|scheme|ssl)|x[-_]real[-_]ip|x[-_]request[-_]id)$/;

test("every kept seed keeps the rules", () => {
  expect(SEEDS.length).toBeGreaterThan(20);
  for (const fields of SEEDS) tryFields(fields);
});

test(
  `${ROUNDS} damaged ones do (seed ${FUZZ_SEED})`,
  () => {
    let passed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      if (tryFields(damagedFields())) passed += 1;
    }
    expect(passed).toBeGreaterThan(ROUNDS / 20);
    expect(passed).toBeLessThan(ROUNDS);
  },
  FUZZ_HANGS_AFTER_MS,
);

/** Fields added, removed, moved, repeated, or one of them damaged. */
function damagedFields(): Field[] {
  const fields = [...oneOf(random, SEEDS)];
  for (let changes = 1 + random.nextBelow(4); changes > 0; changes--) {
    const at = random.nextBelow(fields.length + 1);
    const [name, value] = fields[at] ?? ["x", ""];
    const change = random.nextBelow(6);
    if (change === 0) fields.splice(at, 0, oneOf(random, oneOf(random, SEEDS)));
    else if (change === 1) fields.splice(at, 1);
    else if (change === 2) fields.splice(at, 0, ...fields.splice(random.nextBelow(fields.length + 1), 1));
    else if (change === 3) fields.splice(at, 1, [damaged([name], WORDS, random), value]);
    else fields.splice(at, 1, [name, damaged([value], WORDS, random)]);
  }
  return fields;
}

/** All that is done with a section, as each of the things it may be. Says whether it is a request's head. */
function tryFields(fields: readonly Field[]): boolean {
  try {
    tryTrailers(fields);
    tryResponse(fields);
    const head = readRequestHead(sectionOf(fields));
    if (head instanceof Malformed) return false;
    for (const forwarding of FORWARDINGS) tryRequest(head, fields, forwarding);
    return true;
  } catch (thrown) {
    throw new Error(`with ${JSON.stringify(fields)}`, { cause: thrown });
  }
}

function tryRequest(head: RequestHead, fields: readonly Field[], forwarding: ForwardingSettings): void {
  const takesTrailers = random.nextBelow(2) === 0;
  const provenance = new Provenance(PEER);
  const context: ForwardContext = {
    provenance,
    forwarding,
    requestId: RequestId.given("id"),
    trace: new Trace(random),
    early: false,
    takesTrailers,
  };
  check(writeRequestFields(head, writer, context), "a head that passed fits");
  const sent = fieldsOfFlat(writer.finish());
  const values = (wanted: string): string[] => sent.filter(([name]) => name === wanted).map(([, value]) => value);
  for (const [name] of sent) check(!NEVER.test(name) && !DISGUISE.test(name), `${name} goes no further`);
  check(values("te").join() === "" || (takesTrailers && values("te").join() === "trailers"), "te is ours");
  check(values("cookie").length <= 1, "cookies are one");
  check(
    values("content-length").join() === (head.contentLengthBytes < 0 ? "" : `${head.contentLengthBytes}`),
    "one length",
  );
  check(values("x-request-id").length === 1 && /^[!-~]{1,128}$/.test(values("x-request-id").join()), "one id");
  const trace = values("traceparent");
  check(trace.length === 1 && isTraceParent(latin1(trace.join()), 0, trace.join().length), "one trace");
  check(values("tracestate").length === 0 || fields.some(([, value]) => value === trace[0]), "a state has its parent");
  check(values("via").at(-1) === "3 spooky", "via ends with us");
  tryAccount(values, forwarding);
  tryAgain(head, sent);
  tryHttp1(head);
}

/** The last word about where it came from is ours, unless a trusted proxy's is to be kept. */
function tryAccount(
  values: (name: string) => string[],
  { mode, sendsForwarded, trustedProxies }: ForwardingSettings,
): void {
  const isTrusted = new Provenance(PEER).isOneOf(trustedProxies);
  const names = ["x-forwarded-for", ...(sendsForwarded ? ["forwarded"] : [])];
  if (!isTrusted || mode !== "preserve") {
    for (const name of names) {
      const [value = "", ...more] = values(name);
      const last = value.split(", ").at(-1) ?? "";
      check(more.length === 0 && (last === PEER || value.endsWith(";proto=https")), `${name} ends with the peer`);
    }
    if (!sendsForwarded) check(values("forwarded").length === 0, "no Forwarded");
  }
  if (isTrusted && mode !== "overwrite") return;
  check(values("x-forwarded-for").join() === PEER, "the peer alone");
  for (const name of ["x-real-ip", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-server", "x-forwarded-ssl"])
    check(values(name).length === 0, `${name} of a stranger goes no further`);
}

/** What leaves is a request of which the validator says the same. */
function tryAgain(head: RequestHead, sent: readonly Field[]): void {
  const pseudo: Field[] = [
    [":method", head.method],
    [":scheme", head.scheme],
    [":authority", head.authority],
    [":path", head.path],
  ];
  const again = readRequestHead(sectionOf([...pseudo, ...sent]));
  if (again instanceof Malformed) throw new Error(`what is sent is refused: ${again.reason}`);
  const { method, authority, path, contentLengthBytes } = again;
  check(method === head.method && authority === head.authority && path === head.path, "it asks for the same");
  check(contentLengthBytes === head.contentLengthBytes, "it is as long");
}

/** Over HTTP/1.1 there is one request line, one line for each field, and one Host. */
function tryHttp1(head: RequestHead): void {
  const { method, path, authority, contentLengthBytes } = head;
  const fields = writer.view();
  const output = new OutputBuffer();
  const framing = contentLengthBytes >= 0 ? "length" : "chunked";
  writeRequestHead({ method, path, authority, fields, contentLengthBytes }, framing, "", output);
  const text = Buffer.from(output.bytes.subarray(output.at, output.end)).toString("latin1");
  const [line = "", ...lines] = text.split("\r\n");
  check(line === `${method} ${path} HTTP/1.1` && text.endsWith("\r\n\r\n"), "one request line");
  check(!/[\r\n\0]/.test(text.replaceAll("\r\n", "")), "no stray line end");
  const hosts = lines.filter((one) => /^host:/i.test(one));
  check(hosts.length === 1 && hosts[0] === `host: ${authority}`, "one Host");
  check(lines.filter((one) => /^(content-length|transfer-encoding):/i.test(one)).length === 1, "one framing");
}

function tryTrailers(fields: readonly Field[]): void {
  const section = sectionOf(fields);
  readTrailers(section);
  if (writeResponseTrailers(section, writer) !== null) return;
  const passed = sectionOf(fieldsOfFlat(writer.finish()));
  for (let i = 0; i < passed.count; i++)
    check(trailerFaultAt(passed, i) === null, "trailers that are passed on may be");
}

function tryResponse(fields: readonly Field[]): void {
  const section = sectionOf(fields);
  writeInformationalFields(103, section, writer);
  if (writeResponseFields(200, section, writer, RequestId.given("id"), "1.1") !== null) return;
  const [status, ...sent] = fieldsOfFlat(writer.finish());
  check(status?.join() === ":status,200", "the status comes first");
  for (const [name] of sent) {
    const stays =
      name === "alt-svc" ||
      name === "te" ||
      (name !== "host" && NEVER.test(name) && !/^proxy$|authorization/.test(name));
    check(!stays, `${name} goes no further`);
  }
  const cookies = (list: readonly Field[]): string => list.filter(([name]) => name === "set-cookie").join("\n");
  const listed = fields.some(([name, value]) => name === "connection" && /set-cookie/i.test(value));
  if (!listed) check(cookies(sent) === cookies(fields), "cookies stay apart and in order");
  check(typeof readResponseFields(200, sectionOf(sent), second) === "number", "what is sent may be");
  check(sent.filter(([name]) => name === "via").at(-1)?.[1] === "1.1 spooky", "via ends with us");
}

/** Cheaper than an expectation, of which a round would make thousands. */
function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function fieldsIn(text: string): Field[] {
  const rows: unknown = JSON.parse(text);
  if (!Array.isArray(rows)) throw new TypeError("a seed is a list of fields");
  return rows.map((row: unknown): Field => {
    const [name, value] = Array.isArray(row) ? row : [];
    return [String(name), String(value)];
  });
}
