/**
 * The RPM package by Debian's rpm, in a root of its own: files, owners, scripts, an upgrade under load, removal. The root is Debian's, so what the
 * package depends on is not looked for there, and it was installed on no Fedora.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { openRoot, type OwnRoot } from "../support/own-root.ts";
import { runProcess } from "../support/process.ts";
import { tempFolder } from "../support/temp.ts";
import { CERTIFICATES, CONFIG, configure, generation, OWNERSHIP, ownership, remains, serves } from "./installed.ts";
import { makePackage } from "./release-tree.ts";
import { startBackendIn, underRequest } from "./served.ts";
import { packageTool, rootsLack } from "./tools.ts";

const RPM_MISSING = "rpm is not installed (Debian has it as a package)";
const lack =
  (Bun.which("rpm") === null ? RPM_MISSING : null) ??
  rootsLack("nfpm", "root") ??
  (aioquicPython === null ? AIOQUIC_MISSING : null);
const CANDIDATE = "0.9.0-rc.1";
const VERSION = "0.9.0";
const rpmlint = Bun.which("rpmlint");
const RPMLINT_SETTINGS = join(import.meta.dir, "..", "..", "packaging", "rpm", "rpmlint.toml");

test.skip("dnf installs it on Fedora, with SELinux: Debian's dnf and rinse make such a root from Fedora's servers, which tests do not reach", () =>
  undefined);

describe.skipIf(lack !== null)(lack ?? "the RPM package", () => {
  const folder = tempFolder("rpm");

  test("says what it needs, keeps configurations, and a candidate comes before its version", async () => {
    const [file, candidate] = [
      await makePackage(folder, { version: VERSION, format: "rpm" }),
      await makePackage(folder, { version: CANDIDATE, format: "rpm" }),
    ];
    expect((await rpm("--query", "--package", "--requires", file)).stdout.split("\n")).toContain(
      "libc.so.6(GLIBC_2.28)(64bit)",
    );
    expect((await rpm("--query", "--package", "--configfiles", file)).stdout).toContain(CONFIG);
    // Whoever unpacks it without RPM, such as rpmlint, unpacks it where he is and not over his system.
    const { stdout: names } = await runProcess({
      command: ["sh", "-c", `rpm2cpio "$1" | cpio --list --quiet`, "sh", file],
    });
    expect(names.split("\n")).toContain("./usr/bin/spooky");
    expect(names.split("\n").filter((name) => !name.startsWith("./"))).toEqual([]);
    const versions = (await rpm("--query", "--package", "--queryformat=%{VERSION}-%{RELEASE} ", candidate, file))
      .stdout;
    expect(versions.trim().split(" ")).toEqual(["0.9.0~rc.1-1", "0.9.0-1"]);
    expect((await rpm("--eval", '%{lua:print(rpm.vercmp("0.9.0~rc.1", "0.9.0"))}')).stdout).toBe("-1");
  });

  test.skipIf(rpmlint === null)(
    rpmlint === null
      ? "rpmlint finds nothing that is not explained: it is not installed"
      : "rpmlint finds nothing that is not explained",
    async () => {
      const file = await makePackage(folder, { version: VERSION, format: "rpm" });
      const { code, stdout } = await runProcess({
        command: [must(rpmlint, "it is there"), "--config", RPMLINT_SETTINGS, file],
      });
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(" 0 errors, 0 warnings") });
    },
  );
});

describe.skipIf(lack !== null)(lack ?? "the RPM package, installed", () => {
  const folder = tempFolder("rpm-installed");

  test("takes the user and the group that are there, whichever is, with whatever group", async () => {
    const file = await makePackage(folder, { version: VERSION, format: "rpm" });
    for (const past of ["groupadd --system spooky", "useradd --system --gid daemon spooky"]) {
      const root = await openRoot(must(packageTool("root"), "there is one"));
      expect((await root.run(past.split(" "))).code).toBe(0);
      await change(root, "--install", file);
      expect(await ownership(root)).toEqual(OWNERSHIP);
    }
  });

  test("installs, is upgraded under a request, keeps an edited configuration, and leaves what an administrator made", async () => {
    const root = await openRoot(must(packageTool("root"), "there is one"));
    await change(root, "--install", await makePackage(folder, { version: CANDIDATE, format: "rpm" }));
    expect(await ownership(root)).toEqual(OWNERSHIP);
    const backend = await startBackendIn(root);
    await configure(root, backend.address);
    const edited = readFileSync(root.path(CONFIG), "utf8");
    const service = await serves(root);

    const next = await makePackage(folder, { version: VERSION, configuration: "# Another one.\n", format: "rpm" });
    await underRequest(root, backend, async () => {
      expect(await generation(root)).toBe(1);
      await change(root, "--upgrade", next);
      expect(await generation(root)).toBe(2);
    });
    expect(readFileSync(root.path(CONFIG), "utf8")).toBe(edited);
    expect(readFileSync(root.path(`${CONFIG}.rpmnew`), "utf8")).toEndWith("# Another one.\n");

    root.signal(service, "SIGTERM");
    expect((await service.ended).code).toBe(0);
    await change(root, "--erase", "spooky");
    const kept = [`${CONFIG}.rpmnew`, `${CONFIG}.rpmsave`];
    expect(await remains(root)).toEqual([...CERTIFICATES, ...kept].sort());
    expect(readFileSync(root.path(`${CONFIG}.rpmsave`), "utf8")).toBe(edited);
  });
});

/** Its scripts run in the root; what other packages give is not looked for. */
async function change(root: OwnRoot, verb: string, what: string): Promise<void> {
  const options = [`--root=${root.place}`, "--dbpath=/var/lib/rpm", "--nodeps", verb, what];
  const { code, stderr } = await runProcess({ command: root.beside(["rpm", ...options]) });
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).not.toMatch(/error|scriptlet|the program before goes on/);
}

function rpm(...options: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return runProcess({ command: ["rpm", ...options] });
}
