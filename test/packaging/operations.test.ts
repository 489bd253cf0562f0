/** What operators are given beside the program: each script is run, each rule and profile is read by the tool that it is for. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { testCertificate, testCertificateFiles, testLeaf } from "../support/certs.ts";
import { freePort } from "../support/net.ts";
import { runProcess } from "../support/process.ts";
import { type RunningProxy, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder, writeProgram, writeTemp } from "../support/temp.ts";

const ROOT = join(import.meta.dir, "..", "..");
const PACKAGING = join(ROOT, "packaging");
const SOURCE = runnerCommand("source");
const isRoot = process.getuid?.() === 0;

/** A tool where it is, or null; those for administrators are not in every search path. */
function tool(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` });
}

const run = (command: readonly string[], env: Record<string, string> = {}) => runProcess({ command, env });

/** A tool's test, skipped by name without the tool. */
function withTool(name: string, what: string, body: (path: string) => Promise<void>): void {
  const path = tool(name);
  test.skipIf(path === null)(path === null ? `${what}: ${name} is not installed` : what, () => body(must(path, name)));
}

describe("what is read by its tool", () => {
  withTool("shellcheck", "scripts are plain to shellcheck", async (shellcheck) => {
    const scripts = ["scripts", "certbot"].flatMap((folder) =>
      readdirSync(join(PACKAGING, folder))
        .filter((name) => name.endsWith(".sh"))
        .map((name) => join(PACKAGING, folder, name)),
    );
    expect(scripts.length).toBeGreaterThan(4);
    for (const script of scripts) expect(statSync(script).mode & 0o111).toBe(0o111);
    expect(await run([shellcheck, ...scripts])).toMatchObject({ code: 0, stdout: "" });
    const wrong = writeProgram(tempFolder("wrong"), "wrong.sh", "#!/bin/bash\nrm $1\n");
    expect((await run([shellcheck, wrong])).code).toBe(1);
  });

  withTool(
    "apparmor_parser",
    "the AppArmor profile is one (in force it is untested: no such kernel)",
    async (parser) => {
      const profile = join(PACKAGING, "apparmor", "usr.local.bin.spooky");
      const check = (path: string) => run([parser, "--skip-kernel-load", "--skip-cache", path]);
      expect((await check(profile)).code).toBe(0);
      const wrong = readFileSync(profile, "utf8").replace("capability net_bind_service", "capability net_bind_servce");
      expect((await check(writeTemp(tempFolder("apparmor"), "wrong", wrong))).code).not.toBe(0);
    },
  );

  const nft = tool("nft");
  const lack = nft === null ? "nft is not installed" : isRoot ? null : "only root can";
  test.skipIf(lack !== null)(lack === null ? "nftables takes its rules" : `nftables: ${lack}`, async () => {
    const rules = join(PACKAGING, "nftables", "spooky.nft");
    const alone = (...command: readonly string[]) => run(["unshare", "--net", "--", ...command]);
    expect(await alone(nft ?? "", "--check", "--file", rules)).toMatchObject({ code: 0, stderr: "" });
    // In force, in a network of their own.
    const loaded = await alone("sh", "-c", `"$0" --file "$1" && "$0" list ruleset`, nft ?? "", rules);
    expect(loaded).toMatchObject({ code: 0, stderr: "" });
    expect(loaded.stdout).toContain("udp dport 443 accept");
    const wrong = writeTemp(
      tempFolder("nft"),
      "wrong.nft",
      readFileSync(rules, "utf8").replace("udp dport", "udp dprt"),
    );
    expect((await alone(nft ?? "", "--check", "--file", wrong)).code).toBe(1);
  });

  withTool("keepalived", "keepalived takes its configuration, and complains of another", async (keepalived) => {
    const text = readFileSync(join(PACKAGING, "scripts", "keepalived.conf"), "utf8").replace("eth0", "lo");
    // Its own wish for an address makes no difference to what is tested.
    const check = async (config: string): Promise<readonly string[]> => {
      const file = writeTemp(tempFolder("keepalived"), "keepalived.conf", config);
      const said = await run([
        "unshare",
        "--net",
        "--",
        keepalived,
        `--config-test`,
        `--use-file=${file}`,
        "--log-console",
      ]);
      return `${said.stdout}\n${said.stderr}`.split("\n").filter((line) => /unknown keyword/i.test(line));
    };
    expect(await check(text)).toEqual([]);
    expect(await check(text.replace("advert_int", "advert_itn"))).toHaveLength(1);
  });

  withTool("logrotate", "logrotate takes its rules", async (logrotate) => {
    const folder = tempFolder("logrotate");
    const text = readFileSync(join(PACKAGING, "logrotate", "spooky"), "utf8").replaceAll("spooky spooky", "root root");
    const check = (name: string, rules: string) =>
      run([logrotate, "--debug", "--state", join(folder, "state"), writeTemp(folder, name, rules)]);
    expect((await check("right", text)).stderr).not.toContain("error:");
    expect((await check("wrong", text.replace("missingok", "missingko"))).stderr).toContain(
      "unknown option 'missingko'",
    );
  });

  test("pages show what is shipped", () => {
    const shown = (page: string) => readFileSync(join(ROOT, "docs", "operations", page), "utf8");
    const shipped = (path: string) => readFileSync(join(PACKAGING, path), "utf8");
    const withoutHead = (text: string) => text.slice(text.search(/^[^#]/m));
    expect(shown("logs.md")).toContain(withoutHead(shipped("logrotate/spooky")));
  });

  test("each line of sysctl.d is a setting of this kernel, and limits.d has its form", () => {
    const lines = (path: string) =>
      readFileSync(join(PACKAGING, path), "utf8")
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"));
    const keys = lines("sysctl/99-spooky.conf").map((line) => must(/^(\S+) = \d+$/.exec(line)?.[1], line));
    expect(keys.filter((key) => !existsSync(join("/proc/sys", key.replaceAll(".", "/"))))).toEqual([]);
    for (const line of lines("limits/spooky.conf")) expect(line).toMatch(/^spooky (soft|hard) (nofile|nproc) \d+$/);
  });
});

describe("Ansible", () => {
  const named = process.env["SPOOKY_TEST_ANSIBLE"] || null;
  const lint = named === null ? Bun.which("ansible-lint") : join(named, "ansible-lint");
  const playbook = join(PACKAGING, "ansible", "deploy-spooky.yml");

  test.skipIf(lint === null)(
    lint === null
      ? "ansible-lint is not installed (SPOOKY_TEST_ANSIBLE names its folder)"
      : "finds nothing in the playbook",
    async () => {
      const PATH = `${join(must(lint, "it is there"), "..")}:${process.env["PATH"]}`;
      const linted = await run([must(lint, "it is there"), "--offline", "--nocolor", playbook], { PATH });
      expect(linted).toMatchObject({ code: 0, stderr: expect.stringContaining("Passed: 0 failure(s), 0 warning(s)") });
    },
  );

  test.skipIf(lint === null)(
    lint === null ? "ansible is not installed" : "writes a configuration that is one",
    async () => {
      const PATH = `${join(must(lint, "it is there"), "..")}:${process.env["PATH"]}`;
      const folder = tempFolder("ansible");
      const { certFile, keyFile } = await testCertificateFiles();
      const pools = [{ name: "api", prefix: "/api", backends: [{ id: "a", address: "192.0.2.1:80" }] }];
      const values = writeTemp(folder, "values.json", JSON.stringify({ spooky_pools: pools }));
      const to = join(folder, "config.yaml");
      const template = `src=${join(PACKAGING, "ansible/templates/spooky-config.yaml.j2")} dest=${to}`;
      const args = [
        "localhost",
        "--connection=local",
        "--module-name=template",
        `--args=${template}`,
        `--extra-vars=@${values}`,
      ];
      const made = await run(["ansible", ...args], { PATH, ANSIBLE_HOME: folder, ANSIBLE_LOCALHOST_WARNING: "False" });
      expect(made.code).toBe(0);
      const here = readFileSync(to, "utf8")
        .replace(/\/etc\S+fullchain.pem/, certFile)
        .replace(/\/etc\S+privkey.pem/, keyFile);
      writeFileSync(to, here);
      expect(await run([...SOURCE, "check", "--offline", "--config", to])).toMatchObject({ code: 0 });
    },
  );
});

/** A folder of programs that come before others, each with what it does. */
function shims(programs: Readonly<Record<string, string>>): Record<string, string> {
  const folder = tempFolder("shims");
  for (const [name, does] of Object.entries(programs)) writeProgram(folder, name, `#!/bin/bash\n${does}\n`);
  return { PATH: `${folder}:${process.env["PATH"]}` };
}

