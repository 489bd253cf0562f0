/** The service unit that is shipped, as systemd reads it. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runProcess } from "../support/process.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";

const UNIT = readFileSync(join(import.meta.dir, "..", "..", "packaging", "systemd", "spooky.service"), "utf8");
/** What `systemd-analyze security` gives at most; the guide's unit, with the same capability, has 2.0. */
const EXPOSURE_MAX = 2;
const has = Bun.which("systemd-analyze") !== null;

describe.skipIf(!has)(has ? "the service unit" : "systemd-analyze is not installed", () => {
  // The program need not be installed where this is tested.
  const unit = (text = UNIT): string =>
    writeTemp(tempFolder("unit"), "spooky.service", text.replaceAll("/usr/local/bin/spooky", "/bin/true"));

  test("has nothing that systemd does not know", async () => {
    const { code, stderr } = await runProcess({ command: ["systemd-analyze", "verify", "--man=no", unit()] });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const wrong = unit(UNIT.replace("NoNewPrivileges=", "NoNewPrivilege="));
    const { stderr: said } = await runProcess({ command: ["systemd-analyze", "verify", "--man=no", wrong] });
    expect(said).toContain("NoNewPrivilege");
  });

  test("exposes little", async () => {
    const { stdout } = await runProcess({ command: ["systemd-analyze", "security", "--offline=yes", unit()] });
    expect(Number(/exposure level for spooky\.service: ([\d.]+)/.exec(stdout)?.[1])).toBeLessThan(EXPOSURE_MAX);
  });
});
