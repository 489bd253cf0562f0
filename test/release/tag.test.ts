/** `scripts/release` refuses, before it makes anything, a commit whose tag is not its version, and files that are no commit's. */
import { describe, expect, test } from "bun:test";
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { runProcess } from "../support/process.ts";
import { tempFolder } from "../support/temp.ts";
import { packageVersion, projectFile } from "./releases.ts";

const inRepository = existsSync(projectFile(".git")) && Bun.which("git") !== null;

/** Git as nobody in particular, whatever the machine's settings are. */
const IDENTITY = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "advice.detachedHead=false"];

/** A clone of the project with these tags on a commit of its own. */
async function cloneWith(tags: readonly string[]): Promise<string> {
  const folder = join(tempFolder("release"), "clone");
  const git = async (...args: readonly string[]): Promise<void> => {
    expect(await runProcess({ command: ["git", ...IDENTITY, ...args] })).toMatchObject({ code: 0 });
  };
  await git("clone", "--quiet", "--shared", projectFile(""), folder);
  await git("-C", folder, "commit", "--quiet", "--allow-empty", "-m", "test: a commit");
  for (const tag of tags) await git("-C", folder, "tag", tag);
  return folder;
}

/** What a release needs to see of the project before it refuses. */
function copyInto(folder: string): string {
  const copy = join(folder, "spooky");
  cpSync(projectFile("scripts"), join(copy, "scripts"), { recursive: true });
  cpSync(projectFile("package.json"), join(copy, "package.json"));
  return copy;
}

async function release(folder: string, ...args: readonly string[]): ReturnType<typeof runProcess> {
  return runProcess({ command: [join(folder, "scripts", "release"), ...args] });
}

describe.skipIf(!inRepository)(inRepository ? "the tag of a release" : "this is no git repository", () => {
  test("that is another version is refused", async () => {
    const folder = await cloneWith(["v99.0.0"]);
    const { code, stderr } = await release(folder);
    expect(code).toBe(2);
    expect(stderr).toContain(`the commit is tagged v99.0.0 and package.json says ${packageVersion()}`);
    expect(existsSync(join(folder, "dist"))).toBe(false);
  });

  test("is not looked for in a repository that the files only lie in, nor where there is none", async () => {
    const outer = tempFolder("release");
    expect(await release(copyInto(outer))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("not a git repository"),
    });
    await runProcess({ command: ["git", "init", "--quiet", outer] });
    await runProcess({
      command: ["git", ...IDENTITY, "-C", outer, "commit", "--quiet", "--allow-empty", "-m", "another project"],
    });
    expect(await release(join(outer, "spooky"))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("is another project's"),
    });
  });

  test("has to be there where it is asked for", async () => {
    const folder = await cloneWith([]);
    const { code, stderr } = await release(folder, "--tagged");
    expect(code).toBe(2);
    expect(stderr).toContain(`the commit is not tagged v${packageVersion()}`);
  });
});
