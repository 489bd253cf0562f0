/** The Debian package in a Debian of its own: from a first install over an upgrade under load until nothing is left. No service manager runs there. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { openRoot, type OwnRoot } from "../support/own-root.ts";
import { runProcess } from "../support/process.ts";
import { binaryPath } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import {
  AS_SERVICE,
  CERTIFICATES,
  CONFIG,
  configure,
  dpkg,
  generation,
  OWNERSHIP,
  ownership,
  remains,
  serves,
} from "./installed.ts";
import { makePackage } from "./release-tree.ts";
import { startBackendIn, underRequest } from "./served.ts";
import { packageTool, rootsLack } from "./tools.ts";

const lack = rootsLack("nfpm", "root") ?? (aioquicPython === null ? AIOQUIC_MISSING : null);
const CANDIDATE = "0.9.0-rc.1";
const VERSION = "0.9.0";
const lintian = Bun.which("lintian");

describe.skipIf(lack !== null)(lack ?? "the Debian package", () => {
  const folder = tempFolder("deb");

  test("is the same whenever it is made, holds the executable as it was, and a candidate comes before its version", async () => {
    const [first, second, candidate] = [
      await makePackage(folder, { version: VERSION, format: "deb" }),
      await makePackage(join(folder, "again"), { version: VERSION, format: "deb" }),
      await makePackage(folder, { version: CANDIDATE, format: "deb" }),
    ];
    expect(sha256(second)).toBe(sha256(first));
    expect(readFileSync(`${first}.sha256`, "utf8")).toStartWith(sha256(first));
    const field = async (file: string) =>
      (await runProcess({ command: ["dpkg-deb", "--field", file, "Version"] })).stdout.trim();
    const versions = [await field(candidate), await field(first)] as const;
    expect(versions).toEqual(["0.9.0~rc.1-1", "0.9.0-1"]);
    const { code } = await runProcess({ command: ["dpkg", "--compare-versions", versions[0], "lt", versions[1]] });
    expect(code).toBe(0);
    const unpacked = join(folder, "unpacked");
    await runProcess({ command: ["dpkg-deb", "--extract", first, unpacked] });
    expect(sha256(join(unpacked, "usr/bin/spooky"))).toBe(sha256(binaryPath()));
    const unit = readFileSync(join(unpacked, "usr/lib/systemd/system/spooky.service"), "utf8");
    expect(unit).toContain("ExecStart=/usr/bin/spooky ");
    expect(unit).not.toContain("/usr/local");
  });

  test.skipIf(lintian === null)(
    lintian === null
      ? "lintian finds nothing that is not explained: it is not installed"
      : "lintian finds nothing that is not explained",
    async () => {
      const file = await makePackage(folder, { version: VERSION, format: "deb" });
      // Packages for tests are not compressed.
      const suppress = "--suppress-tags=uses-no-compression-for-data-tarball";
      const fails = [suppress, "--allow-root", "--fail-on=error,warning", "--display-level=>=warning"];
      const { code, stdout } = await runProcess({ command: [must(lintian, "it is there"), ...fails, file] });
      expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    },
  );

  test("installs, serves once it is configured, is upgraded under a request, and leaves what an administrator made", async () => {
    const root = await openRoot(must(packageTool("root"), "there is one"));
    await installs(root, await makePackage(folder, { version: CANDIDATE, format: "deb" }));
    const backend = await startBackendIn(root);
    await configure(root, backend.address);
    const edited = readFileSync(root.path(CONFIG), "utf8");
    const service = await serves(root);

    const next = await makePackage(folder, { version: VERSION, configuration: "# Another one.\n", format: "deb" });
    await underRequest(root, backend, () => upgrades(root, next));
    expect(readFileSync(root.path(CONFIG), "utf8")).toBe(edited);
    expect(readFileSync(root.path(`${CONFIG}.dpkg-dist`), "utf8")).toEndWith("# Another one.\n");

    root.signal(service, "SIGTERM");
    expect((await service.ended).code).toBe(0);
    await leaves(root, edited);
  });
});

describe.skipIf(lack !== null)(lack ?? "the Debian package on a system that has a past", () => {
  const folder = tempFolder("deb-past");

  test("takes the user and the group that are there, whichever is, with whatever group", async () => {
    const file = await makePackage(folder, { version: VERSION, format: "deb" });
    for (const past of ["groupadd --system spooky", "useradd --system --gid daemon spooky"]) {
      const root = await openRoot(must(packageTool("root"), "there is one"));
      expect((await root.run(past.split(" "))).code).toBe(0);
      expect(await dpkg(root, "--install", file)).toMatchObject({ code: 0 });
      expect(await ownership(root)).toEqual(OWNERSHIP);
    }
  });

  test("keeps keys to its user when its folder went away in between, and leaves rights alone that somebody gave", async () => {
    const root = await openRoot(must(packageTool("root"), "there is one"));
    const file = await makePackage(folder, { version: VERSION, format: "deb" });
    const there = async () => (await ownership(root)).filter((line) => line.startsWith("/etc"));
    await dpkg(root, "--install", file);
    await dpkg(root, "--remove", "spooky");
    await root.run(["rm", "-rf", "/etc/spooky"]);
    expect(await dpkg(root, "--install", file)).toMatchObject({ code: 0 });
    expect(await there()).toEqual(OWNERSHIP.slice(0, 2));
    expect(await dpkg(root, "--force-confmiss", "--install", file)).toMatchObject({ code: 0 });
    expect(await there()).toEqual(OWNERSHIP.slice(0, 3));
    await root.run(["chmod", "700", "/etc/spooky/certs"]);
    await root.run(["chown", "root:daemon", CONFIG]);
    expect(await dpkg(root, "--install", file)).toMatchObject({ code: 0 });
    expect(await there()).toEqual([
      "/etc/spooky root:spooky 750",
      "/etc/spooky/certs root:spooky 700",
      `${CONFIG} root:daemon 640`,
    ]);
  });

  test("goes on where it was interrupted, and back to the version before", async () => {
    const root = await openRoot(must(packageTool("root"), "there is one"));
    const [before, after] = [
      await makePackage(folder, { version: CANDIDATE, format: "deb" }),
      await makePackage(folder, { version: VERSION, format: "deb" }),
    ];
    for (const file of [before, after, before]) {
      expect(await dpkg(root, "--unpack", file)).toMatchObject({ code: 0 });
      // Twice: what has been done is not in the way.
      for (const { code } of [await dpkg(root, "--configure", "-a"), await dpkg(root, "--configure", "-a")])
        expect(code).toBe(0);
      expect(await dpkg(root, "--audit", "spooky")).toMatchObject({ code: 0, stdout: "" });
    }
    expect((await dpkg(root, "--status", "spooky")).stdout).toContain("\nVersion: 0.9.0~rc.1-1\n");
  });

  test("refuses to be installed into another root by scripts that run in this one", async () => {
    const root = await openRoot(must(packageTool("root"), "there is one"));
    const file = await makePackage(folder, { version: VERSION, format: "deb" });
    await root.run(["sh", "-c", "mkdir -p /other/var/lib && cp -R /var/lib/dpkg /other/var/lib/"]);
    const { code, stderr } = await dpkg(root, "--root=/other", "--force-script-chrootless", "--install", file);
    expect([code, stderr]).toEqual([1, expect.stringContaining("spooky: --force-script-chrootless is not for this")]);
    expect((await root.run(["getent", "passwd", "spooky"])).code).toBe(2);
  });
});

async function installs(root: OwnRoot, file: string): Promise<void> {
  const { code, stderr } = await dpkg(root, "--install", file);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^spooky: not started, since .* cannot be served yet\./),
  });
  expect((await root.run(["/usr/bin/spooky", "--version"])).stdout).toStartWith("spooky ");
  expect(await ownership(root)).toEqual(OWNERSHIP);
  expect(readdirSync(root.path("/etc/systemd/system/multi-user.target.wants"))).toContain("spooky.service");
  const { code: checked, stdout: findings } = await root.run([...AS_SERVICE, "check", "--offline"]);
  expect([checked, findings]).toEqual([2, expect.stringContaining("/etc/spooky/certs/fullchain.pem")]);
}

/** The running program goes over to the new one, as the package is upgraded. */
async function upgrades(root: OwnRoot, file: string): Promise<void> {
  expect(await generation(root)).toBe(1);
  const { code, stderr } = await dpkg(root, "--force-confdef", "--force-confold", "--install", file);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).not.toContain("the program before goes on");
  expect(await generation(root)).toBe(2);
}

/** After removal the configuration is still there, after purging only what the package did not bring: certificates and the user. */
async function leaves(root: OwnRoot, edited: string): Promise<void> {
  expect(await dpkg(root, "--remove", "spooky")).toMatchObject({ code: 0, stderr: "" });
  expect(existsSync(root.path("/usr/bin/spooky"))).toBe(false);
  expect(readFileSync(root.path(CONFIG), "utf8")).toBe(edited);
  expect(await dpkg(root, "--purge", "spooky")).toMatchObject({ code: 0 });
  expect(await remains(root)).toEqual(CERTIFICATES);
  expect((await root.run(["getent", "passwd", "spooky"])).code).toBe(0);
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
