import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countTests } from "../../../scripts/junit.ts";

describe("countTests", () => {
  test("counts what Bun's own reporter writes", () => {
    const folder = mkdtempSync(join(tmpdir(), "spooky-junit-"));
    try {
      writeFileSync(
        join(folder, "a.test.ts"),
        `import { describe, expect, test } from "bun:test";
         describe('group "one" <&>', () => {
           test("passes", () => {});
           test("fails <b> /> </testcase>", () => { expect("a </testcase> <skipped />").toBe("b"); });
           test.skip("skipped", () => {});
           test.todo("planned");
         });
         test("alone", () => {});`,
      );
      const report = join(folder, "report.xml");
      const run = Bun.spawnSync([process.execPath, "test", "--reporter=junit", `--reporter-outfile=${report}`], {
        cwd: folder,
      });
      expect(run.exitCode).toBe(1);
      expect(countTests(readFileSync(report, "utf8"))).toEqual({
        passed: 2,
        failed: ['a.test.ts: group "one" <&> > fails <b> /> </testcase>'],
        skipped: ['a.test.ts: group "one" <&> > skipped', 'a.test.ts: group "one" <&> > planned'],
        files: new Set(["a.test.ts"]),
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("an error counts as a failure, and a failing test counts once", () => {
    const xml =
      '<testcase name="a" file="f"><failure>1</failure><failure>2</failure></testcase><testcase name="b" file="f"><error message="1"/></testcase>';
    expect(countTests(xml)).toMatchObject({ passed: 0, failed: ["f: a", "f: b"] });
  });

  test("an empty report counts nothing", () => {
    expect(countTests('<testsuites tests="0"></testsuites>')).toEqual({
      passed: 0,
      failed: [],
      skipped: [],
      files: new Set(),
    });
  });
});
