/**
 * The real servers themselves, asked by curl, by text on a socket and by `node:http2`: what a test of a transport sees must be the
 * transport's doing. What `real-abilities.ts` declares is measured here, the missing included, so that no line of it can be stale.
 */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { must } from "../../src/core/assert.ts";
import { testCertificate, testCertificateFiles } from "./certs.ts";
import { waitUntil } from "./net.ts";
import { patternBytes, patternSha256 } from "./pattern.ts";
import { plainClient, type PlainClient } from "./plain-client.ts";
import { runProcess } from "./process.ts";
import { REAL_SERVER_KINDS, REAL_SERVER_PROTOCOLS, realServerLack, startRealServer } from "./real-servers.ts";
import type { RealServer, ServerAbilities } from "./real-server.ts";
import { tempFolder, writeTemp } from "./temp.ts";

const { caPem } = await testCertificate();
const { caFile } = await testCertificateFiles();

for (const kind of REAL_SERVER_KINDS) {
  const lack = realServerLack(kind);
  describe(lack ?? kind, () => {
    for (const protocol of REAL_SERVER_PROTOCOLS) {
      test.skipIf(lack !== null)(
        `${protocol}: answers as the routes say, and is able to do what is declared and no more`,
        async () => {
          const server = await startRealServer({ kind, protocol });
          await shown(server, async () => {
            await checkRoutes(server);
            await checkLevers(server);
            expect(await measure(server)).toEqual(server.abilities);
          });
        },
      );
    }
  });
}

async function checkRoutes(server: RealServer): Promise<void> {
  const file = writeTemp(tempFolder("upload"), "body", patternBytes("u", 1_000_000));
  const post = ["--data-binary", `@${file}`, "--header", "content-type: x/y", "--header", "expect:"];
  const get = await curls(server, {
    ...{
      "/small": [],
      "/bytes/300000?seed=d": [],
      "/bytes/300000?seed=e&length=no": [],
      "/bytes/0": [],
      "/gzip/1000?seed=z": [],
    },
    ...{
      "/upload": post,
      "/echo": post,
      "/request-trailers": post,
      "/health": ["--head"],
      "/headers?q=%20": ["--header", "x-mine: 1"],
    },
    ...{ [TEAPOT]: [], "/status/204": [], "/status/304": [], "/else": [] },
    ...{ "/stream?pieces=4&bytes=50": [], "/drip?bytes=10": [], "/slow?ms=5": [], "/ignore-body": [] },
  });
  for (const { code, version } of get.values()) expect([code, version]).toEqual([0, VERSIONS[server.protocol]]);
  const bodyOf = (path: string) => must(get.get(path), "curl was asked for it").body;
  expect(latin1(bodyOf("/small")).equals(patternBytes("small", 512))).toBe(true);
  for (const seed of ["d", "e&length=no"])
    expect(sha256(bodyOf(`/bytes/300000?seed=${seed}`))).toBe(patternSha256(seed.slice(0, 1), 300_000));
  expect(bodyOf("/bytes/0")).toBe("");
  expect(gunzipSync(latin1(bodyOf("/gzip/1000?seed=z"))).equals(patternBytes("z", 1000))).toBe(true);

  expect(JSON.parse(bodyOf("/upload"))).toEqual({ length: 1_000_000, sha256: patternSha256("u", 1_000_000) });
  expect([sha256(bodyOf("/echo")), fieldsOf(get, "/echo", "content-type")]).toEqual([
    patternSha256("u", 1_000_000),
    ["x/y"],
  ]);
  expect(JSON.parse(bodyOf("/request-trailers"))).toEqual({ length: 1_000_000, trailers: [] });
  const told = JSON.parse(bodyOf("/headers?q=%20"));
  expect(told).toMatchObject({ method: "GET", target: "/headers?q=%20" });
  expect(told.fields).toContainEqual(["x-mine", "1"]);

  expect([get.get(TEAPOT)?.status, bodyOf(TEAPOT)]).toEqual([418, "status 418\n"]);
  expect([fieldsOf(get, TEAPOT, "set-cookie"), fieldsOf(get, TEAPOT, "x-pad")]).toEqual([
    ["a=1", "b=2"],
    ["pppppppppp"],
  ]);
  expect(["/status/204", "/status/304", "/health"].map((path) => get.get(path)?.status)).toEqual([204, 304, 200]);
  expect(bodyOf("/stream?pieces=4&bytes=50").length).toBe(200);
  expect(latin1(bodyOf("/drip?bytes=10")).equals(patternBytes("drip", 10))).toBe(true);
  expect([bodyOf("/slow?ms=5"), bodyOf("/ignore-body")]).toEqual(["slow\n", "body not read\n"]);
  expect(bodyOf("/else")).toMatch(/^[a-z-]+ GET \/else\n$/);
}

