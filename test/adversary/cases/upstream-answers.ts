/**
 * Answers that are cut, ambiguous or endless: rows 95 to 97, from HTTP/1.1 and HTTP/2 backends, over the native clients and over
 * `fetch`. Whatever a backend sends, its client gets 502, or a reset where the answer has begun, and the next request is answered.
 */
import { expect } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { FLAG, FRAME, H2_CODE } from "../../../src/h2/codes.ts";
import { exchangeOf } from "../../interop/aioquic.ts";
import type { AioquicExchange, AioquicStep } from "../../interop/aioquic.ts";
import { testCertificate } from "../../support/certs.ts";
import { dataFrame, frame, joined, settingsFrame } from "../../support/h2-peer.ts";
import { startH2RawBackend } from "../../support/h2-raw-backend.ts";
import type { H2RawPeer } from "../../support/h2-raw-backend.ts";
import type { ProxyPool } from "../../support/proxy.ts";
import { startRawBackend } from "../../support/raw-backend.ts";
import type { RawStep } from "../../support/raw-backend.ts";
import type { Field } from "../../support/sections.ts";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";

const INTERNAL_ERROR = 0x102;

/** What a client gets: a status with a whole answer, or a reset with H3_INTERNAL_ERROR. */
type Outcome = number | "reset";

/**
 * One answer and what comes of it. Over `fetch` the runtime decides how strict it is: where that differs, what may come of it there
 * stands in `byFetch`, and `docs/errors.md` tells of it.
 */
interface BadAnswer<Script> {
  readonly name: string;
  readonly script: Script;
  readonly outcome: Outcome;
  readonly byFetch?: readonly Outcome[];
  /** Over `fetch` its connection may serve the next request: it has ended where both sides think so. */
  readonly keptByFetch?: true;
}

type Http1Answer = BadAnswer<readonly RawStep[]>;
type Http2Answer = BadAnswer<(peer: H2RawPeer, streamId: number) => void>;

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;
const GOOD = `${OK}content-length: 2\r\n\r\nok`;

const CUT_HTTP1: readonly Http1Answer[] = [
  { name: "short of its length", script: sent(`${OK}content-length: 9\r\n\r\nabc`, "fin"), outcome: "reset" },
  { name: "short, and reset", script: sent(`${OK}content-length: 9\r\n\r\nabc`, "reset"), outcome: "reset" },
  { name: "without a last chunk", script: sent(`${CHUNKED}3\r\nabc\r\n`, "fin"), outcome: "reset" },
  { name: "in the middle of a chunk", script: sent(`${CHUNKED}9\r\nabc`, "fin"), outcome: "reset" },
  {
    name: "in the middle of its trailers",
    script: sent(`${CHUNKED}3\r\nabc\r\n0\r\nx: 1\r\n`, "fin"),
    outcome: "reset",
    // All of the body has come, and what Bun 1.4.5 takes for its end.
    byFetch: [200],
    keptByFetch: true,
  },
  { name: "in its head", script: sent(OK, "fin"), outcome: 502 },
  { name: "in its head, by a reset", script: sent(OK, "reset"), outcome: 502 },
];

