/** Request bodies that are not what was said, and answers with bodies where none belong: rows 32 to 35 and 39. */
import { expect } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { exchangeOf } from "../../interop/aioquic.ts";
import type { AioquicField, AioquicRequest, AioquicStep } from "../../interop/aioquic.ts";
import { fetchHttp3 } from "../../interop/bun-fetch.ts";
import { startBackend } from "../../support/backends.ts";
import type { ProxyPool } from "../../support/proxy.ts";
import { startRawBackend } from "../../support/raw-backend.ts";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";
import { startRecorder } from "../recorder.ts";
import type { Recorder } from "../recorder.ts";

const MESSAGE_ERROR = 0x10e;
const REQUEST_CANCELLED = 0x10c;
/** One connection to a backend, so that whatever an attack left on it meets the next request. */
const ONE_CONNECTION = { backend_connection_pool_size: 1 };
const LENGTH_5: readonly AioquicField[] = [["content-length", "5"]];

/** A request that breaks its word, and how it ends for its client. */
interface Breach {
  readonly row: number;
  readonly name: string;
  readonly request: AioquicRequest;
  /** Steps after it. */
  readonly then?: readonly AioquicStep[];
  readonly reset: number;
  readonly logged: Readonly<Record<string, unknown>>;
}

const MALFORMED = { status: 0, error: "BAD_REQUEST", reason: "malformed request: body-length" };

const BREACHES: readonly Breach[] = [
  {
    ...{ row: 32, name: "less body than Content-Length says", reset: MESSAGE_ERROR, logged: MALFORMED },
    request: { headers: LENGTH_5, body: { text: "abc" } },
  },
  {
    ...{ row: 32, name: "more body than Content-Length says", reset: MESSAGE_ERROR, logged: MALFORMED },
    request: { headers: LENGTH_5, body: { text: "abcdefgh" } },
  },
  {
    ...{ row: 33, name: "Content-Length and then nothing but FIN", reset: MESSAGE_ERROR, logged: MALFORMED },
    request: { method: "POST", headers: LENGTH_5, fin: false },
    // The answers to PINGs show that the head was there before the end is.
    then: [{ do: "ping" }, { do: "ping" }, { do: "finish", id: "breach" }],
  },
  {
    ...{
      row: 34,
      name: "a body cut by RESET_STREAM",
      reset: REQUEST_CANCELLED,
      logged: { status: 499, error: "CLIENT_GONE" },
    },
    request: { method: "POST", headers: LENGTH_5, body: { text: "abcde" }, reset_after_bytes: 3 },
  },
];

const GOOD = { headers: LENGTH_5, body: { text: "whole" } } as const;

/** The breach between two good requests of the same path. */
function stepsOf({ request, then = [] }: Breach, path: string): readonly AioquicStep[] {
  return [
    { do: "request", id: "before", path: `${path}/before`, ...GOOD },
    { do: "start", id: "breach", path: `${path}/breach`, ...request },
    ...then,
    { do: "wait", id: "breach" },
    { do: "request", id: "after", path: `${path}/after`, ...GOOD },
  ];
}

async function playBreach(bed: Bed, breach: Breach, path: string): Promise<void> {
  const connection = await bed.aioquic({ steps: stepsOf(breach, path) });
  for (const id of ["before", "after"]) expect(exchangeOf(connection, id)).toMatchObject({ status: 200, ended: true });
  const broken = exchangeOf(connection, "breach");
  expect([broken.status, broken.ended, broken.reset_code]).toEqual([null, false, breach.reset]);
  expect(connection.closed).toBeNull();
  // Lines are written in the order in which requests end.
  await bed.logLine({ msg: "request", path: `${path}/after` });
  const lines = bed.logs().filter((line) => Object.entries(breach.logged).every(([key, value]) => line[key] === value));
  expect(lines.length).toBe(path.endsWith("/native") ? 1 : 2);
}

/** Over HTTP/1.1: what the breach has left is on a connection that is closed and that nobody was answered on. */
function overHttp1(breach: Breach): Case {
  return {
    row: breach.row,
    name: `${breach.name}: HTTP/1.1 backends get no whole request of it, and the next arrives whole on another connection`,
    needs: ["aioquic"],
    run: async (bed) => {
      const native = await startRecorder();
      const fetched = await startRecorder();
      const pools = [
        { prefix: "/native", backends: [native.address] },
        { prefix: "/fetch", backends: [fetched.address], extra: { transport: "fetch" } },
      ];
      await bed.start({ pools, extra: ONE_CONNECTION });
      for (const [path, recorder] of [
        ["/native", native],
        ["/fetch", fetched],
      ] as const) {
        await playBreach(bed, breach, path);
        await expectWhole(recorder, path);
      }
    },
  };
}

async function expectWhole({ connections, requests }: Recorder, path: string): Promise<void> {
  expect(requests.map((request) => request.slice(0, request.indexOf(" HTTP")))).toEqual([
    `POST ${path}/before`,
    `POST ${path}/after`,
  ]);
  expect(requests.map((request) => request.split("\r\n\r\n")[1])).toEqual(["whole", "whole"]);
  const dirty = connections.filter(({ text }) => text.includes("/breach"));
  expect(dirty.map(({ text }) => text.includes("/after"))).toEqual(dirty.map(() => false));
  await Promise.all(dirty.map(({ end }) => end));
}

