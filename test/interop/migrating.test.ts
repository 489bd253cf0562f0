/**
 * The examples of docs/migrating: what is translated is run beside its translation, nginx and HAProxy themselves where they are here, and
 * every request goes to the same pool of both. Caddy is not here; its translation is held to the same table.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AssertionFault, must } from "../../src/core/assert.ts";
import { startBackend } from "../support/backends.ts";
import { type CertificateFiles, testCertificateFiles } from "../support/certs.ts";
import { type Page, readPage } from "../support/markdown.ts";
import { waitUntil } from "../support/net.ts";
import { startProcess } from "../support/process.ts";
import { defaultRunner, listeningAddress, runnerCommand } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "./aioquic.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;
const HOST = "www.example.com";
/** Paths, and the first letters of the backends that answer them. */
const TABLE = [
  ["/api/", "api"],
  ["/api/users/1?x=/", "api"],
  ["/apix", "web"],
  ["/", "web"],
  ["/other/api/x", "web"],
] as const;
const USERS = ["ada", "bob", "eve"];

/** A page's example: what stands there for addresses and files, and how the other program is started with a unix socket. */
interface Example {
  readonly page: string;
  readonly language: string;
  readonly program: string | null;
  readonly lack: string;
  /** Makes the example listen at a unix socket, without TLS, in a folder of its own. */
  readonly placed: (text: string, folder: string) => string;
  readonly command: (program: string, config: string, folder: string) => readonly string[];
  /** Does the example ask for its host? */
  readonly knowsHost: boolean;
}

const EXAMPLES: readonly Example[] = [
  {
    page: "from-nginx",
    language: "nginx",
    program: process.env["SPOOKY_TEST_NGINX"] || null,
    lack: "nginx: SPOOKY_TEST_NGINX names no program",
    placed: (text, folder) =>
      `daemon off; master_process off; pid ${folder}/pid; error_log stderr;\n${text}`
        .replace("worker_processes auto;", "")
        .replace("http {", `http { access_log off; ${temporaryPaths(folder)}`)
        .replace("listen 443 quic reuseport;", `listen unix:${folder}/socket;`)
        .replaceAll(/ssl_certificate.*/g, ""),
    command: (program, config, folder) => [program, "-p", folder, "-c", config, "-e", "stderr"],
    knowsHost: true,
  },
  {
    page: "from-haproxy",
    language: "haproxy",
    program: process.env["SPOOKY_TEST_HAPROXY"] || null,
    lack: "haproxy: SPOOKY_TEST_HAPROXY names no program",
    placed: (text, folder) =>
      text.replace(/bind quic4@:443.*/, `bind unix@${folder}/socket`).replace("maxconn 10000", "maxconn 100"),
    command: (program, config) => [program, "-db", "-f", config],
    knowsHost: false,
  },
  {
    page: "from-caddy",
    language: "caddyfile",
    program: null,
    lack: "caddy: it is in no package that could be unpacked",
    placed: (text) => text,
    command: (program) => [program],
    knowsHost: true,
  },
];

function temporaryPaths(folder: string): string {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ");
}

function pageOf(name: string): Page {
  const path = `docs/migrating/${name}.md`;
  return readPage(path, readFileSync(join(ROOT, path), "utf8"));
}

function exampleIn(page: Page, language: string, part: string): string {
  const found = page.blocks.filter((block) => block.language === language && block.text.includes(part));
  expect(found).toHaveLength(1);
  return must(found[0], language).text;
}

