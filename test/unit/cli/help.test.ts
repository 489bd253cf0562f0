/** The help text, its page in the documentation and the program say the same. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { DEFAULT_CONFIG_PATH, HELP, parseArgs } from "../../../src/cli/args.ts";
import { EXIT } from "../../../src/cli/command.ts";

const PROJECT = join(import.meta.dir, "..", "..", "..");
const PAGE = readFileSync(join(PROJECT, "docs", "cli.md"), "utf8");

/** The text under a heading, to the next one. */
function section(title: string): string {
  const [, text = ""] = PAGE.split(`\n## ${title}\n`);
  return text.split("\n## ")[0] ?? "";
}

/** What stands in the first column of a section's table. */
function firstColumn(title: string): string[] {
  const rows = section(title)
    .split("\n")
    .slice(0)
    .filter((line) => line.startsWith("| "));
  return rows.slice(2).map((row) => row.split("|")[1]?.trim() ?? "");
}

function optionsIn(text: string): Set<string> {
  return new Set([...text.matchAll(/(?<=[\s[`|(])--?[a-zA-Z]+\b/g)].map(([option]) => option));
}

describe("the help text and docs/cli.md", () => {
  test("name the same options", () => {
    expect(optionsIn(PAGE)).toEqual(optionsIn(HELP));
    expect(optionsIn(section("Options"))).toEqual(optionsIn(HELP));
  });

  test("name the same commands, and the program knows them", () => {
    const inHelp = [...HELP.matchAll(/^ {2}spooky ([a-z]+)/gm)].map(([, word]) => word);
    const inPage = firstColumn("Commands").flatMap((cell) => /`([a-z]+)`/.exec(cell)?.[1] ?? []);
    expect(inPage).toEqual(inHelp.map(String));
    for (const word of inPage) expect<string>(parseArgs([word]).kind).toBe(word);
  });

  test("name the same exit codes, and the program has them", () => {
    const inHelp = [...HELP.matchAll(/^ {2}(\d) {2,}/gm)].map(([, code]) => Number(code));
    expect(inHelp).toEqual(Object.values(EXIT));
    expect(firstColumn("Exit codes").map(Number)).toEqual(inHelp);
  });

  test("name the same default path", () => {
    expect(HELP).toContain(DEFAULT_CONFIG_PATH);
    expect(PAGE).toContain(DEFAULT_CONFIG_PATH);
  });

  test("name the signals that the program heeds", () => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
      expect(HELP).toContain(signal);
      expect(section("Signals")).toContain(`\`${signal}\``);
    }
  });

  test("show the same ways to call it", () => {
    const inHelp = [...HELP.matchAll(/^ {2}(spooky .*?)(?: {2,}.*)?$/gm)].map(([, usage]) => usage);
    expect(PAGE.split("```")[1]?.trim().split("\n").slice(1)).toEqual(inHelp.map(String));
  });
});

test("the environment variables of the page are those that the program reads", () => {
  const textOf = (path: string): string => readFileSync(join(PROJECT, path), "utf8");
  const sources = ["src/cli/places.ts", "src/cli/self.ts"].map(textOf);
  const named = sources.flatMap((text) => [...text.matchAll(/"([A-Z]+(?:_[A-Z]+){2,})"/g)]);
  const looked = [...textOf("src/control/control-place.ts").matchAll(/env\["([A-Z_]+)"\]/g)];
  const read = [...named, ...looked].map(([, name]) => `\`${name}\``);
  expect(new Set(firstColumn("Environment"))).toEqual(new Set(read));
});

test("the help text fits a terminal", () => {
  expect(HELP.split("\n").filter((line) => line.length > 100)).toEqual([]);
  expect(HELP).toEndWith("\n");
});
