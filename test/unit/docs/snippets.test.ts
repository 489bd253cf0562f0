/** Everything in the documentation that a reader would copy, look up or follow is taken by the program that it is about. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { PAGES_OUTSIDE } from "../../../scripts/site.pages.ts";
import { listFiles } from "../../../scripts/source.ts";
import { readPage } from "../../support/markdown.ts";
import * as checks from "../../support/page-checks.ts";
import { callsOf } from "../../support/shell-words.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const PATHS = [...PAGES_OUTSIDE, ...listFiles(ROOT, ["docs"]).filter((path) => path.endsWith(".md"))];
const PAGES = PATHS.map((path) => readPage(path, readFileSync(join(ROOT, path), "utf8")));
/** Pages that speak of metrics by their names; others speak of functions and counters whose names look the same. */
const FOR_OPERATORS = /^docs\/(operations|user-guide|troubleshooting|migrating)\//;

describe("the pages", () => {
  test.each(PAGES.map((page) => [page.path, page] as const))("%s", (_, page) => {
    const all = [checks.blockProblems, checks.indentedProblems, checks.codeCallProblems, checks.keyProblems];
    if (FOR_OPERATORS.test(page.path)) all.push(checks.metricProblems);
    expect(all.flatMap((check) => check(page))).toEqual([]);
  });

  test("links lead somewhere", () => expect(checks.linkProblems(ROOT, PAGES)).toEqual([]));
  test("every alert has a runbook, and there is none for an alert that there is not", () => {
    const rules = readFileSync(join(ROOT, "packaging", "prometheus", "spooky-alerts.yml"), "utf8");
    const runbooks = readFileSync(join(ROOT, "docs", "operations", "runbooks.md"), "utf8");
    const headings = runbooks.split("\n").filter((line) => line.startsWith("## "));
    const named = headings.flatMap((line) => [...line.matchAll(/`(Spooky\w+)`/g)].map(([, name = ""]) => name));
    const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name = ""]) => name);
    expect(named.toSorted()).toEqual(alerts.toSorted());
  });
  test("the index of decisions has all of them", () => {
    const index = PAGES.find(({ path }) => path === "docs/decisions/README.md");
    const decisions = PATHS.filter((path) => /^docs\/decisions\/\d/.test(path)).map((path) => basename(path));
    expect(index?.links.map(({ text }) => text).toSorted()).toEqual(decisions);
  });
  test("every decision has a status, a context, itself and its consequences, in this order", () => {
    const form =
      /^# \d+\. .+\n\nStatus: (?:accepted|replaced)\b[^]*\n## Context\n[^]*\n## Decision\n[^]*\n## Consequences\n/;
    const decisions = PATHS.filter((path) => /^docs\/decisions\/\d/.test(path));
    const formless = decisions.filter((path) => !form.test(readFileSync(join(ROOT, path), "utf8")));
    expect(formless).toEqual([]);
  });
  test("every page is linked to", () => expect(checks.lostPages(ROOT, PAGES, "README.md")).toEqual([]));
});

describe("what is wrong is found", () => {
  test.each([
    ["a key that there is not", "yaml", "log:\n  levle: info", "levle"],
    ["a value out of its range", "yaml", "performance:\n  handshake_timeout_ms: 0", "handshake_timeout_ms"],
    ["a whole configuration with a mistake", "yaml", "listen: {}\nupstream: {}", "tls"],
    ["a piece that is no section", "yaml", "- a\n- b", "top sections"],
    ["YAML that is none", "yaml", "a: [", "a"],
    ["YAML of nobody", "yaml martian", "a: 1", "martian"],
    ["foreign YAML that is none", "yaml prometheus", "a: b: c", "Unexpected token"],
    ["JSON that is none", "json", "{", "JSON"],
    ["TOML that is none", "toml", "a = = 1", "[Ee]xpected|TOML|Unexpected"],
    ["a script that is none", "sh", "if true; then", "bash -n"],
    ["an option that there is not", "sh", "sudo -u spooky spooky check --confg x", "--config"],
    ["a command that there is not", "sh", "/usr/local/bin/spooky chekc && true", "check"],
    ["an unknown language", "klingon", "nuqneH", "klingon"],
    ["a block without a language", "", "what is this", "unknown language"],
  ])("%s", (_, info, text, word) => {
    const problems = checks.blockProblems(readPage("p.md", `# P\n\n\`\`\`${info}\n${text}\n\`\`\`\n`));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith("p.md:3: ");
    expect(problems[0]).toMatch(new RegExp(word));
  });

  test("a fence without an end", () => {
    expect(checks.blockProblems(readPage("p.md", "```sh\ntrue\n"))).toHaveLength(1);
  });

  test("a block by indentation, but not what belongs to a list", () => {
    const page = readPage("p.md", "text\n\n    spooky\n\n- item\n\n    more of it\n");
    expect(checks.indentedProblems(page)).toEqual(["p.md:3: a block by indentation: fence it"]);
  });

  test.each([
    ["a call in running text", checks.codeCallProblems, "run `spooky stauts`"],
    ["a key in running text", checks.keyProblems, "set `listen.prot: 1`"],
    ["a key of a pool", checks.keyProblems, "set `upstream.<pool>.rout`"],
    ["a metric", checks.metricProblems, "watch `spooky_nothing_total`"],
  ])("%s", (_, check, text) => {
    expect(check(readPage("p.md", text))).toHaveLength(1);
  });

  test("a link to no file and one to no heading", () => {
    const pages = [readPage("README.md", "# A b\n[x](#a-b) [y](#c) [z](docs/none.md) [w](https://example.com/)")];
    expect(checks.linkProblems(ROOT, pages)).toEqual([
      "README.md:2: no heading #c in README.md",
      "README.md:2: no file docs/none.md",
    ]);
  });

  test("a page that nothing leads to", () => {
    const pages = [
      readPage("README.md", "[x](docs/cli.md)"),
      readPage("docs/cli.md", ""),
      readPage("docs/drain.md", ""),
    ];
    expect(checks.lostPages(ROOT, pages, "README.md")).toEqual(["docs/drain.md"]);
  });
});

test("calls are found wherever a shell finds them, and nowhere else", () => {
  const script = [
    "sudo -u spooky spooky check --config /a && spooky reload > /dev/null",
    "systemctl reload spooky",
    "if ! spooky status --json | grep x; then echo spooky; fi",
    "X=$(spooky --version) # spooky nothing",
    "spooky \\\n  demo --port 0",
  ].join("\n");
  expect(callsOf("spooky", script)).toEqual([
    ["check", "--config", "/a"],
    ["reload"],
    ["status", "--json"],
    ["--version"],
    ["demo", "--port", "0"],
  ]);
});