const HOOK = join(PACKAGING, "certbot", "spooky-reload.sh");

/** A certificate as certbot has it, and what the hook calls. */
async function hookScene(systemctl = 0) {
  const folder = tempFolder("certbot with blanks");
  const lineage = join(folder, "live", "proxy.example.com");
  const certs = join(folder, "certs");
  for (const path of [lineage, certs]) mkdirSync(path, { recursive: true });
  const { certPem, keyPem } = await testCertificate();
  writeTemp(lineage, "fullchain.pem", certPem);
  writeTemp(lineage, "privkey.pem", keyPem);
  const calls = join(folder, "calls");
  writeFileSync(calls, "");
  const record = `echo "$(basename "$0") $*" >> '${calls}'`;
  const settings = join(folder, "settings");
  const env = {
    ...shims({ systemctl: `${record}; exit ${systemctl}`, logger: record }),
    ...{
      RENEWED_LINEAGE: lineage,
      RENEWED_DOMAINS: "proxy.example.com",
      SPOOKY_CERTS: certs,
      SPOOKY_GROUP: "root",
    },
    SPOOKY_CERTBOT_SETTINGS: settings,
  };
  return { folder, lineage, certs, env, settings, called: () => readFileSync(calls, "utf8").trim(), certPem };
}

describe.skipIf(!isRoot)(
  isRoot ? "the hook of certbot" : "the hook of certbot: files are given to root, by root",
  () => {
    const RELOADS = "systemctl try-reload-or-restart spooky[.]service spooky@*.service";

    test("copies the pair with its rights and has the programs reload", async () => {
      const { certs, env, called, certPem } = await hookScene();
      expect(await run([HOOK], env)).toMatchObject({ code: 0, stderr: "" });
      expect(readdirSync(certs).toSorted()).toEqual(["fullchain.pem", "privkey.pem"]);
      expect(readFileSync(join(certs, "fullchain.pem"), "utf8")).toBe(certPem);
      expect(["fullchain.pem", "privkey.pem"].map((name) => statSync(join(certs, name)).mode & 0o777)).toEqual([
        0o644, 0o640,
      ]);
      expect(called()).toBe(
        `${RELOADS}\nlogger -t spooky-cert-renewal -- certificate proxy.example.com is renewed (proxy.example.com)`,
      );
    });

    test("copies nothing when the key is another's, when it is not meant, or not called by certbot", async () => {
      const { lineage, certs, env, called } = await hookScene();
      expect((await run([HOOK], { ...env, SPOOKY_LINEAGE: "other.example.com" })).code).toBe(0);
      expect((await run([HOOK], { ...env, RENEWED_LINEAGE: "" })).code).toBe(2);
      expect(called()).toBe("");
      writeTemp(lineage, "privkey.pem", (await testLeaf({})).keyPem);
      const wrong = "the key of proxy.example.com is not that of its certificate";
      expect(await run([HOOK], env)).toMatchObject({ code: 1, stderr: `spooky: ${wrong}` });
      writeTemp(lineage, "fullchain.pem", "nonsense");
      expect((await run([HOOK], env)).code).toBe(1);
      expect(readdirSync(certs)).toEqual([]);
      expect(called().split("\n")[0]).toBe(`logger -t spooky-cert-renewal -p daemon.err -- ${wrong}`);
    });

    test("does not take another service's certificate for its own", async () => {
      const { folder, certs, env, settings } = await hookScene();
      mkdirSync(join(folder, "live", "mail.example.com"));
      expect(await run([HOOK], env)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("there are 2 certificates"),
      });
      expect(readdirSync(certs)).toEqual([]);
      writeFileSync(settings, "SPOOKY_LINEAGE=proxy.example.com\n");
      expect((await run([HOOK], env)).code).toBe(0);
      expect(readdirSync(certs)).toHaveLength(2);
    });

    test("says so when the program does not take it", async () => {
      const { env, certs, called } = await hookScene(1);
      expect(await run([HOOK], env)).toMatchObject({ code: 1, stderr: expect.stringContaining("has not taken it") });
      expect(readdirSync(certs)).toHaveLength(2);
      expect(called()).toContain("logger -t spooky-cert-renewal -p daemon.err -- proxy.example.com is in");
    });
  },
);

