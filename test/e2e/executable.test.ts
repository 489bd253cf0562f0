/** `dist/spooky` far from its sources: nothing in its environment, nowhere to write, traps in its folder. */
import { describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { runProcess, startProcess } from "../support/process.ts";
import type { RunningProcess } from "../support/process.ts";
import { hasRunner, listeningAddress, proxyConfig, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { stoppedLine } from "./log-lines.ts";
import { trustOf } from "./pairs.ts";

const BUILT = "dist/spooky is not built (./scripts/build makes it)";
const NAMESPACE_MISSING = "a private mount namespace: not root, or no unshare and mount here";
const built = hasRunner("binary");
const mounts = built && (await canMount());

describe.skipIf(!built)(built ? "the executable" : BUILT, () => {
  test("alone in a folder with an empty environment serves over every transport, and says how fast it was there", async () => {
    const { folder, program } = install();
    const [http1, h2, h3] = await Promise.all(
      (["http1", "h2", "h3"] as const).map((protocol) => startBackend({ protocol })),
    );
    const pools = [http1, h2, h3].map((backend) => ({
      prefix: `/${backend?.protocol}`,
      backends: [must(backend, "started").address],
      extra: trustOf(must(backend, "started").protocol),
    }));
    const config = writeTemp(folder, "config.yaml", proxyConfig({ pools }, await testCertificateFiles()));
    const started = performance.now();
    const child = startProcess({ command: [program, "--config", config], bareEnv: {}, cwd: folder });
    const { port } = await listeningAddress(child);
    console.log(`dist/spooky listens ${Math.round(performance.now() - started)} ms after its start`);
    for (const { protocol } of [http1, h2, h3].map((backend) => must(backend, "started"))) {
      expect(await get(port, `/${protocol}`)).toBe(`200 ${protocol} GET /${protocol}\n`);
    }
    expect(await stoppedLine(child)).toMatchObject({ code: 0, native_handles: 0 });
  });

  test("obeys no bunfig.toml, no .env, no package.json and no tsconfig.json of the folder where it is started", async () => {
    const { folder, program } = install();
    const trap = 'require("node:fs").writeFileSync("trapped", "");\nprocess.exit(99);\n';
    writeTemp(folder, "trap.js", trap);
    writeTemp(folder, "bunfig.toml", 'preload = ["./trap.js"]\n[run]\npreload = ["./trap.js"]\n');
    writeTemp(
      folder,
      ".env",
      "SPOOKY_NATIVE_LIBRARY=/nonexistent.so\nBUN_CONFIG_MAX_HTTP_REQUESTS=1\nBUN_OPTIONS=--preload=./trap.js\n",
    );
    writeTemp(folder, "package.json", '{ "main": "./trap.js", "imports": { "#x": "./trap.js" } }');
    writeTemp(folder, "tsconfig.json", '{ "compilerOptions": { "paths": { "*": ["./trap.js"] } } }');
    const child = await serve([program, "--config", join(folder, "config.yaml")], folder, folder);
    expect(await stoppedLine(child)).toMatchObject({ code: 0, native_handles: 0 });
    expect(existsSync(join(folder, "trapped"))).toBe(false);
    const version = await runProcess({ command: [program, "--version"], bareEnv: {}, cwd: folder });
    expect(version).toMatchObject({ code: 0, stderr: "" });
  });

  test.skipIf(!mounts)(
    mounts ? "needs no folder to write in: every temporary one read-only and noexec" : NAMESPACE_MISSING,
    async () => {
      const { folder } = install();
      // In a mount namespace of its own: the folder stays in sight where nothing else was, all places to write in are covered.
      const script = `set -e
        mount --bind "$1" /mnt
        mount -o remount,bind,ro /mnt
        for place in /tmp /var/tmp /dev/shm /run; do mount -t tmpfs -o ro,noexec none "$place"; done
        if [ -w /tmp ] || [ -w /mnt ]; then exit 97; fi
        cd /mnt
        exec env -i ./spooky --config /mnt/config.yaml`;
      const child = await serve(["unshare", "-m", "sh", "-c", script, "sh", folder], folder, "/mnt");
      expect(await stoppedLine(child)).toMatchObject({ code: 0, native_handles: 0 });
    },
  );
});

describe.skipIf(!built)(built ? "the cap on requests" : BUILT, () => {
  test.each(["auto", "off"] as const)(
    "with supervisor: %s the executable begins anew with what the operator has set, and with the largest where nothing is",
    async (supervisor) => {
      const { address } = await startBackend({ protocol: "http1" });
      const pools = [{ prefix: "/", backends: [address] }];
      for (const [given, had] of [
        ["300", "300"],
        [undefined, "65336"],
      ] as const) {
        const env = { BUN_CONFIG_MAX_HTTP_REQUESTS: given };
        const proxy = await startProxy({ runner: "binary", pools, supervisor, env });
        expect(environmentOf(proxy.process.pid)).toContain(`BUN_CONFIG_MAX_HTTP_REQUESTS=${had}`);
        expect(await proxy.stop()).toMatchObject({ code: 0 });
      }
    },
  );
});

/** A process's environment as the kernel has it since the last program began in it. */
function environmentOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
}

/** A copy of the executable in a folder of its own. */
function install(): { readonly folder: string; readonly program: string } {
  const folder = tempFolder("executable");
  const program = join(folder, "spooky");
  copyFileSync(must(runnerCommand("binary")[0], "the executable has a path"), program);
  chmodSync(program, 0o755);
  return { folder, program };
}

/** Starts it with the configuration in `folder`, which it sees as `seenAs`, and sees it serve. */
async function serve(command: readonly string[], folder: string, seenAs: string): Promise<RunningProcess> {
  const backend = await startBackend({ protocol: "http1" });
  const { certFile, keyFile, caFile } = await testCertificateFiles();
  copyFileSync(certFile, join(folder, "cert.pem"));
  copyFileSync(keyFile, join(folder, "key.pem"));
  copyFileSync(caFile, join(folder, "ca.pem"));
  const seen = { certFile: `${seenAs}/cert.pem`, keyFile: `${seenAs}/key.pem`, caFile: `${seenAs}/ca.pem` };
  writeTemp(folder, "config.yaml", proxyConfig({ pools: [{ prefix: "/", backends: [backend.address] }] }, seen));
  const child = startProcess({ command, bareEnv: { PATH: process.env["PATH"] ?? "" }, cwd: folder });
  const { port } = await listeningAddress(child);
  expect(await get(port, "/x")).toBe("200 http1 GET /x\n");
  return child;
}

async function get(port: number, path: string): Promise<string> {
  const response = await fetchHttp3(`https://127.0.0.1:${port}${path}`);
  return `${response.status} ${await response.text()}`;
}

async function canMount(): Promise<boolean> {
  if (Bun.which("unshare") === null || Bun.which("mount") === null || !existsSync("/mnt")) return false;
  const { code } = await runProcess({
    command: ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "ro,noexec", "none", "/mnt"],
  });
  return code === 0;
}
