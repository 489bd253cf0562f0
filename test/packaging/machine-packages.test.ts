/**
 * Both packages under a systemd that runs: what is enabled, what starts and when, an upgrade with requests under way, removal. The Debian package by
 * the machine's own dpkg; the RPM package by this machine's rpm, since its root is a Debian too, which has no dependencies for it.
 */
import { describe, expect, test } from "bun:test";
import { copyFileSync, rmSync } from "node:fs";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, startAioquic } from "../interop/aioquic.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { runProcess, startProcess } from "../support/process.ts";
import { tempFolder } from "../support/temp.ts";
import { CONFIG, OWNERSHIP } from "./installed.ts";
import { bootMachine, type Machine, MACHINE_MISSING, type Ran } from "./machine.ts";
import { makePackage } from "./release-tree.ts";
import { askOverHttp3, type BackendInside, startBackendIn, underRequest } from "./served.ts";
import { rootsLack } from "./tools.ts";

const lack = MACHINE_MISSING ?? rootsLack("nfpm") ?? (aioquicPython === null ? AIOQUIC_MISSING : null);
const lackRpm = lack ?? (Bun.which("rpm") === null ? "rpm is not installed (Debian has it as a package)" : null);
const [OLD, NEW] = ["0.8.0", "0.9.0"] as const;
const folder = tempFolder("packages");
/** Where rpm writes down what is installed: it looks through the link in /proc to the machine's root, so this folder is here and not in there. */
const database = tempFolder("rpm-database");

interface Bed {
  readonly machine: Machine;
  readonly backend: BackendInside;
}

const bed: Bed | null = lack === null ? await makeBed() : null;

async function makeBed(): Promise<Bed> {
  const machine = await bootMachine();
  return { machine, backend: await startBackendIn(machine) };
}

function here(): Bed {
  return must(bed, "a machine runs");
}

function systemctl(...words: readonly string[]): Promise<Ran> {
  return here().machine.run("systemctl", ...words);
}