const SCRIPTS = join(PACKAGING, "scripts");
const MODES = (folder: string, ...names: readonly string[]) =>
  names.map((name) => statSync(join(folder, name)).mode & 0o777);

/** A machine's folder with a configuration, its backup, and what restores it. */
async function backupScene() {
  const folder = tempFolder("backup with blanks");
  const [etc, backups] = [join(folder, "etc"), join(folder, "backups")];
  const certs = join(etc, "certs");
  mkdirSync(certs, { recursive: true });
  const { certPem, keyPem } = await testCertificate();
  writeFileSync(join(certs, "fullchain.pem"), certPem);
  writeFileSync(join(certs, "privkey.pem"), keyPem);
  const tls = `{ cert: "${certs}/fullchain.pem", key: "${certs}/privkey.pem" }`;
  const text = `version: 1
listen: { protocol: http3, address: 127.0.0.1, port: 0, tls: ${tls} }
upstream: { web: { route: { path_prefix: / }, backends: [{ id: a, address: "127.0.0.1:9" }] } }
`;
  const config = join(etc, "config.yaml");
  writeFileSync(config, text);
  const program = writeProgram(folder, "spooky", `#!/bin/bash\nexec ${SOURCE.join(" ")} "$@"\n`);
  const env = { SPOOKY_ETC: etc, SPOOKY_BACKUPS: backups, SPOOKY_BIN: program, SPOOKY_GROUP: "root" };
  const made = await run([join(SCRIPTS, "spooky-backup.sh")], env);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  const archive = made.stdout.trim();
  const restore = (reload: string, from = archive, ...more: readonly string[]) =>
    run([join(SCRIPTS, "spooky-restore.sh"), from, ...more], { ...env, SPOOKY_RELOAD: reload });
  return { folder, etc, certs, backups, config, text, env, archive, restore };
}

