/** The service units that are shipped, as systemd reads them, and what is said of their lines. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runProcess } from "../support/process.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";

const ROOT = join(import.meta.dir, "..", "..");
const read = (...path: readonly string[]): string => readFileSync(join(ROOT, ...path), "utf8");
const UNITS = {
  "spooky.service": read("packaging", "systemd", "spooky.service"),
  "spooky@.service": read("packaging", "systemd", "spooky@.service"),
} as const;
const PAGE = read("docs", "operations", "systemd.md");
/** What `systemd-analyze security` gives at most; the guide's unit, with the same capability, has 2.0. */
const EXPOSURE_MAX = 1.8;
const has = Bun.which("systemd-analyze") !== null;

/** Lines that set something. */
function settings(text: string): readonly string[] {
  return text.split("\n").filter((line) => /^[A-Z]\w+=/.test(line));
}

describe.skipIf(!has).each(Object.entries(UNITS))(has ? "%s" : "systemd-analyze is not installed: %s", (name, text) => {
  // The program need not be installed where this is tested; a template is looked at as an instance.
  const place = name.replace("@", "@0-1");
  const unit = (changed = text): string =>
    writeTemp(
      tempFolder("unit"),
      place,
      changed.replaceAll("/usr/local/bin/spooky", "/bin/true").replaceAll("%i", "0-1"),
    );

  test("has nothing that systemd does not know", async () => {
    const { code, stderr } = await runProcess({ command: ["systemd-analyze", "verify", "--man=no", unit()] });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const wrong = unit(text.replace("NoNewPrivileges=", "NoNewPrivilege="));
    const { stderr: said } = await runProcess({ command: ["systemd-analyze", "verify", "--man=no", wrong] });
    expect(said).toContain("NoNewPrivilege");
  });

  test("exposes little", async () => {
    const { stdout } = await runProcess({ command: ["systemd-analyze", "security", "--offline=yes", unit()] });
    expect(Number(/exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1])).toBeLessThan(EXPOSURE_MAX);
  });
});

/** Of the deployment guide's unit, all but what the page gives a reason for: `Type=simple` and `ReadWritePaths=`. */
const GUIDES = `User=spooky Group=spooky Restart=always RestartSec=5s StartLimitBurst=3 StartLimitIntervalSec=60s
LimitNOFILE=1048576 LimitNPROC=16384 TasksMax=16384 NoNewPrivileges=true PrivateTmp=true ProtectSystem=strict ProtectHome=true
ProtectKernelTunables=true ProtectKernelModules=true ProtectKernelLogs=true ProtectControlGroups=true ProtectProc=invisible
ProcSubset=pid RestrictNamespaces=true RestrictRealtime=true RestrictSUIDSGID=true LockPersonality=true
SystemCallArchitectures=native SystemCallFilter=@system-service StandardOutput=journal StandardError=journal`.split(
  /\s+/,
);
const GUIDES_WITH_BLANKS = [
  "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
  "SystemCallFilter=~@privileged @resources",
  "After=network-online.target",
];

describe("the units", () => {
  test.each(Object.entries(UNITS))("of %s each line of the deployment guide's is kept", (_, text) => {
    expect([...GUIDES, ...GUIDES_WITH_BLANKS].filter((line) => !settings(text).includes(line))).toEqual([]);
  });

  test.each(Object.entries(UNITS))("of %s every setting is in the documents", (_, text) => {
    const names = settings(text).map((line) => line.slice(0, line.indexOf("=")));
    expect(names.length).toBeGreaterThan(40);
    expect(names.filter((name) => !PAGE.includes(`\`${name}=`))).toEqual([]);
  });

  test("are the same but for the instance", () => {
    const [one, template] = Object.values(UNITS).map(settings);
    const only = template?.filter((line) => !one?.includes(line)) ?? [];
    expect(only.filter((line) => !line.includes("%i"))).toEqual([]);
    const missing = one?.filter((line) => !template?.includes(line)) ?? [];
    const names = missing.map((line) => line.slice(0, line.indexOf("=")));
    expect(only.map((line) => line.slice(0, line.indexOf("="))).filter((name) => name !== "CPUAffinity")).toEqual(
      names,
    );
  });
});