async function shown(unit: string, ...names: readonly string[]): Promise<Record<string, string>> {
  const text = await here().machine.ran("systemctl", "show", unit, ...names.map((name) => `--property=${name}`));
  return Object.fromEntries(
    text.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

async function active(unit = "spooky"): Promise<string | undefined> {
  return (await shown(unit, "ActiveState"))["ActiveState"];
}

/** Empty when no unit has failed. */
async function failed(): Promise<string> {
  return (await here().machine.ran("systemctl", "list-units", "--failed", "--plain", "--no-legend")).trim();
}

const ENVIRONMENT = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/** What needrestart calls. */
const RENEW = "/etc/needrestart/restart.d/spooky.service";

/** Installs by the machine's own dpkg. */
async function dpkgInstalls(version: string): Promise<Ran> {
  const { machine } = here();
  const inside = "/var/tmp/package.deb";
  copyFileSync(await makePackage(folder, { version, format: "deb" }), machine.path(inside));
  const ran = await dpkg("--force-confdef", "--force-confold", "--install", inside);
  rmSync(machine.path(inside));
  return ran;
}

function dpkg(...options: readonly string[]): Promise<Ran> {
  return here().machine.run(...ENVIRONMENT, "DEBIAN_FRONTEND=noninteractive", "dpkg", ...options);
}

/** Installs, upgrades or erases by this machine's rpm, whose scripts run in there. */
async function rpm(verb: string, what: string): Promise<Ran> {
  const ran = await runProcess({ command: rpmCommand(verb, what), cwd: "/" });
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.stderr).not.toMatch(/error|scriptlet|the program before goes on/);
  return ran;
}

function rpmCommand(verb: string, what: string): readonly string[] {
  const { machine } = here();
  const options = [`--root=${machine.place}`, `--dbpath=${database}`, "--nodeps", verb, what];
  return machine.beside([...ENVIRONMENT, "rpm", ...options]);
}

/** A certificate that is served, and the backend's address, for the service and for an instance of the template beside it. */
async function configure(): Promise<void> {
  const { machine, backend } = here();
  const { certFile, keyFile } = await testCertificateFiles();
  machine.copy(certFile, "/etc/spooky/certs/fullchain.pem");
  machine.copy(keyFile, "/etc/spooky/certs/privkey.pem");
  await machine.ran("chgrp", "-R", "spooky", "/etc/spooky/certs");
  await machine.ran("chmod", "640", "/etc/spooky/certs/fullchain.pem", "/etc/spooky/certs/privkey.pem");
  const text = machine.read(CONFIG).replace("127.0.0.1:3000", backend.address);
  expect(text).toContain(backend.address);
  machine.write(CONFIG, text, 0o640);
  machine.write(
    "/etc/spooky/0.yaml",
    `${text.replace("port: 443", "port: 444")}observability: { metrics: { enabled: false }, health: { enabled: false } }\n`,
  );
}

async function ownership(): Promise<readonly string[]> {
  const paths = OWNERSHIP.map((line) => must(line.split(" ")[0], "it begins with a path"));
  return (await here().machine.ran("stat", "--format=%n %U:%G %a", ...paths)).split("\n");
}

/** What an upgrade must not change, and what it must. */
async function running(unit: string): Promise<Record<string, string>> {
  const state = await shown(unit, "MainPID", "NRestarts", "ActiveState", "StatusText");
  const exe = await here().machine.ran("stat", "-L", "-c", "%i", `/proc/${state["MainPID"]}/exe`);
  return { ...state, installed: String(exe === (await here().machine.ran("stat", "-c", "%i", "/usr/bin/spooky"))) };
}

/** Held by a request while `job` removes the package: that ends well, then nothing runs any more. */
async function removes(job: () => readonly string[]): Promise<void> {
  const { machine, backend } = here();
  const steps = [
    { do: "start", id: "held", path: "/hold" },
    { do: "wait_goaway" },
    { do: "say", text: "told" },
    { do: "wait" },
  ] as const;
  const client = startAioquic({ host: "127.0.0.1", port: 443, steps }, machine.network);
  await backend.holding(1);
  const removal = startProcess({ command: job(), cwd: "/" });
  await client.event("said", { text: "told" });
  expect((await machine.run("pgrep", "-x", "spooky")).code).toBe(0);
  await backend.release();
  expect(await removal.ended).toMatchObject({ code: 0 });
  const held = exchangeOf(must((await client.connections)[0], "one connection"), "held");
  expect(held).toMatchObject({ status: 200, ended: true });
  expect([await active(), await active("spooky@0")]).toEqual(["inactive", "inactive"]);
  expect((await machine.run("pgrep", "-x", "spooky")).code).toBe(1);
}

/** Right after another renewal, whose former workers have a request to finish: it waits for them, and restarts nothing. */
async function renewedBehindAnother(as: (generation: number) => Record<string, string>): Promise<void> {
  const { machine, backend } = here();
  const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }] as const;
  const client = startAioquic({ host: "127.0.0.1", port: 443, steps }, machine.network);
  await backend.holding(1);
  await machine.ran(...ENVIRONMENT, RENEW);
  const again = startProcess({ command: machine.command(...ENVIRONMENT, RENEW), cwd: "/" });
  await again.waitForLine((line) => line.includes("generation 4 still finishes"));
  await backend.release();
  expect(await again.ended).toMatchObject({ code: 0 });
  expect(await running("spooky")).toEqual(as(6));
  const held = exchangeOf(must((await client.connections)[0], "one connection"), "held");
  expect(held).toMatchObject({ status: 200, ended: true });
}

/** All that is there by the program's name, but for what an administrator has put into its folder. */
async function remains(): Promise<readonly string[]> {
  const left = await here().machine.ran("find", "/etc", "/usr", "/var", "/run", "-xdev", "-name", "*spooky*");
  return left.split("\n").filter((path) => path !== "/etc/spooky");
}

/** What a boot does with what is enabled: all that the target wants is started, unless it runs. */
async function bootAgain(): Promise<void> {
  await here().machine.ran("systemctl", "isolate", "multi-user.target");
}