describe.skipIf(!isRoot)(isRoot ? "a backup" : "a backup: files are given to root, by root", () => {
  test("is restored as it was, without keys, and taken back when the program does not want it", async () => {
    const { etc, backups, config, text, archive, restore } = await backupScene();
    const list = await run(["tar", "tzf", archive]);
    const names = list.stdout.split("\n").map((name) => name.replace(/^[^/]*\//, ""));
    expect(names.filter((name) => name !== "").toSorted()).toEqual([
      ...["certs/", "certs/fullchain.pem", "config.yaml", "metadata.txt"],
    ]);
    expect([statSync(archive).mode & 0o777, statSync(backups).mode & 0o777]).toEqual([0o600, 0o700]);
    const other = text.replace("id: a", "id: b");
    writeFileSync(config, other);
    expect((await restore("false")).code).toBe(1);
    expect(readFileSync(config, "utf8")).toBe(other);
    expect((await restore("true")).code).toBe(0);
    expect(readFileSync(config, "utf8")).toBe(text);
    expect(readFileSync(`${config}.backup`, "utf8")).toBe(other);
    expect(MODES(etc, "config.yaml")).toEqual([0o640]);
  });

  test("brings a new machine its certificates too, once its key is there", async () => {
    const { etc, certs, config, text, restore } = await backupScene();
    const key = readFileSync(join(certs, "privkey.pem"));
    rmSync(etc, { recursive: true });
    const refused = await restore("true");
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("cannot be served here: nothing is changed"),
    });
    expect([readdirSync(etc), readdirSync(certs)]).toEqual([["certs"], []]);
    writeFileSync(join(certs, "privkey.pem"), key, { mode: 0o640 });
    // No start either: as before.
    expect((await restore("false")).code).toBe(1);
    expect([readdirSync(etc), readdirSync(certs)]).toEqual([["certs"], ["privkey.pem"]]);
    expect((await restore("true")).code).toBe(0);
    expect(readFileSync(config, "utf8")).toBe(text);
    expect(MODES(certs, "fullchain.pem", "privkey.pem")).toEqual([0o644, 0o640]);
  });

  test("that is cut off, or is none, changes nothing; nor does one without the configuration that is asked for", async () => {
    const { folder, etc, config, text, archive, restore } = await backupScene();
    const other = text.replace("id: a", "id: b");
    writeFileSync(config, other);
    const cut = writeTemp(folder, "cut.tar.gz", readFileSync(archive).subarray(0, -200));
    const none = writeTemp(folder, "none.tar.gz", "nonsense");
    for (const from of [cut, none, join(folder, "missing.tar.gz")]) expect((await restore("true", from)).code).toBe(1);
    expect((await restore("true", archive, "0-3.yaml")).code).toBe(1);
    expect((await restore("true", archive, "../config.yaml")).code).toBe(2);
    expect(readFileSync(config, "utf8")).toBe(other);
    expect(readdirSync(etc).toSorted()).toEqual(["certs", "config.yaml"]);
  });
});

