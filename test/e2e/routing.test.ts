/** Which backend gets a request: the guide's own configuration, and routes by host, path and method. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { testCertificateFiles } from "../support/certs.ts";
import { startBackend } from "../support/backends.ts";
import type { TestBackend } from "../support/backends.ts";
import { startProcess } from "../support/process.ts";
import { defaultRunner, listeningAddress, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import type { AioquicRequest } from "../interop/aioquic.ts";
import { logLine } from "./log-lines.ts";

const GUIDE = readFileSync(join(import.meta.dir, "..", "golden", "guide-config.yaml"), "utf8");

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "paths", () => {
  test("of any spelling are routed as their plain form and arrive as they were sent, or are refused", async () => {
    const [rest, admin] = await Promise.all(["rest", "admin"].map((id) => startBackend({ protocol: "http1", id })));
    const pools = [
      { prefix: "/", backends: [rest?.address ?? ""] },
      { prefix: "/%61dmin/", backends: [admin?.address ?? ""] },
    ];
    const proxy = await startProxy({ pools });
    const toAdmin = [
      "/admin",
      "/%61dmin?x",
      "/ADMIN/../admin/",
      "//admin",
      "/x/%2e%2e/admin",
      "/admin%2Fy",
      "/admin;v=1/y",
    ];
    const toRest = ["/ADMIN", "/admin%20", "/administrator", "/admin/../x", "/%2561dmin", "/x?/../admin", "/admin-%2e"];
    const refused = [
      "/x/..%2fadmin",
      "/x/..;/admin",
      "/x\\..\\admin",
      "/x//../admin",
      "/%252e%252e/admin",
      "/admin%00",
      "/%zz",
    ];
    const paths = [...toAdmin, ...toRest, ...refused];
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: paths.map((path) => ({ do: "request", id: path, path })),
    });
    expect(admin?.seen.map(({ target }) => target)).toEqual(toAdmin);
    expect(rest?.seen.map(({ target }) => target)).toEqual(toRest);
    for (const path of refused) expect([path, exchangeOf(connection, path).status]).toEqual([path, 400]);
    await logLine(proxy, { msg: "request", status: 400, reason: "malformed request: path-ambiguous" });
    await logLine(proxy, { msg: "request", status: 400, reason: "malformed request: path-escape" });
    await logLine(proxy, { msg: "request", status: 400, reason: "malformed request: path-control" });
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "routing", () => {
  test("the guide's configuration sends each path to the pool that the guide says", async () => {
    const ids = ["api-01", "api-02", "static-01", "static-02", "web-01"];
    const backends = await Promise.all(ids.map((id) => startBackend({ protocol: "http1", id })));
    const child = startProcess({
      command: [...runnerCommand(defaultRunner()), "--config", await guideOnLoopback(backends)],
    });
    const { port } = await listeningAddress(child);
    const paths = ["/api/users", "/api", "/static/a", "/static/b", "/", "/apis", "/index.html?x=/api"];
    const connection = await runAioquicOnce({ port, steps: paths.map((path) => ({ do: "request", id: path, path })) });
    const answeredBy = Object.fromEntries(paths.map((path) => [path, backendOf(connection.exchanges, path)]));
    expect(answeredBy).toMatchObject({ "/": "web-01", "/apis": "web-01", "/index.html?x=/api": "web-01" });
    // One client has one backend of the consistent-hash pool, and takes turns in the round-robin pool.
    expect(answeredBy["/api"]).toMatch(/^api-0[12]$/);
    expect(answeredBy["/api/users"]).toBe(answeredBy["/api"] ?? "");
    expect([answeredBy["/static/a"], answeredBy["/static/b"]].sort()).toEqual(["static-01", "static-02"]);
    const line = await child.waitForLine((text) => text.includes("path=/api/users"));
    expect(line).toMatch(/ INFO +request request_id=\S+ method=GET path=\/api\/users status=200 upstream=api_pool /);
    expect((await child.stop()).code).toBe(0);
  });

  test("the longest prefix wins, then host and method count, and what no route takes is 404", async () => {
    const named = (id: string) => startBackend({ protocol: "http1", id });
    const [plain, v2, host, wild, post] = await Promise.all(["plain", "v2", "host", "wild", "post"].map(named));
    const on = (backend: TestBackend | undefined) => [backend?.address ?? ""];
    const proxy = await startProxy({
      pools: [
        { prefix: "/api", backends: on(plain) },
        { prefix: "/api/v2", backends: on(v2) },
        { prefix: "/", host: "one.test", backends: on(host) },
        { prefix: "/", host: "*.two.test", backends: on(wild) },
        { prefix: "/form", method: "POST", backends: on(post) },
      ],
    });
    const cases: readonly (readonly [id: string, request: AioquicRequest, answeredBy: string])[] = [
      ["prefix", { path: "/api/v1" }, "plain"],
      ["longer prefix", { path: "/api/v2/x" }, "v2"],
      ["longer prefix alone", { path: "/api/v2" }, "v2"],
      ["no segment border", { path: "/api/v22" }, "plain"],
      ["host", { path: "/x", authority: "one.test" }, "host"],
      ["host in capitals with a port", { path: "/x", authority: "ONE.test:443" }, "host"],
      ["host below a wildcard", { path: "/x", authority: "a.b.two.test" }, "wild"],
      ["method", { path: "/form", method: "POST" }, "post"],
      ["another method", { path: "/form", method: "PUT" }, "404"],
      ["no route", { path: "/elsewhere" }, "404"],
      ["half a segment", { path: "/apix" }, "404"],
      ["the wildcard's own name", { path: "/x", authority: "two.test" }, "404"],
    ];
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: cases.map(([id, request]) => ({ do: "request", id, ...request })),
    });
    expect(cases.map(([id]) => [id, backendOf(connection.exchanges, id)])).toEqual(
      cases.map(([id, , answeredBy]) => [id, answeredBy]),
    );
    const missed = exchangeOf(connection, "no route");
    expect(missed).toMatchObject({ body: "404 Not Found\n", ended: true });
    const id = missed.headers?.find(([name]) => name === "x-request-id")?.[1];
    const line = await logLine(proxy, { msg: "request", path: "/elsewhere" });
    expect(line).toMatchObject({ request_id: id, status: 404, error: "NO_ROUTE", upstream: "", backend: "" });
  });
});

/** The guide's file with its addresses changed to ours, in the order in which it names them. */
async function guideOnLoopback(backends: readonly TestBackend[]): Promise<string> {
  const { certFile, keyFile } = await testCertificateFiles();
  let next = 0;
  const text = GUIDE.replace("/etc/spooky/certs/fullchain.pem", certFile)
    .replace("/etc/spooky/certs/privkey.pem", keyFile)
    .replace('"0.0.0.0"', '"127.0.0.1"')
    .replace("port: 443", "port: 0")
    .replaceAll(/10\.0\.\d+\.\d+:8080/g, () => backends[next++]?.bareAddress ?? "");
  expect(next).toBe(backends.length);
  // Other tests run beside this one, and the usual ports are there once.
  const shown = "observability: { metrics: { port: 0 }, health: { address: 127.0.0.1, port: 0 } }";
  return writeTemp(tempFolder("guide"), "config.yaml", `${text}\n${shown}\n`);
}

/** The id of the backend that answered with 200, else the status. */
function backendOf(exchanges: Awaited<ReturnType<typeof runAioquicOnce>>["exchanges"], id: string): string {
  const exchange = exchanges.find((one) => one.id === id);
  const backend = exchange?.headers?.find(([name]) => name === "x-backend")?.[1];
  return exchange?.status === 200 ? String(backend) : String(exchange?.status);
}
