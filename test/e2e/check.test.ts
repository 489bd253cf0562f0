/**
 * `spooky check` before a start: what is wrong ends it with code 2 and is named with file, line and key; what is doubtful is a warning; and
 * a program that is started with the same file serves nothing where there is an error. Row 101 of the demands list is the table below.
 */
import { describe, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { join } from "node:path";
import { certificateFiles, expiredLeaf, leafThatMayNotSign, testCertificateFiles, testLeaf } from "../support/certs.ts";
import { startBackend } from "../support/backends.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, proxyConfig, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";

const PROGRAM = runnerCommand(defaultRunner());
const run = (...args: readonly string[]) => runProcess({ command: [...PROGRAM, ...args] });

type Config = Record<string, unknown>;
type Path = readonly (string | number)[];

/** The least configuration, as an object to break. `cert` and `key` are files that fit. */
function least(files: { readonly certFile: string; readonly keyFile: string; readonly caFile: string }): Config {
  const pools = [{ prefix: "/", backends: ["http://127.0.0.1:1"] }];
  const config: Config = JSON.parse(proxyConfig({ pools }, files));
  return config;
}

/** A copy with the value at `path` replaced; what is missing on the way is made. */
function withValue(config: Config, path: Path, value: unknown): Config {
  const copy: Config = structuredClone(config);
  let at: Record<string | number, unknown> = copy;
  for (const segment of path.slice(0, -1)) at = (at[segment] ??= {}) as Record<string | number, unknown>;
  at[path.at(-1) ?? ""] = value;
  return copy;
}

const POOL = ["upstream", "pool_0"] as const;
const BACKEND = [...POOL, "backends", 0] as const;
const BACKEND_TEXT = "upstream.pool_0.backends[0]";

/** What is wrong by the file alone: where, with what, and the key that has to be named. */
const WRONG: readonly (readonly [name: string, path: Path, value: unknown, key: string])[] = [
  ["an unknown key at the top", ["lgo"], {}, "lgo"],
  ["an unknown key of a listener", ["listen", "prot"], 1, "listen.prot"],
  ["an unknown key of a pool", [...POOL, "balancing"], {}, "upstream.pool_0.balancing"],
  ["an unknown key of a backend", [...BACKEND, "wieght"], 1, `${BACKEND_TEXT}.wieght`],
  ["another version", ["version"], 2, "version"],
  ["a listener without an address of an IP", ["listen", "address"], "localhost", "listen.address"],
  ["a port beyond the last", ["listen", "port"], 65_536, "listen.port"],
  ["a port as a text", ["listen", "port"], "443", "listen.port"],
  ["another protocol", ["listen", "protocol"], "http2", "listen.protocol"],
  ["a certificate without its key", ["listen", "tls"], { cert: "c.pem" }, "listen.tls.key"],
  ["no certificate", ["listen", "tls"], {}, "listen.tls"],
  ["no pools", ["upstream"], {}, "upstream"],
  ["a pool without backends", [...POOL, "backends"], [], "upstream.pool_0.backends"],
  ["a pool without a route", [...POOL, "route"], {}, "upstream.pool_0.route"],
  ["two routes for the same requests", ["upstream", "again"], twin(), "upstream.again.route"],
  [
    "a prefix that does not begin with a slash",
    [...POOL, "route", "path_prefix"],
    "a",
    "upstream.pool_0.route.path_prefix",
  ],
  ["a route for no host", [...POOL, "route", "host"], "a b", "upstream.pool_0.route.host"],
  ["a route for no method", [...POOL, "route", "method"], "G T", "upstream.pool_0.route.method"],
  ["an unknown balancing", [...POOL, "load_balancing", "type"], "best", "upstream.pool_0.load_balancing.type"],
  ["a hash key without a name", [...POOL, "load_balancing"], HASHED("header:"), "upstream.pool_0.load_balancing.key"],
  ["weight 0", [...BACKEND, "weight"], 0, `${BACKEND_TEXT}.weight`],
  ["a negative weight", [...BACKEND, "weight"], -1, `${BACKEND_TEXT}.weight`],
  [
    "two backends of one name",
    [...POOL, "backends", 1],
    { id: "backend-0", address: "a:1" },
    "upstream.pool_0.backends[1].id",
  ],
  ["a backend without an address", [...BACKEND, "address"], "", `${BACKEND_TEXT}.address`],
  ["a backend of another scheme", [...BACKEND, "address"], "ftp://a:1", `${BACKEND_TEXT}.address`],
  ["a backend without a port", [...BACKEND, "address"], "10.0.0.1", `${BACKEND_TEXT}.address`],
  ["a health check of no time", [...BACKEND, "health_check"], { interval: 0 }, `${BACKEND_TEXT}.health_check.interval`],
  ["a health check of no path", [...BACKEND, "health_check"], { path: "x" }, `${BACKEND_TEXT}.health_check.path`],
  [
    "a health check without a threshold",
    [...BACKEND, "health_check"],
    { failure_threshold: 0 },
    `${BACKEND_TEXT}.health_check.failure_threshold`,
  ],
  [
    "a network that is none",
    [...POOL, "forwarded_headers"],
    PROXIES("10.0.0.0/33"),
    "upstream.pool_0.forwarded_headers.trusted_proxies[0]",
  ],
  [
    "an address with bits beyond its network",
    ["forwarded_headers"],
    PROXIES("10.0.0.1/8"),
    "forwarded_headers.trusted_proxies[0]",
  ],
  ["a rewrite without a host", [...POOL, "host_policy"], { mode: "rewrite" }, "upstream.pool_0.host_policy.host"],
  ["a time of 0", ["performance", "backend_timeout_ms"], 0, "performance.backend_timeout_ms"],
  ["a time with a unit", ["performance", "backend_timeout_ms"], "5s", "performance.backend_timeout_ms"],
  ["a level that is none", ["log", "level"], "loud", "log.level"],
  ["too many workers", ["workers"], 33, "workers"],
  ["a key of the original that means nothing here", ["secrets"], {}, "secrets"],
  ["cluster ids without a node", ["cluster", "connection_ids"], "quic-lb", "cluster.node_id"],
  ["a path of metrics that is none", ["observability", "metrics", "path"], "metrics", "observability.metrics.path"],
  [
    "a method that is not safe in early data",
    ["resilience"],
    EARLY("POST"),
    "resilience.protocol.early_data_safe_methods[0]",
  ],
];

function twin(): unknown {
  return { route: { path_prefix: "/" }, backends: [{ id: "b", address: "127.0.0.1:1" }] };
}

function HASHED(key: string): unknown {
  return { type: "consistent-hash", key };
}

function PROXIES(network: string): unknown {
  return { trusted_proxies: [network] };
}

function EARLY(method: string): unknown {
  return { protocol: { early_data_safe_methods: [method] } };
}

function written(config: Config): string {
  return writeTemp(tempFolder("check"), "config.yaml", JSON.stringify(config, null, 2));
}

describe("a configuration that cannot be served", () => {
  test.each(WRONG)("%s: file, line and key, exit code 2, nothing is bound", async (_name, path, value, key) => {
    const file = written(withValue(least(await testCertificateFiles()), path, value));
    const [checked, started] = await Promise.all([run("check", "--config", file), run("--config", file)]);
    for (const { code, stdout, stderr } of [checked, started]) {
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      const places = stderr.split("\n").map((line) => /^(.*):(\d+):(\d+): (\S+): /.exec(line));
      expect(places.map((place) => place?.[4])).toContain(key);
      expect(places.every((place) => place?.[1] === file && Number(place[2]) > 1)).toBe(true);
    }
  });

  test("the same for programs: one object, and no text beside it", async () => {
    const file = written(withValue(least(await testCertificateFiles()), ["listen", "port"], -1));
    const { code, stdout, stderr } = await run("check", "--json", "--config", file);
    expect({ code, stderr }).toEqual({ code: 2, stderr: "" });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ v: 1, config: file, errors: 1, warnings: 0 });
    expect(report.findings).toEqual([
      expect.objectContaining({ check: "configuration", level: "error", key: "listen.port", line: 6, column: 13 }),
    ]);
  });
});