describe.skipIf(!isRoot)(
  isRoot ? "what cannot go well" : "what cannot go well: files are given to root, by root",
  () => {
    test("leaves no archive, and whoever asks for help gets nothing else", async () => {
      const { config, backups, env } = await backupScene();
      rmSync(config);
      expect((await run([join(SCRIPTS, "spooky-backup.sh")], env)).code).toBe(1);
      expect(readdirSync(backups)).toHaveLength(1);
      for (const name of [
        "scripts/spooky-backup.sh",
        "scripts/spooky-restore.sh",
        "scripts/spooky-healthcheck.sh",
      ].concat([...["scripts/spooky-deploy.sh", "certbot/spooky-reload.sh"]])) {
        const [help, wrong] = [
          await run([join(PACKAGING, name), "--help"], env),
          await run([join(PACKAGING, name), "--x"], env),
        ];
        expect([name, help.code, wrong.code === 0]).toEqual([name, 0, false]);
        expect(help.stderr).toContain("Exit codes: ");
        expect(help.stderr).not.toContain("set -euo");
      }
      expect(readdirSync(backups)).toHaveLength(1);
    });
  },
);

/** A machine that is deployed to: a proxy, its program's file, its configuration. */
interface Target {
  readonly folder: string;
  readonly proxy: RunningProxy;
  readonly program: string;
}

const PROGRAM = (version: string) => `#!/bin/bash\n# ${version}\nexec ${SOURCE.join(" ")} "$@"\n`;

