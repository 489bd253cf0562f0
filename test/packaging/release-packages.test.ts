/**
 * The Debian packages that `./scripts/release` and `./scripts/package` have made, as they lie in dist/release: installed, upgraded while clients are
 * served, removed and purged. That for aarch64 in a root of arm64 whose programs an emulator runs, dpkg and the package's scripts among them.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { type Arch, cachedRoots, packageVersion, QEMU_ARM64, QEMU_MISSING, releaseOf } from "../release/releases.ts";
import { openRoot, type OwnRoot, whyNoEmulation } from "../support/own-root.ts";
import { tempFolder } from "../support/temp.ts";
import { CERTIFICATES, configure, dpkg, generation, OWNERSHIP, ownership, remains, serves } from "./installed.ts";
import { makePackage } from "./release-tree.ts";
import { startBackendIn, underRequest } from "./served.ts";
import { rootsLack } from "./tools.ts";

/** Emulated, a start takes seconds, and unpacking too. */
const PATIENCE_MS = 300_000;
const NEXT = "9999.0.0";
const TARGETS = { x86_64: "amd64", aarch64: "arm64" } as const;
const noEmulation = process.arch === "arm64" ? null : await whyNoEmulation();

/** Where each is installed: the oldest Debian of which there is a root, and the one that packages are made for. */
const STAGES = [
  { arch: "x86_64", debian: "bullseye" },
  { arch: "x86_64", debian: "bookworm" },
  { arch: "aarch64", debian: "bookworm" },
] as const;

for (const { arch, debian } of STAGES) {
  const missing = whatIsMissing(arch, debian);
  describe.skipIf(missing !== null)(missing ?? `the Debian package of the release for ${arch}, on ${debian}`, () => {
    test(
      "installs, serves, is upgraded under a request, and goes",
      async () => {
        const root = await openRoot(must(lowerOf(arch, debian), "there is one"), emulatorOf(arch));
        // What tests of the release itself have unpacked there.
        await root.run(["rm", "-rf", "/opt/spooky-release"]);
        if (isForeign(arch)) await beginUsers(root);
        expect(await installs(root, arch, packageOf(arch))).toMatchObject({ code: 0 });
        expect(await ownership(root)).toEqual(OWNERSHIP);
        const { stdout } = await root.run(["/usr/bin/spooky", "--version"]);
        expect(stdout).toStartWith(`spooky ${packageVersion()}\n`);
        expect(stdout).toEndWith(`\ntarget linux-${arch === "x86_64" ? "x64" : "arm64"}`);
        const backend = await startBackendIn(root);
        await configure(root, backend.address);
        const service = await serves(root);
        const { tree } = must(releaseOf(arch), "there is one");
        const next = await makePackage(tempFolder("next"), { version: NEXT, format: "deb", release: { arch, tree } });
        await underRequest(root, backend, async () => {
          const { code, stderr } = await installs(root, arch, next);
          // The emulator has no way to steer datagrams, so the program serves alone there, and cannot be upgraded. It says so and goes on.
          const [stays, serving] = isForeign(arch) ? [true, 1] : [false, 2];
          expect([code, stderr.includes("the program before goes on")]).toEqual([0, stays]);
          expect(await generation(root)).toBe(serving);
        });
        root.signal(service, "SIGTERM");
        expect((await service.ended).code).toBe(0);
        expect(await dpkg(root, "--purge", "spooky")).toMatchObject({ code: 0 });
        expect(await remains(root)).toEqual(CERTIFICATES);
      },
      PATIENCE_MS,
    );
  });
}

function isForeign(arch: Arch): boolean {
  return arch === "aarch64" && process.arch !== "arm64";
}

function emulatorOf(arch: Arch): { readonly emulator?: string } {
  return isForeign(arch) ? { emulator: must(QEMU_ARM64, "it is there") } : {};
}

/** A root of arm64 is unpacked and not configured, so its package manager knows of nothing that is there. */
function installs(root: OwnRoot, arch: Arch, file: string): ReturnType<typeof dpkg> {
  return dpkg(root, ...(isForeign(arch) ? ["--force-depends"] : []), "--force-confold", "--install", file);
}

/** What a package would have made that was not configured. */
async function beginUsers(root: OwnRoot): Promise<void> {
  for (const name of ["passwd", "group"])
    expect((await root.run(["cp", `/usr/share/base-passwd/${name}.master`, `/etc/${name}`])).code).toBe(0);
}

function lowerOf(arch: Arch, debian: string): string | null {
  return cachedRoots().get(isForeign(arch) ? `${debian}-arm64` : debian) ?? null;
}

function packageOf(arch: Arch): string {
  const { folder } = must(releaseOf(arch), "there is one");
  return join(folder, `spooky_${packageVersion()}-1_${TARGETS[arch]}.deb`);
}

function whatIsMissing(arch: Arch, debian: string): string | null {
  const name = `the package of the release for ${arch}, on ${debian}`;
  if (releaseOf(arch) === null || !existsSync(packageOf(arch)))
    return `${name}: none of this source was made (./scripts/release, then ./scripts/package)`;
  if (isForeign(arch) && QEMU_ARM64 === null) return `${name}: ${QEMU_MISSING}`;
  if (isForeign(arch) && noEmulation !== null) return `${name}: ${noEmulation}`;
  if (lowerOf(arch, debian) === null) return `${name}: no such root (./scripts/roots.sh makes it)`;
  return rootsLack("nfpm") ?? (aioquicPython === null ? AIOQUIC_MISSING : null);
}
