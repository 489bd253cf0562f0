/** The commands without a client: what is checked, what is said, and with which code the program ends. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { certificateFiles, testCertificate, testCertificateFiles, testLeaf } from "../support/certs.ts";
import { startBackend } from "../support/backends.ts";
import { runProcess } from "../support/process.ts";
import { hasRunner, proxyConfig, runnerCommand, startProxy } from "../support/proxy.ts";
import type { ProxyOptions, ProxyRunner } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquic } from "../interop/aioquic.ts";

const RUNNERS: readonly ProxyRunner[] = ["source", "binary"];
const POOLS: ProxyOptions["pools"] = [{ prefix: "/", backends: ["127.0.0.1:9"] }];

for (const runner of RUNNERS) {
  const missing = hasRunner(runner) ? null : `${runner}: dist/spooky is not built (./scripts/build makes it)`;
  const run = (...args: readonly string[]) => runProcess({ command: [...runnerCommand(runner), ...args] });

  describe.skipIf(missing !== null)(missing ?? `what is wrong is said by the ${runner}:`, () => {
    test("a configuration with mistakes: every one with its place and what was expected, exit code 2", async () => {
      const file = writeTemp(tempFolder("config"), "bad.yaml", MISTAKES);
      for (const command of [
        ["--config", file],
        ["check", "--config", file],
      ]) {
        const { code, stdout, stderr } = await run(...command);
        expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
        const lines = stderr.trimEnd().split("\n");
        expect(lines.map((line) => /^(.*:\d+:\d+): (\S+): /.exec(line)?.slice(1))).toEqual([
          [`${file}:4:9`, "listen.port"],
          [`${file}:9:7`, "upstream.web.load_balancing.typ"],
          [`${file}:12:40`, "upstream.web.backends[0].weight"],
          [`${file}:13:1`, "lgo"],
        ]);
        expect(lines[1]).toContain('did you mean "type"?');
        expect(lines[3]).toContain('did you mean "log"?');
      }
    });

    test("a missing file, an unknown option and an unknown command: said on stderr, exit code 2", async () => {
      const missingFile = join(tempFolder("config"), "none.yaml");
      const cases: readonly (readonly [readonly string[], string])[] = [
        [["--config", missingFile], missingFile],
        [["check", "--config", missingFile], missingFile],
        [["--confg", "x.yaml"], "unknown option --confg; did you mean --config?"],
        [["serve"], "unknown command serve"],
        [["--config"], "--config needs the path of a configuration file"],
        [["demo", "--port", "65536"], "--port needs a number from 0 to 65535"],
        [["--port", "1"], "--port belongs to `spooky demo`"],
      ];
      const answers = await Promise.all(cases.map(([args]) => run(...args)));
      expect(answers.map(({ code, stdout }) => ({ code, stdout }))).toEqual(cases.map(() => ({ code: 2, stdout: "" })));
      answers.forEach(({ stderr }, i) => expect(stderr).toContain(cases[i]?.[1] ?? ""));
    });

    test("a certificate and a key that do not fit, or are not there: both commands name the file, exit code 2", async () => {
      const mine = certificateFiles(await testCertificate());
      const other = certificateFiles(await testLeaf({ names: ["other.test"] }));
      const folder = tempFolder("config");
      const wrongKey = proxyConfig({ pools: POOLS }, { ...mine, keyFile: other.keyFile });
      const noKey = proxyConfig({ pools: POOLS }, { ...mine, keyFile: join(folder, "none.pem") });
      for (const [text, said] of [
        [wrongKey, other.keyFile],
        [noKey, "none.pem"],
      ] as const) {
        const file = writeTemp(folder, "config.yaml", text);
        for (const command of [
          ["--config", file],
          ["check", "--config", file],
        ]) {
          const { code, stdout, stderr } = await run(...command);
          expect(code).toBe(2);
          expect(command[0] === "check" ? stdout : stderr).toContain(said);
        }
      }
    });
  });

  describe.skipIf(missing !== null)(missing ?? `what is doubtful is said by the ${runner}:`, () => {
    test("check warns of what a valid configuration gives up, and of nothing else of it", async () => {
      const pools = [
        { prefix: "/by-choice", backends: ["https://127.0.0.1:1"], extra: { transport: "fetch" } },
        { prefix: "/by-default", backends: ["https://127.0.0.1:1"] },
        { prefix: "/trusting", backends: ["http://127.0.0.1:1"], extra: { tls: { verify_certificates: false } } },
      ];
      const file = writeTemp(tempFolder("config"), "odd.yaml", proxyConfig({ pools }, await testCertificateFiles()));
      const { code, stdout, stderr } = await run("check", "--offline", "--config", file);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const warned = [...stdout.matchAll(/^! warning configuration \S+:\d+:\d+: (\S+): /gm)].map(([, key]) => key);
      expect(warned).toEqual(["upstream.pool_0.transport", "upstream.pool_2.tls.verify_certificates"]);
    });
  });

  describe.skipIf(missing !== null)(missing ?? `the command line of the ${runner}`, () => {
    test("check reads what a valid configuration names, says so and serves nothing", async () => {
      const file = writeTemp(
        tempFolder("config"),
        "good.yaml",
        proxyConfig({ pools: POOLS }, await testCertificateFiles()),
      );
      const { code, stdout, stderr } = await run("check", "--config", file);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("ok      configuration valid (1 pool, 1 backend)");
      expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/^\S+config\S*: 0 errors, \d+ warnings?$/);
    });

    test("--version names the program, the library, the runtime, the commit and the target; --help the usage", async () => {
      const { code, stdout, stderr } = await run("--version");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const [spooky, quiche, runtime, commit, target] = stdout.split("\n");
      expect(spooky).toBe(`spooky ${JSON.parse(readFileSync(PACKAGE, "utf8")).version}`);
      expect(quiche).toMatch(/^quiche \d+\.\d+\.\d+ \(library [0-9a-f]+\)$/);
      expect(runtime).toMatch(/^bun \d+\.\d+\.\d+$/);
      expect(commit).toMatch(/^commit \S+$/);
      expect(target).toMatch(/^target linux-(x64|arm64)$/);
      const help = await run("--help");
      expect(help.code).toBe(0);
      expect(help.stdout).toContain("spooky [--config PATH]");
    });

    test.skipIf(aioquicPython === null)(
      aioquicPython === null
        ? AIOQUIC_MISSING
        : "an address that is served already: exit code 2, a hint, and no packet lost",
      async () => {
        const backend = await startBackend({ protocol: "http1" });
        const first = await startProxy({ runner, pools: [{ prefix: "/", backends: [backend.address] }] });
        const second = proxyConfig({ pools: POOLS, port: first.port }, first.certificate);
        const file = writeTemp(tempFolder("config"), "second.yaml", second);
        const steps = [{ do: "request", id: "r", path: "/small", count: 200 }] as const;
        const [refused, connections] = await Promise.all([
          run("--config", file),
          runAioquic({ port: first.port, connections: 3, events: false, steps }),
        ]);
        expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 2, stdout: "" });
        expect(refused.stderr).toContain(`UDP 127.0.0.1:${first.port} is already served`);
        expect(refused.stderr).toContain("spooky check");
        expect(connections.map(({ bulks }) => bulks[0]?.statuses)).toEqual([
          { "200": 200 },
          { "200": 200 },
          { "200": 200 },
        ]);
        const check = await run("check", "--config", file);
        expect(check.code).toBe(0);
        const after = await runAioquic({ port: first.port, events: false, steps });
        expect(after[0]?.bulks[0]?.statuses).toEqual({ "200": 200 });
      },
    );

    test("the process is called spooky", async () => {
      const { process: child } = await startProxy({ runner, pools: POOLS });
      expect(readFileSync(`/proc/${child.pid}/comm`, "utf8")).toBe("spooky\n");
      if (Bun.which("pgrep") !== null) {
        const { stdout } = await runProcess({ command: ["pgrep", "-x", "spooky"] });
        expect(stdout.split("\n")).toContain(String(child.pid));
      }
    });
  });
}

const PACKAGE = join(import.meta.dir, "..", "..", "package.json");

const MISTAKES = `version: 1
listen:
  address: 127.0.0.1
  port: 70000
  tls: { cert: c.pem, key: k.pem }
upstream:
  web:
    load_balancing:
      typ: random
    route: { path_prefix: / }
    backends:
      - { id: a, address: a:1, weight: 0 }
lgo: {}
`;