/** The service is upgraded, and an instance beside it, and nobody who is served notices. */
async function upgrades(job: () => Promise<Ran>): Promise<void> {
  const { machine, backend } = here();
  const before = [await running("spooky"), await running("spooky@0")] as const;
  await underRequest(machine, backend, async () => {
    const { code, stderr } = await job();
    expect([code, stderr]).toEqual([0, expect.not.stringContaining("goes on")]);
    const after = [await running("spooky"), await running("spooky@0")] as const;
    for (const [index, now] of after.entries())
      expect(now).toEqual({
        ...must(before[index], "it ran"),
        StatusText: expect.stringContaining("generation 2 serves"),
        installed: "true",
      });
    expect(await askOverHttp3(machine, "/new")).toBe("200 backend GET /new");
    expect(await askOverHttp3(machine, "/new", 444)).toBe("200 backend GET /new");
  });
}

describe.skipIf(lack !== null)(lack ?? "the Debian package under systemd", () => {
  test("is enabled and not started, and neither a start nor a boot fails before it is configured", async () => {
    const { machine } = here();
    const before = await failed();
    const { code, stderr } = await dpkgInstalls(OLD);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/^spooky: not started, since .* cannot be served yet\./m),
    ]);
    expect((await systemctl("is-enabled", "spooky")).stdout).toBe("enabled");
    expect(await ownership()).toEqual(OWNERSHIP);
    for (const unit of ["spooky.service", "spooky@0.service"])
      expect(await machine.run("systemd-analyze", "verify", "--man=no", unit)).toMatchObject({
        code: 0,
        stdout: "",
        stderr: "",
      });
    expect(await active()).toBe("inactive");
    await bootAgain();
    expect(await shown("spooky", "ActiveState", "Result")).toEqual({
      ActiveState: "inactive",
      Result: "exec-condition",
    });
    expect(await systemctl("start", "spooky")).toMatchObject({ code: 0 });
    expect([await active(), await failed()]).toEqual(["inactive", before]);
    expect(await machine.ran("journalctl", "--unit=spooky", "--output=cat", "--no-pager")).toContain(
      "not configured yet: see spooky check",
    );
  });

  test("fails as any service once somebody has configured it wrongly, and serves once it is right", async () => {
    const { machine } = here();
    const shipped = machine.read(CONFIG);
    machine.write(CONFIG, `${shipped}# Edited, and still without a certificate.\n`, 0o640);
    expect((await systemctl("start", "spooky")).code).toBe(1);
    await systemctl("stop", "spooky");
    await systemctl("reset-failed", "spooky");
    machine.write(CONFIG, shipped, 0o640);
    await configure();
    await bootAgain();
    expect(await systemctl("start", "spooky", "spooky@0")).toMatchObject({ code: 0, stderr: "" });
    expect(await askOverHttp3(machine, "/before")).toBe("200 backend GET /before");
    expect(await askOverHttp3(machine, "/before", 444)).toBe("200 backend GET /before");
  });

  test("is upgraded, and goes back, in place: the main process stays, nothing that is under way is lost", async () => {
    await upgrades(() => dpkgInstalls(NEW));
    const { machine } = here();
    expect(await machine.ran("spooky", "--version")).toStartWith("spooky ");
    const { code, stderr } = await dpkgInstalls(OLD);
    expect([code, stderr]).toEqual([0, expect.not.stringContaining("goes on")]);
    expect(await running("spooky")).toMatchObject({
      StatusText: expect.stringContaining("generation 3 serves"),
      installed: "true",
    });
    expect(await askOverHttp3(machine, "/back")).toBe("200 backend GET /back");
  });
});