/** Both texts with backends that are here. The one with TLS, where there is one, has the run's certificate. */
async function onLoopback(theirs: string, ours: string, files: CertificateFiles): Promise<[string, string]> {
  const isSecure = ours.includes("https://");
  const backends = await Promise.all([
    startBackend({ protocol: "http1", id: "api1" }),
    startBackend({ protocol: "http1", id: "api2" }),
    startBackend({ protocol: isSecure ? "h2" : "http1", id: "web1" }),
  ]);
  const places = ["10.0.10.10:8080", "10.0.10.11:8080", isSecure ? "10.0.30.10:8443" : "10.0.30.10:8080"];
  const put = (text: string): string => {
    const moved = places.reduce((all, place, i) => {
      expect(all).toContain(place);
      return all.replaceAll(place, must(backends[i], place).bareAddress);
    }, text);
    return moved.replaceAll(/\/etc\/\w+\/ca\.pem/g, files.caFile).replaceAll("web.internal", "localhost");
  };
  const quiet = `
supervisor: "off"
control: { socket: "off" }
observability: { metrics: { enabled: false }, health: { enabled: false } }
`;
  const here = put(ours)
    .replace('address: "0.0.0.0"', 'address: "127.0.0.1"')
    .replace("port: 443", "port: 0")
    .replace("/etc/spooky/certs/fullchain.pem", files.certFile)
    .replace("/etc/spooky/certs/privkey.pem", files.keyFile);
  return [put(theirs), here + quiet];
}

/** Starts the program that is left, and gives a way to ask it. */
async function startOther(
  example: Example,
  program: string,
  text: string,
): Promise<(path: string) => Promise<Response>> {
  const folder = tempFolder("theirs");
  const config = writeTemp(folder, "config", `${example.placed(text, folder)}\n`);
  const child = startProcess({ command: example.command(program, config, folder) });
  const unix = join(folder, "socket");
  const ask = (path: string): Promise<Response> =>
    fetch(`http://${HOST}${path}`, { unix, headers: { "x-user": "ada" } });
  let ended = false;
  void child.ended.then(() => (ended = true));
  await waitUntil(async () => {
    if (ended) throw new AssertionFault(`${example.page} does not run:\n${child.output()}`);
    return ask("/").then(
      () => true,
      () => false,
    );
  });
  return ask;
}

describe.skipIf(LACK !== null)(LACK ?? "coming from elsewhere", () => {
  test.each(EXAMPLES.map((example) => [example.page, example] as const))("%s", async (_, example) => {
    const page = pageOf(example.page);
    const files = await testCertificateFiles();
    const texts = [exampleIn(page, example.language, "10.0.10.10"), exampleIn(page, "yaml", "version: 1")] as const;
    const [theirs, ours] = await onLoopback(...texts, files);

    const config = writeTemp(tempFolder("migrated"), "config.yaml", ours);
    const child = startProcess({ command: [...runnerCommand(defaultRunner()), "--config", config] });
    const { port } = await listeningAddress(child);
    const asked = TABLE.flatMap(([path]) => USERS.flatMap((user) => [1, 2].map((time) => ({ path, user, time }))));
    const connection = await runAioquicOnce({
      port,
      steps: [
        ...asked.map(({ path, user, time }) => ({
          ...{ do: "request" as const, id: `${path} ${user} ${time}`, path, authority: HOST },
          headers: [["x-user", user]] as const,
        })),
        { do: "request", id: "elsewhere", path: "/", authority: "elsewhere.example" },
      ],
    });
    const backendOf = (id: string): string | undefined =>
      exchangeOf(connection, id).headers?.find(([name]) => name === "x-backend")?.[1];
    for (const [path, pool] of TABLE) {
      for (const user of USERS) {
        expect([path, backendOf(`${path} ${user} 1`)]).toEqual([
          path,
          expect.stringMatching(new RegExp(`^${pool}[12]$`)),
        ]);
        expect(backendOf(`${path} ${user} 2`)).toBe(backendOf(`${path} ${user} 1`));
      }
    }
    expect(exchangeOf(connection, "elsewhere").status).toBe(example.knowsHost ? 404 : 200);
    if (example.program === null) return;
    const ask = await startOther(example, example.program, theirs);
    for (const [path, pool] of TABLE)
      expect([path, (await ask(path)).headers.get("x-backend")]).toEqual([
        path,
        expect.stringMatching(new RegExp(`^${pool}[12]$`)),
      ]);
  });

  for (const { program, lack } of EXAMPLES) if (program === null) test.skip(lack, () => undefined);
});
