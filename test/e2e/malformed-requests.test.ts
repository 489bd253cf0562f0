/** Requests that break the rules, sent by a client that sends anything: no backend sees them, and the connection goes on. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { startProxy } from "../support/proxy.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import type { AioquicExchange, AioquicField } from "../interop/aioquic.ts";
import { logLine } from "./log-lines.ts";

const H3_MESSAGE_ERROR = 0x10e;
const METHOD = [":method", "GET"] as const;
const SCHEME = [":scheme", "https"] as const;
const AUTHORITY = [":authority", "a.test"] as const;
const PATH = [":path", "/"] as const;
const GOOD = [METHOD, SCHEME, AUTHORITY, PATH] as const;
const WITH_PATH = (path: string): AioquicField[] => [METHOD, SCHEME, AUTHORITY, [":path", path]];

/** What is wrong, the whole field section, and the answer: a reset or a status. */
const CASES: readonly (readonly [string, readonly AioquicField[], "reset" | number])[] = [
  ["no :path", [METHOD, SCHEME, AUTHORITY], "reset"],
  ["no :method", [SCHEME, AUTHORITY, PATH], "reset"],
  ["no :scheme", [METHOD, AUTHORITY, PATH], "reset"],
  ["neither :authority nor host", [METHOD, SCHEME, PATH], "reset"],
  ["two :path", [...GOOD, [":path", "/other"]], "reset"],
  ["a response's :status", [...GOOD, [":status", "200"]], "reset"],
  ["a pseudo-field after a field", [METHOD, SCHEME, AUTHORITY, ["x", "1"], PATH], "reset"],
  ["an upper-case name", [...GOOD, ["X-Upper", "1"]], "reset"],
  ["a name with a blank", [...GOOD, ["x y", "1"]], "reset"],
  ["a connection field", [...GOOD, ["connection", "close"]], "reset"],
  ["transfer-encoding", [...GOOD, ["transfer-encoding", "chunked"]], "reset"],
  ["te that is not trailers", [...GOOD, ["te", "gzip"]], "reset"],
  ["CR in a value", [...GOOD, ["x", "a\rb"]], "reset"],
  ["CRLF and a second head in a value", [...GOOD, ["x", "a\r\n\r\nGET /evil HTTP/1.1"]], "reset"],
  ["NUL in a value", [...GOOD, ["x", "a\0b"]], "reset"],
  ["a line end in :path", WITH_PATH("/ HTTP/1.1\r\nx: 1"), "reset"],
  ["two content-lengths", [...GOOD, ["content-length", "0"], ["content-length", "1"]], "reset"],
  ["a content-length that is no number", [...GOOD, ["content-length", "+1"]], "reset"],
  ["host that is not :authority", [...GOOD, ["host", "b.test"]], "reset"],
  ["an empty :path", WITH_PATH(""), 400],
  ["a :path without its slash", WITH_PATH("index.html"), 400],
  ["a :path with a fragment", WITH_PATH("/#top"), 400],
  ["a :path with an escape that is none", WITH_PATH("/100%"), 400],
  ["a :path with an escaped NUL", WITH_PATH("/a%00.png"), 400],
  ["a :path with an escaped slash beside dots", WITH_PATH("/a/..%2fb"), 400],
  ["a :path with a backslash beside dots", WITH_PATH("/a\\..\\b"), 400],
  ["a :path with a parameter behind dots", WITH_PATH("/a/..;/b"), 400],
  ["a user in :authority", [METHOD, SCHEME, [":authority", "u:p@a.test"], PATH], 400],
  ["CONNECT", [[":method", "CONNECT"], AUTHORITY], 501],
  ["a field section over the limit", [...GOOD, ["x-big", "b".repeat(40_000)]], 431],
  ["too many fields", [...GOOD, ...Array.from({ length: 300 }, (_, i): AioquicField => [`x-${i}`, ""])], 431],
];

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "malformed requests", () => {
  test("are reset or answered by the proxy, and a good one on the same connection is served", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }] });
    const bad = CASES.map(([id, raw_headers]) => ({ do: "request", id, raw_headers }) as const);
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [...bad, { do: "request", id: "good", path: "/good" }],
    });
    expect(CASES.map(([id]) => [id, answerOf(exchangeOf(connection, id))])).toEqual(
      CASES.map(([id, , answer]) => [id, answer]),
    );
    expect(exchangeOf(connection, "good")).toMatchObject({ status: 200, ended: true });
    expect(connection.closed).toBeNull();
    expect(backend.seen.map(({ target }) => target)).toEqual(["/good"]);
    expect(backend.counts).toMatchObject({ connections: 1, requests: 1 });
    await logLine(proxy, { msg: "request", error: "BAD_REQUEST", reason: "malformed request: value-character" });
    await logLine(proxy, { msg: "request", status: 431, reason: "malformed request: section-too-large" });
  });

  test("whose body differs from its content-length are reset, and no backend takes them for complete", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }] });
    const length = (bytes: number) => [["content-length", String(bytes)]] as const;
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [
        { do: "request", id: "short", path: "/upload", headers: length(10), body: { text: "five5" } },
        { do: "request", id: "long", path: "/upload", headers: length(3), body: { text: "five5" } },
        { do: "request", id: "right", path: "/upload", headers: length(5), body: { text: "five5" } },
      ],
    });
    expect(answerOf(exchangeOf(connection, "short"))).toBe("reset");
    expect(exchangeOf(connection, "long").status).not.toBe(200);
    expect(exchangeOf(connection, "right")).toMatchObject({ status: 200, ended: true });
    expect(backend.counts.completed).toBe(1);
  });
});

function answerOf({ status, reset_code, ended }: AioquicExchange): "reset" | number | string {
  if (status === null && reset_code === H3_MESSAGE_ERROR) return "reset";
  return status !== null && ended ? status : `status ${status}, reset ${reset_code}, ended ${ended}`;
}