/** A report's findings that are not `ok`. */
async function findingsOf(config: Config, ...options: readonly string[]) {
  const { code, stdout } = await run("check", "--json", ...options, "--config", written(config));
  const { findings } = JSON.parse(stdout) as { findings: Record<string, string | number | null>[] };
  return {
    code,
    bad: findings.filter(({ level }) => level !== "ok"),
    ok: findings.filter(({ level }) => level === "ok"),
  };
}

/** Puts the port that a proxy has chosen into the file that it was started with. */
async function servedFile({
  configFile,
  port,
}: {
  readonly configFile: string;
  readonly port: number;
}): Promise<string> {
  const config: Config = JSON.parse(await Bun.file(configFile).text());
  await Bun.write(configFile, JSON.stringify(withValue(config, ["listen", "port"], port)));
  return configFile;
}

describe("what only the machine knows", () => {
  test("a certificate that has expired is an error at its key", async () => {
    const { code, bad } = await findingsOf(least(certificateFiles(await expiredLeaf())), "--offline");
    const error = bad.find(({ level }) => level === "error");
    expect({ code, error }).toMatchObject({
      code: 2,
      error: { check: "certificates", key: "listen.tls.cert", line: 8 },
    });
    expect(error?.["text"]).toContain("has expired on");
  });

  test("one that ends within 30 days is a warning, which counts when it is asked to", async () => {
    const files = certificateFiles(await testLeaf({ validDays: 29 }));
    chmodSync(files.keyFile, 0o600);
    const { code, bad } = await findingsOf(least(files), "--offline");
    expect({ code, bad }).toMatchObject({ code: 0, bad: [{ check: "certificates", key: "listen.tls.cert" }] });
    expect(bad[0]?.["text"]).toMatch(/expires in 2[89] days/);
    expect((await findingsOf(least(files), "--offline", "--strict")).code).toBe(1);
    const lasting = certificateFiles(await testLeaf({ validDays: 40 }));
    chmodSync(lasting.keyFile, 0o600);
    expect(await findingsOf(least(lasting), "--offline", "--strict")).toMatchObject({ code: 0, bad: [] });
  });

  test("a key that is another certificate's, and one that everybody can read", async () => {
    const [mine, other] = [certificateFiles(await testLeaf({ validDays: 60 })), certificateFiles(await testLeaf({}))];
    chmodSync(mine.keyFile, 0o604);
    const wrong = await findingsOf(least({ ...mine, keyFile: other.keyFile }), "--offline");
    expect(wrong).toMatchObject({ code: 2, bad: [{ level: "error", key: "listen.tls.key" }] });
    const open = await findingsOf(least(mine), "--offline");
    expect(open).toMatchObject({ code: 0, bad: [{ level: "warning", key: "listen.tls.key" }] });
    expect(open.bad[0]?.["remedy"]).toBe(`chmod o-r ${mine.keyFile}`);
  });

  test("a certificate that TLS itself refuses, as one whose key may not sign", async () => {
    const { code, bad } = await findingsOf(least(certificateFiles(await leafThatMayNotSign())), "--offline");
    expect(code).toBe(2);
    expect(bad.filter(({ level }) => level === "error")).toEqual([
      expect.objectContaining({ check: "certificates", key: "listen.tls.cert" }),
    ]);
  });

  test("a route for a host that no certificate is for", async () => {
    const files = certificateFiles(await testLeaf({ names: ["*.example.org"], validDays: 40 }));
    chmodSync(files.keyFile, 0o600);
    const hosts = async (host: string) =>
      (await findingsOf(withValue(least(files), [...POOL, "route", "host"], host), "--offline")).bad.map(
        ({ key }) => key,
      );
    expect(await hosts("a.example.org")).toEqual([]);
    expect(await hosts("*.example.org")).toEqual([]);
    expect(await hosts("a.b.example.org")).toEqual(["upstream.pool_0.route.host"]);
    expect(await hosts("example.org")).toEqual(["upstream.pool_0.route.host"]);
  });

  test("each of several listeners: its certificates, the hosts that they cover, its port, and a `listen` that means nothing", async () => {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    const { port } = socket.address();
    const lasting = certificateFiles(await testLeaf({ names: ["a.example.org"], validDays: 40 }));
    chmodSync(lasting.keyFile, 0o600);
    const expired = certificateFiles(await expiredLeaf());
    const listener = ({ certFile: cert, keyFile: key }: typeof lasting, at: number) => ({
      ...{ address: "127.0.0.1", port: at, tls: { cert, key } },
    });
    const hosts = withValue(least(lasting), [...POOL, "route", "host"], "a.example.org");
    const several = withValue(hosts, ["listeners"], [listener(lasting, 0), listener(expired, port)]);
    const { code, bad } = await findingsOf(several, "--offline");
    socket.close();
    expect(code).toBe(2);
    const found = bad.map(({ level, key, text }) => [level, key, text]);
    expect(found).toContainEqual(["warning", "listen", expect.stringContaining("take its place")]);
    expect(found).toContainEqual(["error", "listeners[1].tls.cert", expect.stringContaining("has expired on")]);
    expect(found).toContainEqual([
      ...["warning", "upstream.pool_0.route.host"],
      expect.stringContaining("no certificate of listeners[1] is for a.example.org"),
    ]);
    expect(found).toContainEqual([
      "error",
      "listeners[1].port",
      expect.stringContaining(`127.0.0.1:${port} is already`),
    ]);
    expect(found.filter(([, key]) => String(key).startsWith("listeners[0]"))).toEqual([]);
  });

  test("a port that another program has is an error with its name; one that this file's program serves is fine", async () => {
    const files = await testCertificateFiles();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const place = server.address();
    const port = place !== null && typeof place === "object" ? place.port : 0;
    const metrics = withValue(least(files), ["observability", "metrics"], { port });
    const taken = await findingsOf(metrics, "--offline");
    server.close();
    expect(taken.code).toBe(2);
    expect(taken.bad.find(({ level }) => level === "error")).toMatchObject({ key: "observability.metrics.port" });
    expect(String(taken.bad.find(({ level }) => level === "error")?.["text"])).toContain(`(pid ${process.pid})`);

    // A program that runs may be the one that goes over to this file: a warning.
    const proxy = await startProxy({ pools: [{ prefix: "/", backends: ["http://127.0.0.1:1"] }] });
    const another = await findingsOf(withValue(least(files), ["listen", "port"], proxy.port), "--offline");
    expect(another.code).toBe(0);
    const found = another.bad.find(({ check }) => check === "addresses");
    expect(found).toMatchObject({ level: "warning", key: "listen.port" });
    expect(String(found?.["text"])).toContain(`served by spooky (pid ${proxy.process.pid})`);
    const same = await run("check", "--offline", "--config", await servedFile(proxy));
    expect(same.stdout).toContain("is served with this configuration file");
  });

  test("backends are asked as their checks do; those without one have to be there", async () => {
    const sick = await startBackend({ protocol: "http1" });
    const [host, path] = [sick.address, "/status/500"];
    const backends = [
      { id: "sick", address: host, health_check: { path } },
      { id: "well", address: host },
      { id: "gone", address: "http://127.0.0.1:1" },
    ];
    const config = withValue(least(await testCertificateFiles()), [...POOL, "backends"], backends);
    const { code, bad, ok } = await findingsOf(config);
    const found = bad.filter(({ check }) => check === "backends");
    expect({ code, keys: found.map(({ key }) => key) }).toEqual({
      code: 0,
      keys: ["upstream.pool_0.backends[0].address", "upstream.pool_0.backends[2].address"],
    });
    expect(found[0]?.["text"]).toContain("status 500");
    expect(ok.find(({ check }) => check === "backends")?.["text"]).toBe("pool_0: 1 of 3 answer");
    const unasked = await findingsOf(config, "--offline");
    expect(unasked.bad.filter(({ check }) => check === "backends")).toEqual([]);
  });

  test("authorities of clients that are not there", async () => {
    const ca_file = join(tempFolder("check"), "none.pem");
    const auth = { enabled: true, ca_file };
    const config = withValue(least(await testCertificateFiles()), ["listen", "tls", "client_auth"], auth);
    const { code, bad } = await findingsOf(config, "--offline");
    const errors = bad.filter(({ level }) => level === "error");
    expect({ code, errors }).toMatchObject({ code: 2, errors: [{ key: "listen.tls.client_auth.ca_file" }] });
  });

  test("a log that cannot be written", async () => {
    const file = join(tempFolder("check"), "none", "spooky.log");
    const config = withValue(least(await testCertificateFiles()), ["log", "file"], file);
    expect(await findingsOf(config, "--offline")).toMatchObject({
      code: 2,
      bad: [{ check: "files", key: "log.file" }, {}],
    });
  });
});