const SMUGGLED_HTTP1: readonly Http1Answer[] = [
  {
    name: "a length and a coding",
    script: sent(`${CHUNKED.slice(0, -2)}content-length: 3\r\n\r\n0\r\n\r\n`),
    outcome: 502,
    keptByFetch: true,
  },
  { name: "two lengths", script: sent(`${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nok!`), outcome: 502 },
  { name: "a length with a sign", script: sent(`${OK}content-length: +2\r\n\r\nok`), outcome: 502 },
  { name: "an unknown coding", script: sent(`${OK}transfer-encoding: x\r\n\r\n`), outcome: 502 },
  { name: "a chunk that is none", script: sent(`${CHUNKED}3\r\nabc\r\nzz\r\n`), outcome: "reset" },
  { name: "a chunk longer than it says", script: sent(`${CHUNKED}3\r\nabcdef\r\n0\r\n\r\n`), outcome: "reset" },
  {
    name: "a bare LF",
    script: sent(OK.replace("\r\n", "\n") + "content-length: 2\n\nok"),
    outcome: 502,
    byFetch: [200],
    keptByFetch: true,
  },
  { name: "a folded line", script: sent(`${OK}a: b\r\n c\r\ncontent-length: 2\r\n\r\nok`), outcome: 502 },
  { name: "a space before the colon", script: sent(`${OK}content-length : 2\r\n\r\nok`), outcome: 502 },
  { name: "NUL in a value", script: sent(`${OK}a: \0\r\ncontent-length: 2\r\n\r\nok`), outcome: 502 },
  { name: "a 101 that nobody asked for", script: sent("HTTP/1.1 101 X\r\nupgrade: x\r\n\r\n"), outcome: 502 },
  { name: "no HTTP", script: sent("220 mail.test ESMTP\r\n\r\n"), outcome: 502 },
  { name: "a second answer", script: sent(`${GOOD}${OK}content-length: 4\r\n\r\nEVIL`), outcome: 200 },
];

const ENDLESS_HTTP1: readonly Http1Answer[] = [
  { name: "a value", script: sent(`${OK}a: ${"b".repeat(5_000_000)}`), outcome: 502 },
  { name: "fields", script: sent(OK + "a: b\r\n".repeat(100_000)), outcome: 502 },
  { name: "a head over our limit that ends", script: sent(`${OK}a: ${"b".repeat(20_000)}\r\n\r\n`), outcome: 502 },
  { name: "interim heads", script: sent("HTTP/1.1 103 X\r\n\r\n".repeat(10_000)), outcome: 502, byFetch: [504] },
  { name: "chunk extensions", script: sent(`${CHUNKED}1;${"x".repeat(1_000_000)}`), outcome: "reset" },
  { name: "trailers", script: sent(`${CHUNKED}1\r\na\r\n0\r\n${"a: b\r\n".repeat(100_000)}`), outcome: "reset" },
];

const STATUS: Field = [":status", "200"];
const LENGTH_9: Field = ["content-length", "9"];

/** Bun gives nothing of an answer that has failed before it was taken. */
const EITHER: readonly Outcome[] = ["reset", 502];

const CUT_HTTP2: readonly Http2Answer[] = [
  {
    name: "short of its length",
    script: (peer, id) => peer.say(peer.headers(id, [STATUS, LENGTH_9]), dataFrame(id, "abc", true)),
    outcome: "reset",
    byFetch: EITHER,
  },
  {
    name: "by RST_STREAM after its head",
    script: (peer, id) => {
      peer.say(peer.headers(id, [STATUS]), dataFrame(id, "abc"));
      peer.reset(id, H2_CODE.internalError);
    },
    outcome: "reset",
    byFetch: EITHER,
  },
  {
    name: "by RST_STREAM without an error, short of its length",
    script: (peer, id) => {
      peer.say(peer.headers(id, [STATUS, LENGTH_9]), dataFrame(id, "abc"));
      peer.reset(id, H2_CODE.noError);
    },
    outcome: "reset",
    byFetch: EITHER,
  },
  {
    name: "by the end of its connection",
    script: (peer, id) => {
      peer.say(peer.headers(id, [STATUS]), dataFrame(id, "abc"));
      peer.end();
    },
    outcome: "reset",
    byFetch: EITHER,
  },
  {
    name: "by GOAWAY and the end of its connection",
    script: (peer, id) => {
      peer.say(peer.headers(id, [STATUS]), dataFrame(id, "abc"));
      peer.goaway(id, H2_CODE.internalError);
      peer.end();
    },
    outcome: "reset",
    byFetch: EITHER,
  },
  { name: "before its head", script: (peer) => peer.end(), outcome: 502 },
];