describe("a deployment to two machines", () => {
  async function target(name: string, hosts: string): Promise<Target> {
    const folder = join(hosts, name);
    mkdirSync(folder);
    const program = writeProgram(folder, "spooky", PROGRAM("first"));
    const proxy = await startProxy({
      command: [program],
      supervisor: "auto",
      pools: [{ prefix: "/", name: "web", backends: ["127.0.0.1:9"] }],
      extra: {
        workers: 1,
        performance: { shutdown_drain_timeout_ms: 2000 },
        control: { socket: join(folder, "control.sock"), watch: "off" },
        observability: { metrics: { enabled: false }, health: { address: "127.0.0.1", port: await freePort() } },
      },
    });
    writeFileSync(join(folder, "config"), proxy.configFile);
    return { folder, proxy, program };
  }

  async function scene() {
    const hosts = tempFolder("hosts");
    const targets = [await target("one", hosts), await target("two", hosts)];
    // What ssh and scp do, between two folders of this machine; nobody else is asked for a password.
    const env = {
      ...shims({
        // As ssh does it: words are put together with blanks, and a shell takes them apart. sudo may read what is meant for others.
        ssh: `host=${hosts}/$1; shift\nSPOOKY_BIN=$host/spooky SPOOKY_CONFIG=$(cat "$host/config") exec bash -c "$*"`,
        scp: `for to; do :; done\ncp "\${@:3:2}" "\${to#*:}"`,
        sudo: `cat > /dev/null\n[ "$1" = -n ] && shift\n[ "$1" = -u ] && shift 2\nexec "$@"`,
      }),
      ...{ SOAK_S: "0", STAGGER_S: "0" },
    };
    const deploy = async (program: string, ...more: readonly string[]) => {
      const work = tempFolder("archive with blanks");
      writeProgram(work, "spooky", program);
      chmodSync(join(work, "spooky"), 0o755);
      await run([
        "bash",
        "-c",
        `cd '${work}' && tar czf 'a b.tar.gz' spooky && sha256sum 'a b.tar.gz' > 'a b.tar.gz.sha256'`,
      ]);
      const script = join(PACKAGING, "scripts", "spooky-deploy.sh");
      return run([script, ...more, join(work, "a b.tar.gz"), "one", "two"], env);
    };
    return { targets, deploy };
  }

  const versions = (targets: readonly Target[]) =>
    targets.map(({ program }) => /# (\w+)/.exec(readFileSync(program, "utf8"))?.[1]);
  const generations = async (targets: readonly Target[]) =>
    Promise.all(
      targets.map(async ({ proxy }) => {
        const status = await run([...SOURCE, "status", "--json", "--config", proxy.configFile]);
        const { generation }: { generation: number } = JSON.parse(status.stdout);
        return generation;
      }),
    );

  test("goes from one to the next, and is refused by a program that cannot serve before anybody is hurt", async () => {
    const { targets, deploy } = await scene();
    expect(await deploy(PROGRAM("second"))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("deployment complete"),
    });
    expect([versions(targets), await generations(targets)]).toEqual([
      ["second", "second"],
      [2, 2],
    ]);
    // One that does not run on that machine at all, and one that does not serve there.
    expect((await deploy("#!/bin/bash\n# other\nexit 126\n")).code).toBe(1);
    expect(versions(targets)).toEqual(["second", "second"]);
    const refused = await deploy('#!/bin/bash\n# third\n[ "$1" = --version ] || exit 3\n');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("one keeps the program that it had") });
    expect(refused.stdout).not.toContain("deploying to two");
    expect([versions(targets), await generations(targets)]).toEqual([
      ["second", "second"],
      [2, 2],
    ]);
    for (const { proxy } of targets) expect((await proxy.stop()).code).toBe(0);
  });

  test("rolls the canary back when it is not ready, and leaves the others alone", async () => {
    const { targets, deploy } = await scene();
    const [canary] = targets;
    const { proxy } = must(canary, "there are two");
    // The next generation of it has a pool that nobody serves.
    const config = JSON.parse(readFileSync(proxy.configFile, "utf8"));
    config.upstream.web.backends[0].health_check = { interval: 20, timeout_ms: 20, failure_threshold: 1 };
    writeFileSync(proxy.configFile, JSON.stringify(config));
    // Whether it is ready is asked until it has found out: it believes in a backend before the first check of its health.
    const asks = `[ "$1" != healthcheck ] || for try in {1..200}; do ${SOURCE.join(" ")} "$@" >/dev/null 2>&1 || break; done`;
    const done = await deploy(PROGRAM("second").replace("exec", `${asks}\nexec`));
    expect(done).toMatchObject({ code: 1, stderr: expect.stringContaining("rolling back one") });
    expect(versions(targets)).toEqual(["first", "first"]);
    expect(await generations(targets)).toEqual([3, 1]);
  });
});