/** Held requests go on when they are let go, one whose client leaves is noticed, and connections are told apart. */
async function checkLevers(server: RealServer): Promise<void> {
  await waitUntil(async () => (await server.counts()).active === 0);
  const before = await server.counts();
  const held = curls(server, { "/hold": [] });
  const heldBody = curls(server, { "/hold-body?bytes=10": [] });
  await server.holding(2);
  const meanwhile = await server.counts();
  expect([meanwhile.active - before.active, meanwhile.bytesSent - before.bytesSent]).toEqual([2, 10]);
  await server.release();
  expect((await held).get("/hold")?.body).toBe("held\n");
  expect((await heldBody).get("/hold-body?bytes=10")?.body).toEndWith("released");
  await waitUntil(async () => (await server.counts()).completed === meanwhile.completed + 2);
  const [second, third] = await withClient(server, async (client) => {
    const first = await smallOn(client);
    return [first, await smallOn(client)];
  });
  expect(second).toBe(third ?? "");
  expect(await withClient(server, smallOn)).not.toBe(second ?? "");
  await withClient(server, async (client) => {
    client.request("GET", "/hold");
    await server.holding(1);
  });
  await waitUntil(async () => (await server.counts()).aborted === meanwhile.aborted + 1);
}

/** The connection that the server says a request came on; undefined when there was no answer. */
async function smallOn(client: PlainClient): Promise<string | undefined> {
  client.request("GET", "/small");
  await client.until(({ body, ended }) => ended || body.length >= 512);
  return client.seen.fields.get("x-connection");
}

async function measure(server: RealServer): Promise<ServerAbilities> {
  const { abilities } = server;
  const [before, mid, unannounced] = ["/reset-before", "/reset-mid?bytes=1000&length=5000", "/reset-mid?bytes=1000"];
  const [cut, long] = ["/cut-mid?bytes=1000&length=5000", "/bytes/100000?piece=1000"];
  const asked = [before, mid, unannounced, cut, long, "/trailers", "/hints"];
  const got = await curls(server, Object.fromEntries(asked.map((path) => [path, []])));
  const breaks = (path: string) => got.get(path)?.code !== 0;
  return {
    trailersResponse: fieldsOf(got, "/trailers", "x-checksum").includes("pattern-trailers"),
    trailersRequest: await trailersRequest(server),
    informational: /^HTTP\S* 103 /m.test(got.get("/hints")?.heads ?? ""),
    fullDuplex: await answersMeanwhile(server, "/echo", "echoed", abilities.fullDuplex),
    earlyAnswer: await answersMeanwhile(server, "/ignore-body", "body not read", abilities.earlyAnswer),
    resetBefore: breaks(before),
    resetMid: breaks(mid),
    resetUnannounced: breaks(unannounced),
    cutMid: breaks(cut),
    contentLength: fieldsOf(got, long, "content-length").includes("100000"),
    isolatesUploads: await isolatesUploads(server),
    goAway: await leavesAfter(server, () => server.goAway(), abilities.goAway),
    drops: await leavesAfter(server, () => server.dropConnections(), abilities.drops),
  };
}

async function trailersRequest(server: RealServer): Promise<boolean> {
  return withClient(server, async (client) => {
    client.request("POST", "/request-trailers", true);
    client.body("body");
    client.endBody(["x-after", "1"]);
    await client.until(({ body, ended }) => ended || body.includes("}"));
    return client.seen.body.includes('"trailers":[["x-after","1"]]');
  });
}

/** Whether `wanted` is in the answer before the request has ended. */
async function answersMeanwhile(
  server: RealServer,
  path: string,
  wanted: string,
  isExpected: boolean,
): Promise<boolean> {
  return withClient(server, async (client) => {
    client.request("POST", path, true);
    client.body("echoed");
    return comes(server, client, isExpected, () => client.seen.body.includes(wanted));
  });
}