const SMUGGLED_HTTP2: readonly Http2Answer[] = [
  headed("CRLF in a value", [STATUS, ["a", "b\r\nc: d"]]),
  headed("NUL in a value", [STATUS, ["a", "\0"]]),
  headed("an upper-case name", [STATUS, ["Upper", "1"]]),
  headed("transfer-encoding", [STATUS, ["transfer-encoding", "chunked"]]),
  headed("no :status", [["a", "b"]]),
  headed("two :status", [STATUS, [":status", "201"]]),
  headed("a :status that is none", [[":status", "2x0"]]),
  headed("a 101", [[":status", "101"]]),
  headed("two lengths", [STATUS, ["content-length", "2"], ["content-length", "3"]]),
  { name: "a body before its head", script: (peer, id) => peer.say(dataFrame(id, "abc", true)), outcome: 502 },
  {
    name: "more body than Content-Length says",
    script: (peer, id) => peer.say(peer.headers(id, [STATUS, ["content-length", "2"]]), dataFrame(id, "abc", true)),
    outcome: "reset",
  },
];

/** `:status: 200`, and a field of 3,000 bytes that goes into the dynamic table, where 0xbe refers to it. */
const BIG_ENTRY = joined(Uint8Array.of(0x88, 0x40, 1, 0x61, 0x7f, 0xb9, 0x16), new Uint8Array(3000).fill(0x62));

const ENDLESS_HTTP2: readonly Http2Answer[] = [
  {
    name: "CONTINUATION frames",
    script: (peer, id) => {
      peer.say(frame(FRAME.headers, 0, id, Uint8Array.of(0x88)));
      for (let i = 0; i < 2000; i++) peer.say(frame(FRAME.continuation, 0, id, Uint8Array.of(0x40, 1, 0x61, 1, 0x62)));
    },
    outcome: 502,
  },
  {
    name: "references to one large field",
    script: (peer, id) =>
      peer.say(frame(FRAME.headers, FLAG.endHeaders, id, joined(BIG_ENTRY, new Uint8Array(5000).fill(0xbe)))),
    outcome: 502,
  },
  {
    name: "interim heads",
    script: (peer, id) => {
      for (let i = 0; i < 2000; i++) peer.say(peer.headers(id, [[":status", "103"]]));
    },
    outcome: 502,
    // Bun passes over any number of them until the time for the head is over.
    byFetch: [504],
  },
  {
    name: "SETTINGS",
    script: (peer) => {
      for (let i = 0; i < 100_000; i += 100) peer.say(...Array.from({ length: 100 }, () => settingsFrame()));
    },
    outcome: 502,
    // Bun passes over any number of them until the time for the head is over.
    byFetch: [504],
  },
  {
    name: "empty DATA",
    script: (peer, id) => {
      peer.say(peer.headers(id, [STATUS]));
      for (let i = 0; i < 100_000; i += 100) peer.say(...Array.from({ length: 100 }, () => dataFrame(id, "")));
    },
    outcome: "reset",
  },
];

/** Sends a text once the request is there, and ends the connection if told to. */
function sent(text: string, end?: "fin" | "reset"): readonly RawStep[] {
  return [{ read: "\r\n\r\n" }, { send: text }, ...(end === undefined ? [] : [{ end }])];
}

/** A whole answer with this head. */
function headed(name: string, fields: readonly Field[]): Http2Answer {
  return { name, script: (peer, id) => peer.say(peer.headers(id, fields), dataFrame(id, "ok", true)), outcome: 502 };
}

function http1Case(row: number, name: string, answers: readonly Http1Answer[]): Case {
  return {
    row,
    name: `HTTP/1.1 answers, ${name}`,
    needs: ["aioquic"],
    run: async (bed) => {
      const start = async ({ script, keptByFetch }: Http1Answer): Promise<string> => {
        const good: readonly RawStep[] = [{ read: "\r\n\r\n" }, { send: GOOD }];
        const bad = keptByFetch === true ? [...script, ...good] : script;
        const backend = await startRawBackend({ script: (n) => (n === 0 ? bad : good) });
        return `http://${backend.bareAddress}`;
      };
      await playAnswers(bed, answers, start, start);
    },
  };
}

