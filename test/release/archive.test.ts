/** The tarballs that `scripts/release` made: what is in them, in which form, and what of the machine that made them is not. */
import { describe, expect, test } from "bun:test";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { must } from "../../src/core/assert.ts";
import { runProcess } from "../support/process.ts";
import { tempFolder } from "../support/temp.ts";
import { elfNeeds, embeddedElf, newestGlibc } from "./elf.ts";
import { packageVersion, projectFile, RELEASE_MISSING, releaseOf } from "./releases.ts";
import type { Release } from "./releases.ts";

const GLIBC_OLDEST = [2, 28] as const;
const MACHINES = { x86_64: 62, aarch64: 183 } as const;

/** A name in the library's table of symbols; in the program's text it stands between other signs. */
const LIBRARY_MARK = "\0spooky_build_hash\0";

/** Names in a listing of tar are padded, so the mode and the owner stand before the name. */
const CONTENTS = [
  "-rw-r--r-- 0/0 LICENSE",
  "-rw-r--r-- 0/0 THIRD-PARTY-LICENSES",
  "drwxr-xr-x 0/0 completions/",
  "-rw-r--r-- 0/0 completions/_spooky",
  "-rw-r--r-- 0/0 completions/spooky.bash",
  "-rw-r--r-- 0/0 completions/spooky.fish",
  "-rw-r--r-- 0/0 config.example.yaml",
  "drwxr-xr-x 0/0 man/",
  "-rw-r--r-- 0/0 man/spooky.1",
  "-rw-r--r-- 0/0 man/spooky.yaml.5",
  "drwxr-xr-x 0/0 packaging/",
  "drwxr-xr-x 0/0 packaging/ansible/",
  "-rw-r--r-- 0/0 packaging/ansible/deploy-spooky.yml",
  "drwxr-xr-x 0/0 packaging/ansible/templates/",
  "-rw-r--r-- 0/0 packaging/ansible/templates/spooky-config.yaml.j2",
  "drwxr-xr-x 0/0 packaging/apparmor/",
  "-rw-r--r-- 0/0 packaging/apparmor/usr.local.bin.spooky",
  "drwxr-xr-x 0/0 packaging/certbot/",
  "-rwxr-xr-x 0/0 packaging/certbot/spooky-reload.sh",
  "drwxr-xr-x 0/0 packaging/grafana/",
  "-rw-r--r-- 0/0 packaging/grafana/spooky.json",
  "drwxr-xr-x 0/0 packaging/limits/",
  "-rw-r--r-- 0/0 packaging/limits/spooky.conf",
  "drwxr-xr-x 0/0 packaging/logrotate/",
  "-rw-r--r-- 0/0 packaging/logrotate/spooky",
  "drwxr-xr-x 0/0 packaging/nftables/",
  "-rw-r--r-- 0/0 packaging/nftables/spooky.nft",
  "drwxr-xr-x 0/0 packaging/prometheus/",
  "-rw-r--r-- 0/0 packaging/prometheus/prometheus.yml",
  "-rw-r--r-- 0/0 packaging/prometheus/spooky-alerts.yml",
  "drwxr-xr-x 0/0 packaging/scripts/",
  "-rw-r--r-- 0/0 packaging/scripts/keepalived.conf",
  "-rwxr-xr-x 0/0 packaging/scripts/spooky-backup.sh",
  "-rwxr-xr-x 0/0 packaging/scripts/spooky-deploy.sh",
  "-rwxr-xr-x 0/0 packaging/scripts/spooky-healthcheck.sh",
  "-rwxr-xr-x 0/0 packaging/scripts/spooky-restore.sh",
  "drwxr-xr-x 0/0 packaging/sysctl/",
  "-rw-r--r-- 0/0 packaging/sysctl/99-spooky.conf",
  "drwxr-xr-x 0/0 packaging/systemd/",
  "-rw-r--r-- 0/0 packaging/systemd/spooky.service",
  "-rw-r--r-- 0/0 packaging/systemd/spooky@.service",
  "-rwxr-xr-x 0/0 spooky",
  "-rw-r--r-- 0/0 spooky.service",
];

for (const arch of ["x86_64", "aarch64"] as const) {
  const release = releaseOf(arch);
  const title = release === null ? `${arch}: ${RELEASE_MISSING}` : `the release for ${arch}`;
  const made = (): Release => must(release, "the group is skipped without one");
  describe.skipIf(release === null)(title, () => {
    testForm(made);
    testContent(made);
    testParts(made);
  });
}

/** Pages that tell an operator what to install. */
const PAGES = ["deployment", "health", "high-availability", "metrics", "reload", "runbooks", "systemd", "tuning"];

/** What Debian calls texts otherwise than SPDX does. */
const COMMON_NAMES: Readonly<Record<string, string>> = {
  "LGPL-2.0-only": "LGPL-2",
  "LGPL-2.1-only": "LGPL-2.1",
  "LGPL-2.1-or-later": "LGPL-2.1",
};

/** Those that ask for no text (IJG for one sentence), and those whose every package here brings its own. */
const NEEDS_NO_TEXT = ["0BSD", "blessing", "CC0-1.0", "IJG", "ISC", "Unlicense"];

