/**
 * The release as somebody gets it, in roots of Debian that hold nothing of ours, no Bun, no Rust and no node: bullseye with its glibc 2.31,
 * bookworm, and bookworm for arm64 under an emulator. Tarball, checksum, version, the demo, a request by a client on the host.
 *
 * A root is entered by chroot in a mount namespace of its own; nothing else in it is started.
 */
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, textOf } from "../interop/aioquic.ts";
import { runProcess, startProcess } from "../support/process.ts";
import { listeningAddress } from "../support/proxy.ts";
import {
  cachedRoots,
  EMULATED_ENV,
  packageVersion,
  QEMU_ARM64,
  QEMU_MISSING,
  RELEASE_MISSING,
  releaseOf,
} from "./releases.ts";
import type { Arch, Release } from "./releases.ts";

const PATIENCE_MS = 300_000;
const EMULATOR = "/usr/bin/qemu-aarch64-static";
/** Where the tarball is put inside of a root. */
const PLACE = "/opt/spooky-release";

interface Stage {
  readonly name: string;
  readonly arch: Arch;
}

const STAGES: readonly Stage[] = [
  { name: "bullseye", arch: "x86_64" },
  { name: "bookworm", arch: "x86_64" },
  { name: "bookworm-arm64", arch: "aarch64" },
];

const roots = cachedRoots();

for (const { name, arch } of STAGES) {
  const release = releaseOf(arch);
  const missing = whatIsMissing(name, arch, release);
  describe.skipIf(missing !== null)(missing ?? `the release in an empty root of ${name}`, () => {
    test(
      "is unpacked, found to be whole, and answers over HTTP/3",
      async () => {
        const root = must(roots.get(name), "the group is skipped without one");
        const { folder, archive } = must(release, "the group is skipped without one");
        const inside = (...command: readonly string[]): readonly string[] => enter(root, arch, command);
        for (const program of ["bun", "node", "rustc", "cargo"])
          expect(existsSync(join(root, "usr/bin", program))).toBe(false);
        rmSync(join(root, PLACE), { recursive: true, force: true });
        mkdirSync(join(root, PLACE), { recursive: true });
        for (const file of [archive, `${archive}.sha256`]) copyFileSync(join(folder, file), join(root, PLACE, file));
        // Each by itself: an emulated program cannot start another.
        expect(await runProcess({ command: inside("/usr/bin/sha256sum", "-c", `${archive}.sha256`) })).toMatchObject({
          code: 0,
          stdout: `${archive}: OK`,
        });
        expect(await runProcess({ command: inside("/bin/gzip", "-d", archive) })).toMatchObject({ code: 0 });
        const tar = archive.replace(".gz", "");
        expect(await runProcess({ command: inside("/bin/tar", "xf", tar) })).toMatchObject({ code: 0, stderr: "" });
        const version = await runProcess({ command: inside("./spooky", "--version"), bareEnv: EMULATED_ENV });
        expect(version).toMatchObject({ code: 0, stderr: "" });
        expect(version.stdout).toStartWith(`spooky ${packageVersion()}\n`);
        // All is well with the example but that there is no certificate yet.
        const check = await runProcess({
          command: inside("./spooky", "check", "--offline", "--config", "config.example.yaml"),
          bareEnv: EMULATED_ENV,
        });
        expect(check.code).toBe(2);
        expect(check.stdout + check.stderr).toContain("/etc/spooky/certs/fullchain.pem");
        await askDemo(root, inside("./spooky", "demo", "--port", "0"));
        rmSync(join(root, PLACE), { recursive: true, force: true });
      },
      PATIENCE_MS,
    );
  });
}

/** The demo and one request to it; its authority's certificate is inside of the root. */
async function askDemo(root: string, command: readonly string[]): Promise<void> {
  const child = startProcess({ command, bareEnv: EMULATED_ENV });
  const { port } = await listeningAddress(child);
  const hint = await child.waitForLine((line) => line.includes("curl --http3-only"));
  const [, caFile = ""] = /--cacert (\S+) (\S+)$/.exec(hint) ?? [];
  const connection = await runAioquicOnce({
    port,
    ca_file: join(root, caFile),
    steps: [{ do: "request", id: "api", path: "/api/hello" }],
  });
  const exchange = exchangeOf(connection, "api");
  expect(exchange).toMatchObject({ status: 200, ended: true });
  expect(JSON.parse(textOf(exchange))).toMatchObject({ method: "GET", path: "/api/hello" });
  expect(await child.stop()).toEqual({ code: 0, signal: null });
}

/**
 * The command in the root, in the folder of the tarball. `exec` all along, so that the process's id is the program's. The emulator is
 * called by itself: that the kernel calls it for programs of that processor is not asked for.
 */
function enter(root: string, arch: Arch, command: readonly string[]): readonly string[] {
  const script = `mount -t proc proc "$1/proc"
    if [ -n "$2" ]; then : >>"$1${EMULATOR}"; mount --bind "$2" "$1${EMULATOR}"; fi
    root=$1; shift 2
    exec unshare --root="$root" --wd="${PLACE}" "$@"`;
  const emulated = arch === "aarch64";
  const parameters = [root, emulated ? must(QEMU_ARM64, "looked for beforehand") : "", ...(emulated ? [EMULATOR] : [])];
  return ["unshare", "--mount", "sh", "-ec", script, "sh", ...parameters, ...command];
}

function whatIsMissing(name: string, arch: Arch, release: Release | null): string | null {
  if (release === null) return `${name}: ${RELEASE_MISSING}`;
  if (!roots.has(name)) return `${name}: its root is not in the cache (./scripts/roots.sh makes it)`;
  if (process.getuid?.() !== 0) return `${name}: chroot needs root`;
  if (arch === "aarch64" && QEMU_ARM64 === null) return `${name}: ${QEMU_MISSING}`;
  return aioquicPython === null ? AIOQUIC_MISSING : null;
}