function http2Case(row: number, name: string, answers: readonly Http2Answer[]): Case {
  return {
    row,
    name: `HTTP/2 answers, ${name}`,
    needs: ["aioquic"],
    run: async (bed) => {
      const certificate = await testCertificate();
      const start = async ({ script }: Http2Answer, tls: boolean): Promise<string> => {
        const backend = await startH2RawBackend({
          ...(tls ? { tls: certificate } : {}),
          onRequest: (peer, id, n) => (n === 0 ? script(peer, id) : peer.answer(id)),
        });
        return `${tls ? "https" : "h2c"}://127.0.0.1:${backend.port}`;
      };
      const native = (answer: Http2Answer): Promise<string> => start(answer, false);
      await playAnswers(bed, answers, native, (answer) => start(answer, true));
    },
  };
}

/** Each answer to a DELETE, which nobody may send twice, and then a good request to the same backend; native first, then fetch. */
async function playAnswers<A extends BadAnswer<unknown>>(
  bed: Bed,
  answers: readonly A[],
  native: (answer: A) => Promise<string>,
  fetched: (answer: A) => Promise<string>,
): Promise<void> {
  const pools: ProxyPool[] = [];
  for (const [i, answer] of answers.entries()) {
    pools.push({ prefix: `/native/${i}`, backends: [await native(answer)], extra: { transport: "native" } });
    pools.push({ prefix: `/fetch/${i}`, backends: [await fetched(answer)], extra: { transport: "fetch" } });
  }
  await bed.start({ pools, extra: { backend_connection_pool_size: 1, performance: SOON } });
  for (const way of ["native", "fetch"] as const) {
    const steps = answers.flatMap((_, i): AioquicStep[] => [
      { do: "request", id: `${i}`, path: `/${way}/${i}`, method: "DELETE" },
      { do: "request", id: `after ${i}`, path: `/${way}/${i}` },
    ]);
    const connection = await bed.aioquic({ steps });
    const seen = answers.map(({ name }, i) => [
      `${way}: ${name}`,
      outcomeOf(exchangeOf(connection, `${i}`)),
      outcomeOf(exchangeOf(connection, `after ${i}`)),
    ]);
    const wanted = answers.map(({ name, outcome, byFetch = [outcome] }, i) => {
      const allowed = way === "fetch" ? byFetch : [outcome];
      return [`${way}: ${name}`, allowed.find((each) => each === seen[i]?.[1]) ?? outcome, 200];
    });
    expect(seen).toEqual(wanted);
    expect(connection.exchanges.filter(({ body }) => body?.includes("EVIL"))).toEqual([]);
  }
}

/** Whoever is endless without saying anything is late; shorter than a test may take. */
const SOON = { backend_timeout_ms: 1500, backend_body_idle_timeout_ms: 1500 };

function outcomeOf({ status, ended, reset_code }: AioquicExchange): Outcome | string {
  if (!ended && reset_code === INTERNAL_ERROR) return "reset";
  return ended ? must(status, "what has ended has a status") : `status ${status}, reset ${reset_code}`;
}

/** Rows 95 to 97. */
export const UPSTREAM_ANSWER_CASES: readonly Case[] = [
  http1Case(95, "cut off, are a reset after their head and 502 before it, never a clean end", CUT_HTTP1),
  http2Case(95, "cut off, are a reset after their head and 502 before it, never a clean end", CUT_HTTP2),
  http1Case(96, "ambiguous, are 502 or a reset, and nothing of them is the next one's answer", SMUGGLED_HTTP1),
  http2Case(96, "malformed, are 502 or a reset, and the next one is answered", SMUGGLED_HTTP2),
  http1Case(97, "without end, are bounded: 502 or a reset", ENDLESS_HTTP1),
  http2Case(97, "without end, are bounded: 502 or a reset", ENDLESS_HTTP2),
];