/** The tarball as such. */
function testForm(made: () => Release): void {
  test("its checksum names the file alone and is the file's", async () => {
    const { folder, archive } = made();
    const place = tempFolder("release");
    for (const name of [archive, `${archive}.sha256`]) cpSync(join(folder, name), join(place, name));
    expect(readFileSync(join(place, `${archive}.sha256`), "utf8")).toMatch(new RegExp(`^[0-9a-f]{64}  ${archive}\n$`));
    const run = await runProcess({ command: ["sha256sum", "--strict", "-c", `${archive}.sha256`], cwd: place });
    expect(run).toMatchObject({ code: 0, stdout: `${archive}: OK` });
  });

  test("it holds these files, owned by nobody in particular, all of the commit's time", async () => {
    const { folder, archive } = made();
    const command = ["tar", "--numeric-owner", "--full-time", "-tvzf", join(folder, archive)];
    const { stdout } = await runProcess({ command, env: { TZ: "UTC", LC_ALL: "C" } });
    const entries = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/));
    const found = entries.map(([mode, owner, , , , name]) => `${mode} ${owner} ${name}`);
    expect(found).toEqual(CONTENTS);
    const { timestamp } = billOf(made()).metadata;
    const times = new Set(entries.map(([, , , day, time]) => `${day}T${time?.slice(0, 8)}.000Z`));
    expect([...times]).toEqual([timestamp]);
  });
}

/** What is in its files. */
function testContent(made: () => Release): void {
  test("nothing in the program tells where it was made", () => {
    const program = readFileSync(join(made().tree, "spooky"));
    const cargo = process.env["CARGO_HOME"] ?? join(homedir(), ".cargo");
    for (const path of [projectFile(""), `${homedir()}/.cache`, cargo, "/.cache/spooky/", "/.cargo/registry/"]) {
      expect([path, program.includes(path)]).toEqual([path, false]);
    }
  });

  test("program and library need no newer glibc than 2.28, and the library nothing else", () => {
    const { tree, arch } = made();
    const program = readFileSync(join(tree, "spooky"));
    const library = elfNeeds(program, embeddedElf(program, LIBRARY_MARK));
    for (const needs of [elfNeeds(program), library]) {
      expect(needs.machine).toBe(MACHINES[arch]);
      const [major, minor] = newestGlibc(needs);
      expect([major, minor <= GLIBC_OLDEST[1]]).toEqual([GLIBC_OLDEST[0], true]);
    }
    const loader = arch === "x86_64" ? "ld-linux-x86-64.so.2" : "ld-linux-aarch64.so.1";
    const known = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", loader];
    expect(library.libraries.filter((name) => !known.includes(name))).toEqual([]);
  });

  test("the example is a configuration that is valid", () => {
    const text = readFileSync(join(made().tree, "config.example.yaml"), "utf8");
    expect(loadConfig(text, "config.example.yaml")).toHaveProperty("snapshot");
  });

  test("what the pages say to install is in it", () => {
    for (const page of PAGES) {
      const text = readFileSync(projectFile(`docs/operations/${page}.md`), "utf8");
      const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = ""]) => block).join("");
      const named = blocks.match(/packaging\/[\w@./-]+/g) ?? [];
      for (const path of named) expect([page, path, existsSync(join(made().tree, path))]).toEqual([page, path, true]);
    }
  });
}

/** What it tells of works of others. */
function testParts(made: () => Release): void {
  test("licences are told of for all that is in it", () => {
    const text = readFileSync(join(made().tree, "THIRD-PARTY-LICENSES"), "utf8");
    for (const name of [
      "yaml",
      "quiche 0.30.0",
      "BoringSSL",
      "Bun 1.4.5",
      "JavaScriptCore",
      "Rust's standard library",
    ]) {
      expect(text).toContain(`  ${name}`);
    }
    expect(text).toContain("Apache License");
    expect(text).toContain("GNU LESSER GENERAL PUBLIC LICENSE");
  });

  test("each part comes with its name and the text of a licence under which it may be had", () => {
    const { tree } = made();
    const text = readFileSync(join(tree, "THIRD-PARTY-LICENSES"), "utf8");
    const bill = billOf(made());
    const texts = new Set([...NEEDS_NO_TEXT, ...Array.from(text.matchAll(/^The text of (.+)$/gm), ([, name]) => name)]);
    const covered = (expression: string): boolean =>
      expression
        .replaceAll(/[()]| WITH LLVM-exception/g, "")
        .split(/ OR /)
        .some((choice) => choice.split(" AND ").every((id) => texts.has(COMMON_NAMES[id] ?? id)));
    expect(bill.components.length).toBeGreaterThan(150);
    for (const { name, version, licenses } of bill.components) {
      expect(text).toContain(`\n  ${version === undefined ? name : `${name} ${version}`} `);
      const { expression } = must(licenses[0], "each part has a licence");
      expect([name, expression, covered(expression)]).toEqual([name, expression, true]);
    }
  });

  test("the bill of materials names parts once, uses none that it does not name, and has the program's checksum", () => {
    const { tree } = made();
    const bill = billOf(made());
    const { component } = bill.metadata;
    const refs = bill.components.map((part) => part["bom-ref"]);
    expect(new Set(refs).size).toBe(refs.length);
    const known = [...refs, component["bom-ref"]];
    for (const { ref, dependsOn } of bill.dependencies) {
      for (const named of [ref, ...(dependsOn ?? [])]) expect(known).toContain(named);
    }
    const sum = new Bun.CryptoHasher("sha256").update(readFileSync(join(tree, "spooky"))).digest("hex");
    expect(component.hashes).toEqual([{ alg: "SHA-256", content: sum }]);
    expect(component.version).toBe(packageVersion());
  });
}

function billOf({ folder, arch }: Release): Bill {
  return JSON.parse(readFileSync(join(folder, `spooky-linux-${arch}.cdx.json`), "utf8"));
}

interface Bill {
  readonly metadata: {
    readonly timestamp: string;
    readonly component: { readonly "bom-ref": string; readonly version: string; readonly hashes: readonly unknown[] };
  };
  readonly components: readonly {
    readonly "bom-ref": string;
    readonly name: string;
    readonly version?: string;
    readonly licenses: readonly { readonly expression: string }[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}