describe.skipIf(lack !== null)(lack ?? "the Debian package under systemd, later", () => {
  test("renews itself where needrestart would restart it, and is restarted where it cannot", async () => {
    const { machine } = here();
    const renew = () => machine.ran(...ENVIRONMENT, RENEW);
    const before = await running("spooky");
    const as = (generation: number) => ({
      ...before,
      StatusText: expect.stringContaining(`generation ${generation} serves`),
    });
    await renew();
    expect(await running("spooky")).toEqual(as(4));
    await renewedBehindAnother(as);
    await systemctl("stop", "spooky");
    await renew();
    expect(await running("spooky")).toMatchObject({ StatusText: expect.stringContaining("generation 1 serves") });
  });

  test("replaces nothing where the machine's policy forbids restarts, and says how it is done later", async () => {
    const { machine } = here();
    machine.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755);
    const before = await running("spooky");
    const { code, stderr } = await dpkgInstalls(NEW);
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining("spooky upgrade --config /etc/spooky/config.yaml replaces it"),
    ]);
    expect(await running("spooky")).toEqual({ ...before, installed: "false" });
    rmSync(machine.path("/usr/sbin/policy-rc.d"));
    expect(await askOverHttp3(machine, "/before")).toBe("200 backend GET /before");
  });

  test("keeps what an administrator has decided: a service that is stopped, disabled or masked stays so", async () => {
    expect(await systemctl("stop", "spooky")).toMatchObject({ code: 0 });
    expect((await dpkgInstalls(NEW)).code).toBe(0);
    expect(await active()).toBe("inactive");
    expect((await systemctl("is-enabled", "spooky")).stdout).toBe("enabled");
    await systemctl("disable", "spooky");
    expect((await dpkgInstalls(OLD)).code).toBe(0);
    expect((await systemctl("is-enabled", "spooky")).stdout).toBe("disabled");
    await systemctl("mask", "spooky");
    expect((await dpkgInstalls(NEW)).code).toBe(0);
    expect([(await systemctl("is-enabled", "spooky")).stdout, await active()]).toEqual(["masked", "inactive"]);
    await systemctl("unmask", "spooky");
    expect(await systemctl("enable", "--now", "spooky")).toMatchObject({ code: 0 });
  });

  test("is removed when what runs is over, and starts when it is installed again", async () => {
    const { machine } = here();
    await removes(() => machine.command(...ENVIRONMENT, "dpkg", "--remove", "spooky"));
    expect((await dpkgInstalls(NEW)).code).toBe(0);
    expect(await active()).toBe("active");
    expect(await askOverHttp3(machine, "/again")).toBe("200 backend GET /again");
  });

  test("leaves nothing of its own when it is purged", async () => {
    const before = await failed();
    expect((await dpkg("--purge", "spooky")).code).toBe(0);
    expect(await shown("spooky", "LoadState", "ActiveState")).toEqual({
      LoadState: "not-found",
      ActiveState: "inactive",
    });
    expect(await remains()).toEqual([]);
    expect(await failed()).toBe(before);
  });
});

describe.skipIf(lackRpm !== null)(lackRpm ?? "the RPM package under systemd", () => {
  test("is enabled as presets say, here as on Fedora not, and starts nothing by itself", async () => {
    const { machine } = here();
    // What no package has brought, and the purge before has left.
    await machine.ran("rm", "-rf", "/etc/spooky");
    machine.write("/etc/systemd/system-preset/10-as-on-fedora.preset", "disable *\n");
    await rpm("--install", await makePackage(folder, { version: OLD, format: "rpm" }));
    expect([(await systemctl("is-enabled", "spooky")).stdout, await active()]).toEqual(["disabled", "inactive"]);
    expect(await ownership()).toEqual(OWNERSHIP);
    expect(await systemctl("enable", "--now", "spooky")).toMatchObject({ code: 0 });
    expect(await shown("spooky", "ActiveState", "Result")).toMatchObject({
      ActiveState: "inactive",
      Result: "exec-condition",
    });
  });

  test("serves once it is configured, and is upgraded in place", async () => {
    await configure();
    expect(await systemctl("start", "spooky", "spooky@0")).toMatchObject({ code: 0, stderr: "" });
    await upgrades(async () => rpm("--upgrade", await makePackage(folder, { version: NEW, format: "rpm" })));
  });

  test("is erased when what runs is over, and leaves the configuration that was edited", async () => {
    await removes(() => rpmCommand("--erase", "spooky"));
    expect(await shown("spooky", "LoadState")).toEqual({ LoadState: "not-found" });
    expect(await remains()).toEqual([]);
    expect(here().machine.read(`${CONFIG}.rpmsave`)).toContain(here().backend.address);
  });
});