/** Whether another request is answered on a connection where a body is stuck; in HTTP/1.1 there is none beside it. */
async function isolatesUploads({ protocol, address }: RealServer): Promise<boolean> {
  if (protocol === "http1" || protocol === "https1") return true;
  const program = join(import.meta.dirname, "upload-beside.mjs");
  const command = ["node", program, address.replace(/^h2c:/, "http:")];
  const { stdout, stderr } = await runProcess({ command, env: { CA_PEM: caPem } });
  expect([["stuck", "answered"].includes(stdout), stderr]).toEqual([true, ""]);
  return stdout === "answered";
}

/** Whether an idle connection learns of its end, and another one is to be had then. */
async function leavesAfter(server: RealServer, pull: () => Promise<void>, isExpected: boolean): Promise<boolean> {
  const left = await withClient(server, async (client) => {
    await smallOn(client);
    await pull();
    return comes(server, client, isExpected, () => client.leaving);
  });
  // A connection that is made while one process takes over from another may be left without an answer.
  while ((await withClient(server, smallOn)) === undefined);
  return left;
}

/** Waits for what is expected. What is not has come by the time that a number of other requests are done, or does not. */
async function comes(
  server: RealServer,
  client: PlainClient,
  isExpected: boolean,
  holds: () => boolean,
): Promise<boolean> {
  if (isExpected) await client.until(holds);
  for (let others = 0; others < OTHERS && !holds(); others++) await withClient(server, smallOn);
  return holds();
}

async function withClient<T>(server: RealServer, use: (client: PlainClient) => Promise<T>): Promise<T> {
  const client = await plainClient(server, caPem);
  return use(client).finally(() => client.close());
}

interface CurlAnswer {
  readonly code: number;
  readonly status: number;
  readonly version: string;
  /** All heads, and the trailers. */
  readonly heads: string;
  /** Latin1. */
  readonly body: string;
}

/** Asks for one path after the other, each with its options, in one run of curl. */
async function curls(
  server: RealServer,
  asked: Readonly<Record<string, readonly string[]>>,
): Promise<ReadonlyMap<string, CurlAnswer>> {
  const folder = tempFolder("curl");
  const command = ["curl", "--silent"];
  for (const [index, [path, options]] of Object.entries(asked).entries()) {
    const [heads, body] = ["heads", "body"].map((part) => writeTemp(folder, `${index}.${part}`, ""));
    if (index > 0) command.push("--next");
    command.push(
      "--cacert",
      caFile,
      CURL_OPTIONS[server.protocol],
      "--dump-header",
      heads ?? "",
      "--output",
      body ?? "",
    );
    command.push(
      "--write-out",
      "%{exitcode} %{http_version} %{response_code}\n",
      ...options,
      ...urlOf(server, index, path),
    );
  }
  const { stdout } = await runProcess({ command });
  const lines = stdout.split("\n");
  return new Map(
    Object.keys(asked).map((path, index) => {
      const [code = "", version = "", status = ""] = lines[index]?.split(" ") ?? [];
      const [heads = "", body = ""] = ["heads", "body"].map((part) =>
        readFileSync(join(folder, `${index}.${part}`), "latin1"),
      );
      return [path, { code: Number(code), version, status: Number(status), heads, body }];
    }),
  );
}

/** curl 7.88 fails when it uses an h2c connection again, which it does for a name that it knows. */
function urlOf({ address, port, protocol }: RealServer, index: number, path: string): string[] {
  if (protocol !== "h2c") return [address + path];
  return ["--connect-to", `::127.0.0.1:${port}`, `http://name${index}.example:${port}${path}`];
}

function fieldsOf(answers: ReadonlyMap<string, CurlAnswer>, path: string, name: string): string[] {
  const lines = (answers.get(path)?.heads ?? "").split("\r\n").map((line) => /^([^:]+): (.*)$/.exec(line));
  return lines.filter((line) => line?.[1]?.toLowerCase() === name).map((line) => line?.[2] ?? "");
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function sha256(text: string): string {
  return createHash("sha256").update(latin1(text)).digest("hex");
}

/** Shows what the server has written when the check fails. */
async function shown(server: RealServer, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (thrown) {
    console.error(`${server.kind} ${server.protocol}:\n${server.log()}`);
    throw thrown;
  }
}

const OTHERS = 10;
const TEAPOT = "/status/418?field=set-cookie:a%3D1&field=set-cookie:b%3D2&pad=10";
const CURL_OPTIONS = {
  http1: "--http1.1",
  https1: "--http1.1",
  h2c: "--http2-prior-knowledge",
  h2: "--http2",
} as const;
const VERSIONS = { http1: "1.1", https1: "1.1", h2c: "2", h2: "2" } as const;
