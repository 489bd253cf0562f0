/** The playbook, played against a machine of its own (`scripts/systemd-root.sh`) from nothing to a node that serves, and with what is wrong. */
import { describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { testCertificate, testLeaf } from "../support/certs.ts";
import { type NetworkBackend, startPlacedBackend } from "../support/netns.ts";
import { runProcess } from "../support/process.ts";
import { binaryPath, hasRunner } from "../support/proxy.ts";
import { tempFolder, writeProgram, writeTemp } from "../support/temp.ts";
import { bootMachine, type Machine, MACHINE_MISSING, machineRoot } from "./machine.ts";

const PACKAGING = join(import.meta.dir, "..", "..", "packaging");
const named = process.env["SPOOKY_TEST_ANSIBLE"] || null;
const lack =
  MACHINE_MISSING ??
  (hasRunner("binary") ? null : "Ansible: dist/spooky is not built") ??
  (named === null
    ? "Ansible: it is not installed (scripts/operations.sh --ansible; SPOOKY_TEST_ANSIBLE names its folder)"
    : null) ??
  (existsSync(join(machineRoot ?? "", "usr", "bin", "python3"))
    ? null
    : "Ansible: the machine has no Python (scripts/systemd-root.sh makes one that has)");

/** What a play has come to, by its own sum. */
interface Played {
  readonly code: number | null;
  readonly output: string;
  readonly changed: number;
  readonly failed: number;
}

/** A machine with the program, its unit and its user, and no configuration; and what is played there. */
async function scene() {
  const machine = await bootMachine();
  const backend = await startPlacedBackend(machine.network);
  machine.copy(binaryPath(), "/usr/local/bin/spooky");
  machine.copy(join(PACKAGING, "systemd", "spooky.service"), "/etc/systemd/system/spooky.service");
  await machine.ran("useradd", "--system", "--shell", "/usr/sbin/nologin", "spooky");
  await machine.ran("install", "-d", "-m", "750", "-o", "root", "-g", "spooky", "/etc/spooky", "/etc/spooky/certs");
  await machine.ran("systemctl", "daemon-reload");
  const folder = tempFolder("ansible");
  const { certPem, keyPem } = await testCertificate();
  writeTemp(folder, "fullchain.pem", certPem);
  writeTemp(folder, "privkey.pem", keyPem);
  return { machine, folder, keyPem, play: playerOf(machine, folder, backend) };
}

/** Plays it by what Ansible takes for ssh: its last argument is the command for the other machine. */
function playerOf(machine: Machine, folder: string, backend: NetworkBackend) {
  const ssh = writeProgram(folder, "ssh", `#!/bin/bash\nexec ${machine.command("sh", "-c").join(" ")} "\${!#}"\n`);
  const vars = {
    ...{ ansible_connection: "ssh", ansible_user: "root", ansible_become: false, ansible_ssh_executable: ssh },
    ...{ ansible_ssh_transfer_method: "piped", ansible_python_interpreter: "/usr/bin/python3" },
    spooky_certificates: folder,
  };
  const inventory = writeTemp(folder, "inventory.json", JSON.stringify({ proxy_tier: { hosts: { node: {} }, vars } }));
  const address = backend.address.replace("http://", "");
  return async (
    values: { readonly prefix?: string; readonly port?: number },
    ...more: readonly string[]
  ): Promise<Played> => {
    const { prefix = "/", port = 443 } = values;
    const pools = [{ name: "web", prefix, health: "/small", backends: [{ id: "a", address }] }];
    writeFileSync(join(folder, "values.json"), JSON.stringify({ spooky_pools: pools, spooky_port: port }));
    const playbook = join(PACKAGING, "ansible", "deploy-spooky.yml");
    const command = [join(must(named, "it is there"), "ansible-playbook"), "-i", inventory, playbook];
    const env = {
      ANSIBLE_HOME: folder,
      ANSIBLE_SSH_ARGS: "",
      ANSIBLE_NOCOLOR: "1",
      PATH: `${named}:${process.env["PATH"]}`,
    };
    const given = ["--extra-vars", `@${join(folder, "values.json")}`];
    const { code, stdout, stderr } = await runProcess({ command: [...command, ...given, ...more], env });
    const sum = (name: string) => Number(new RegExp(`^node .*\\b${name}=(\\d+)`, "m").exec(stdout)?.[1]);
    return { code, output: `${stdout}\n${stderr}`, changed: sum("changed"), failed: sum("failed") };
  };
}

describe.skipIf(lack !== null)(lack ?? "the playbook", () => {
  test("brings a node from nothing to serving, changes nothing the second time, and leaves it be when something is wrong", async () => {
    const { machine, folder, keyPem, play } = await scene();
    const status = () => machine.ran("systemctl", "show", "spooky", "--property=ActiveState,StatusText");
    const serves = (generation: number) =>
      `ActiveState=active\nStatusText=generation ${generation} serves, workers: ${navigator.hardwareConcurrency}`;
    const rights = () => machine.ran("sh", "-c", "cd /etc/spooky && stat -c '%n %a %U:%G' config.yaml certs/*");

    expect(await play({}, "--check")).toMatchObject({ code: 0, changed: 4, failed: 0 });
    expect(await machine.ran("ls", "/etc/spooky/certs")).toBe("");
    expect(await play({})).toMatchObject({ code: 0, changed: 4, failed: 0 });
    expect((await status()).split("\n").toSorted().join("\n")).toBe(serves(1));
    expect(await rights()).toBe(
      "config.yaml 640 root:spooky\ncerts/fullchain.pem 644 root:spooky\ncerts/privkey.pem 640 root:spooky",
    );
    expect(await play({})).toMatchObject({ code: 0, changed: 0, failed: 0 });

    expect(await play({ prefix: "api" })).toMatchObject({
      ...{ code: 2, changed: 0, failed: 1, output: expect.stringContaining("does not begin with") },
    });
    writeTemp(folder, "privkey.pem", (await testLeaf({})).keyPem);
    const wrong = await play({});
    expect(wrong).toMatchObject({ code: 2, changed: 0, failed: 1 });
    expect(wrong.output).toContain("privkey.pem is not the key of fullchain.pem");
    expect(wrong.output).not.toContain("PRIVATE KEY");
    writeTemp(folder, "privkey.pem", keyPem);
    expect((await status()).split("\n").toSorted().join("\n")).toBe(serves(1));

    expect(await play({ prefix: "/api" })).toMatchObject({ code: 0, changed: 2, failed: 0 });
    expect((await status()).split("\n").toSorted().join("\n")).toBe(serves(2));

    // A reload that fails when the files are in place already: it is no success the next time either.
    await machine.ran("chmod", "700", "/etc/spooky");
    expect(await play({ prefix: "/other" })).toMatchObject({ code: 2, changed: 1, failed: 1 });
    expect(await play({ prefix: "/other" })).toMatchObject({ code: 2, changed: 0, failed: 1 });
    await machine.ran("chmod", "750", "/etc/spooky");
    expect(await play({ prefix: "/other" })).toMatchObject({ code: 0, changed: 1, failed: 0 });
    expect((await status()).split("\n").toSorted().join("\n")).toBe(serves(3));
  });
});
