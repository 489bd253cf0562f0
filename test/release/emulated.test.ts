/** The release for aarch64, under an emulator of that processor: it starts, looks at a configuration, and passes requests on. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, textOf } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { runProcess } from "../support/process.ts";
import { proxyConfig, startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import {
  arm64Libraries,
  EMULATED_ENV,
  packageVersion,
  QEMU_ARM64,
  QEMU_MISSING,
  RELEASE_MISSING,
  releaseOf,
} from "./releases.ts";

const release = releaseOf("aarch64");
const libraries = release === null ? null : arm64Libraries();
const missing =
  release === null
    ? `aarch64: ${RELEASE_MISSING}`
    : QEMU_ARM64 === null
      ? `aarch64: ${QEMU_MISSING}`
      : libraries === null
        ? "aarch64: the release's toolchain is not in the cache"
        : null;

/** Emulated, a start takes seconds. */
const PATIENCE_MS = 120_000;

function command(...args: readonly string[]): readonly string[] {
  const program = join(must(release, "the group is skipped without one").tree, "spooky");
  return [must(QEMU_ARM64, "found above"), "-L", must(libraries, "found above"), program, ...args];
}

/** How many parts of the program were taken as they had been parsed, and how many were parsed anew, as the runtime says. */
async function parsedParts(): Promise<readonly [number, number]> {
  const env = { ...EMULATED_ENV, BUN_JSC_verboseDiskCache: "1" };
  const { stdout, stderr } = await runProcess({ command: command("--version"), env });
  const count = (word: string): number => `${stdout}\n${stderr}`.split(`[Disk Cache] Cache ${word}`).length - 1;
  return [count("hit"), count("miss")];
}

describe.skipIf(missing !== null)(missing ?? "the release for aarch64 under an emulator", () => {
  test(
    "says what it is",
    async () => {
      const { code, stdout, stderr } = await runProcess({ command: command("--version"), env: EMULATED_ENV });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(
        new RegExp(`^spooky ${packageVersion()}\nquiche 0\\.30\\.0 \\(library [0-9a-f]{32}\\)\nbun `),
      );
      expect(stdout).toMatch(/\ncommit [0-9a-f]{12}\ntarget linux-arm64$/);
    },
    PATIENCE_MS,
  );

  test(
    "holds the program parsed, though another processor did that",
    async () => {
      const [hits, misses] = await parsedParts();
      expect(hits).toBeGreaterThan(5 * misses);
    },
    PATIENCE_MS,
  );

  test(
    "checks a configuration",
    async () => {
      const good = proxyConfig({ pools: [{ prefix: "/", backends: ["127.0.0.1:9"] }] }, await testCertificateFiles());
      const folder = tempFolder("emulated");
      const check = (text: string, name: string): ReturnType<typeof runProcess> =>
        runProcess({
          command: command("check", "--offline", "--config", writeTemp(folder, name, text)),
          env: EMULATED_ENV,
        });
      expect(await check(good, "good.yaml")).toMatchObject({ code: 0 });
      const bad = await check(good.replace('"upstream"', '"upstreams"'), "bad.yaml");
      expect(bad.code).toBe(2);
      expect(bad.stdout + bad.stderr).toContain("upstreams");
    },
    PATIENCE_MS,
  );

  const noClient = aioquicPython === null;
  test.skipIf(noClient)(
    noClient ? AIOQUIC_MISSING : "passes requests on, with bodies both ways",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startProxy({
        command: command(),
        pools: [{ prefix: "/", backends: [backend.address] }],
        env: EMULATED_ENV,
      });
      const connection = await runAioquicOnce({
        port: proxy.port,
        ca_file: proxy.certificate.caFile,
        steps: [
          { do: "request", id: "get", path: "/x" },
          { do: "request", id: "post", path: "/echo", body: { bytes: 300_000 } },
        ],
      });
      expect(exchangeOf(connection, "get")).toMatchObject({ status: 200, ended: true });
      expect(textOf(exchangeOf(connection, "get"))).toBe("http1 GET /x\n");
      expect(exchangeOf(connection, "post")).toMatchObject({ status: 200, body_bytes: 300_000 });
      expect(await proxy.stop()).toEqual({ code: 0, signal: null });
    },
    PATIENCE_MS,
  );
});