/** Over HTTP/2: the stream is reset, and the backend takes nothing for a whole request. */
function overHttp2(breach: Breach): Case {
  return {
    row: breach.row,
    name: `${breach.name}: HTTP/2 backends see a stream that is reset, and the next arrives whole`,
    needs: ["aioquic"],
    run: async (bed) => {
      const native = await startBackend({ protocol: "h2c" });
      const fetched = await startBackend({ protocol: "h2" });
      const pools: ProxyPool[] = [
        { prefix: "/upload/native", backends: [native.address] },
        { prefix: "/upload/fetch", backends: [fetched.address], extra: { transport: "fetch" } },
      ];
      await bed.start({ pools, extra: ONE_CONNECTION });
      for (const [path, backend] of [
        ["/upload/native", native],
        ["/upload/fetch", fetched],
      ] as const) {
        await playBreach(bed, breach, path);
        const { requests, completed, aborted } = backend.counts;
        expect([completed, requests - aborted, backend.faults]).toEqual([2, 2, []]);
      }
    },
  };
}

/** What bodies look like to an HTTP/1.1 backend: the request, and what stands behind its head. */
const FRAMINGS: readonly (readonly [string, AioquicRequest, string, string])[] = [
  [
    "GET with a body of unknown length",
    { method: "GET", body: { text: "of GET" } },
    "chunked",
    "6\r\nof GET\r\n0\r\n\r\n",
  ],
  ["GET with a length", { method: "GET", headers: [["content-length", "6"]], body: { text: "of GET" } }, "6", "of GET"],
  ["POST of unknown length", { method: "POST", body: { text: "a body" } }, "chunked", "6\r\na body\r\n0\r\n\r\n"],
  ["POST of nothing", { method: "POST" }, "0", ""],
  ["DELETE with a body", { method: "DELETE", body: { text: "why" } }, "chunked", "3\r\nwhy\r\n0\r\n\r\n"],
];

const FRAMED: Case = {
  row: 35,
  name: "bodies of unknown length go to HTTP/1.1 in chunks with an end, those of known length with it, whatever the method",
  needs: ["aioquic"],
  run: async (bed) => {
    const steps = FRAMINGS.map(([id, request]): AioquicStep => ({ do: "request", id, path: "/r", ...request }));
    const connection = await bed.aioquic({ steps });
    expect(connection.exchanges.map(({ status }) => status)).toEqual(FRAMINGS.map(() => 200));
    const { requests } = await bed.recorder();
    const seen = requests.map((request) => {
      const [head = "", ...rest] = request.split("\r\n\r\n");
      const framing = /\r\n(?:transfer-encoding|content-length): (.*)/i.exec(head)?.[1];
      return [framing, rest.join("\r\n\r\n")];
    });
    expect(seen).toEqual(FRAMINGS.map(([, , framing, body]) => [framing, body]));
  },
};

const EXTRA = "SMUGGLED";
/** Answers that have a body although they must not. */
const BODYLESS: readonly (readonly [string, string, string])[] = [
  ["HEAD", "200 OK", `content-length: ${EXTRA.length}\r\n`],
  ["HEAD", "200 OK", "transfer-encoding: chunked\r\n"],
  ["GET", "204 No Content", ""],
  ["GET", "304 Not Modified", ""],
];

const BODIES_DROPPED: Case = {
  row: 39,
  name: "a body on HEAD, 204 and 304 is dropped with its connection, and is no one's answer",
  run: async (bed) => {
    const ways = [{}, { transport: "fetch" }];
    const tries = ways.flatMap((extra) => BODYLESS.map((answer) => ({ extra, answer })));
    const backends = await Promise.all(
      tries.map(({ answer: [, status, fields] }) => {
        const body = fields.includes("chunked") ? `8\r\n${EXTRA}\r\n0\r\n\r\n` : EXTRA;
        const bad = `HTTP/1.1 ${status}\r\n${fields}\r\n${body}`;
        const good = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        return startRawBackend({
          script: (connection) => [
            { read: "\r\n\r\n" },
            { send: connection === 0 ? bad : good },
            { read: "\r\n\r\n" },
            { send: good },
          ],
        });
      }),
    );
    const pools = backends.map(({ bareAddress }, i) => {
      const { extra } = must(tries[i], "each backend has a try");
      return { prefix: `/${i}`, backends: [`http://${bareAddress}`], extra };
    });
    await bed.start({ pools, extra: ONE_CONNECTION });
    for (const [i, { answer }] of tries.entries()) {
      // aioquic takes the Content-Length of an answer to HEAD for that of its body.
      const bodyless = await fetchHttp3(`${bed.proxy.url}/${i}`, { method: answer[0] });
      expect([i, `${bodyless.status}`, await bodyless.text()]).toEqual([i, answer[1].slice(0, 3), ""]);
      const next = await fetchHttp3(`${bed.proxy.url}/${i}`);
      expect([next.status, await next.text()]).toEqual([200, "ok"]);
      expect([i, backends[i]?.connections.length]).toEqual([i, 2]);
    }
  },
};

/** Rows 32 to 35 and 39. */
export const UPSTREAM_BODY_CASES: readonly Case[] = [
  ...BREACHES.flatMap((breach) => [overHttp1(breach), overHttp2(breach)]),
  FRAMED,
  BODIES_DROPPED,
];
