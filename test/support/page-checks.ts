/** What is wrong with a page of documentation, as `path:line: what`. Each check is a function of pages alone. */
import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { parseArgs } from "../../src/cli/args.ts";
import { formatProblem, loadConfig } from "../../src/config/load.ts";
import { CONFIG_SHAPE } from "../../src/config/schema.ts";
import { keyRows, schemaPathText } from "../../src/config/shape.ts";
import { isUnsupportedKey } from "../../src/config/unsupported.ts";
import { METRICS } from "../../src/observe/metrics/exposition.ts";
import type { Block, Found, Page } from "./markdown.ts";
import { callsOf } from "./shell-words.ts";

/** The least that is a configuration; a piece of one is laid over it. */
const LEAST = `
version: 1
listen:
  tls: { cert: /etc/spooky/certs/fullchain.pem, key: /etc/spooky/certs/privkey.pem }
upstream:
  web:
    route: { path_prefix: "/" }
    backends: [{ id: web-1, address: "10.0.0.1:8080" }]
`;

/** Whose YAML is not ours: only its form is looked at. */
const YAML_OWNERS: ReadonlySet<string> = new Set(["prometheus", "promtail", "ansible", "vector", "kubernetes"]);
/** Forms that no check here can read. What is executed elsewhere says where. */
const UNREAD: ReadonlySet<string> = new Set([
  ...["text", "mermaid"],
  // Done as they stand there by test/unit/proxy/headers-page.test.ts.
  ...["request", "response"],
  // Of other programs.
  ...["nginx", "caddyfile", "haproxy", "nft", "apparmor", "ini"],
]);

/** Every block of the page is what it says it is, and would be taken. */
export function blockProblems(page: Page): string[] {
  return page.blocks.flatMap((block) => {
    const problem = blockProblem(block);
    return problem === null ? [] : [`${page.path}:${block.line}: ${problem}`];
  });
}

function blockProblem(block: Block): string | null {
  switch (block.language) {
    case "yaml":
      return block.owner === "" ? configurationProblem(block.text) : foreignYamlProblem(block);
    case "json":
      return thrown(() => JSON.parse(block.text) as unknown);
    case "toml":
      return thrown(() => Bun.TOML.parse(block.text));
    case "sh":
    case "bash":
      return shellProblem(block.text);
    default:
      return UNREAD.has(block.language) ? null : `a block of the unknown language "${block.language}"`;
  }
}

/** A block by indentation says nothing of its language, so nobody could look at it. What is indented below an item of a list is none. */
export function indentedProblems(page: Page): string[] {
  return page.indented.map((line) => `${page.path}:${line}: a block by indentation: fence it`);
}

/** A whole configuration, or top sections of one: both have to load. */
function configurationProblem(text: string): string | null {
  const malformed = thrown(() => Bun.YAML.parse(text));
  if (malformed !== null) return malformed;
  const given = Bun.YAML.parse(text);
  if (!isMap(given)) return "a piece of a configuration begins with its top sections";
  const whole = "listen" in given && "upstream" in given;
  const result = loadConfig(whole ? text : JSON.stringify(laidOver(Bun.YAML.parse(LEAST), given)), "block");
  return "problems" in result ? result.problems.map(formatProblem).join("; ") : null;
}

/** Maps are laid over each other; a given `upstream` stands for all pools. */
function laidOver(base: unknown, given: unknown, key = ""): unknown {
  if (!isMap(base) || !isMap(given) || key === "upstream") return given;
  const keys = [...new Set([...Object.keys(base), ...Object.keys(given)])];
  return Object.fromEntries(
    keys.map((name) => [name, name in given ? laidOver(base[name], given[name], name) : base[name]]),
  );
}

function foreignYamlProblem({ owner, text }: Block): string | null {
  if (!YAML_OWNERS.has(owner)) return `YAML of an unknown owner "${owner}"`;
  return thrown(() => Bun.YAML.parse(text));
}

function shellProblem(text: string): string | null {
  const { exitCode, stderr } = Bun.spawnSync(["bash", "-n"], { stdin: Buffer.from(text) });
  if (exitCode !== 0) return `bash -n: ${stderr.toString().trim()}`;
  return callProblem(text);
}

/** Calls of this program that it would not take. */
function callProblem(script: string): string | null {
  const calls = [...callsOf("spooky", script), ...callsOf("start", script)];
  for (const args of calls) {
    const command = parseArgs(args);
    if (command.kind === "usage-error") return `spooky ${args.join(" ")}: ${command.message}`;
  }
  return null;
}

/** `spooky ...` in running text is a call, too. */
export function codeCallProblems(page: Page): string[] {
  return page.codes.flatMap(({ line, text }) => {
    const problem = text.startsWith("spooky ") ? callProblem(text.replaceAll(/\[|\]/g, "")) : null;
    return problem === null ? [] : [`${page.path}:${line}: ${problem}`];
  });
}

const KEYS: ReadonlySet<string> = new Set([
  ...keyRows(CONFIG_SHAPE).map(({ path }) => schemaPathText(path)),
  ...keyRows(CONFIG_SHAPE).flatMap(({ shape }) => shape.aliases ?? []),
]);
const SECTIONS: ReadonlySet<string> = new Set([...KEYS].map((key) => key.split(".")[0] ?? ""));
const KEY_FORM = /^[a-z_]+(?:\.(?:[a-z0-9_]+|<pool>)(?:\[\])?)+$/;

/** What looks like a key of the configuration is one. Values may follow: `log.level: warn`. */
export function keyProblems(page: Page): string[] {
  return page.codes.flatMap(({ line, text }) => {
    const key = text.replace(/: .*$/, "");
    if (!KEY_FORM.test(key) || !SECTIONS.has(key.split(".")[0] ?? "") || isFile(page, key)) return [];
    // That page is about what the original has.
    if (page.path === "docs/migrating/from-original.md" && isUnsupportedKey(key.split("."))) return [];
    return KEYS.has(key) ? [] : [`${page.path}:${line}: no key ${key}`];
  });
}

function isFile(page: Page, name: string): boolean {
  return existsSync(join(dirname(page.path), name)) || /\.(ts|md|yaml|json|sock)$/.test(name);
}

const METRIC_NAMES: ReadonlySet<string> = new Set(
  METRICS.flatMap(({ name, type }) =>
    (type === "histogram" ? ["", "_bucket", "_sum", "_count"] : [""]).map((end) => name + end),
  ),
);

/** `spooky_...` and `..._total` in running text are metrics that there are; labels may follow. */
export function metricProblems(page: Page): string[] {
  return page.codes.flatMap(({ line, text }) => {
    const name = /^(spooky_[a-z0-9_]+|[a-z0-9_]+_total)(?:\{.*\})?$/.exec(text)?.[1];
    return name === undefined || METRIC_NAMES.has(name) ? [] : [`${page.path}:${line}: no metric ${name}`];
  });
}

/** Links between files of the project that lead nowhere. */
export function linkProblems(root: string, pages: readonly Page[]): string[] {
  const anchorsOf = new Map(pages.map(({ path, anchors }) => [path, anchors]));
  return pages.flatMap((page) =>
    page.links.flatMap((link) => {
      const target = targetOf(page, link);
      if (target === null) return [];
      const [path, anchor] = target;
      if (!existsSync(join(root, path))) return [`${page.path}:${link.line}: no file ${path}`];
      const anchors = anchorsOf.get(path);
      if (anchor === "" || anchors === undefined || anchors.has(anchor)) return [];
      return [`${page.path}:${link.line}: no heading #${anchor} in ${path}`];
    }),
  );
}

/** Pages that no chain of links from the first one leads to. A link to a folder leads to all that is in it. */
export function lostPages(root: string, pages: readonly Page[], first: string): string[] {
  const byPath = new Map(pages.map((page) => [page.path, page]));
  const reached = new Set<string>([first]);
  for (const path of reached) {
    const page = byPath.get(path);
    for (const link of page?.links ?? []) {
      const [target] = page === undefined ? [] : (targetOf(page, link) ?? []);
      if (target === undefined || !existsSync(join(root, target))) continue;
      const folder = statSync(join(root, target)).isDirectory() ? `${target.replace(/\/$/, "")}/` : null;
      if (folder === null) reached.add(target);
      else for (const inside of byPath.keys()) if (inside.startsWith(folder)) reached.add(inside);
    }
  }
  return [...byPath.keys()].filter((path) => !reached.has(path));
}

/** File and anchor of a link inside the project; null for one that leaves it. */
function targetOf(page: Page, { text }: Found): readonly [path: string, anchor: string] | null {
  if (/^[a-z]+:/.test(text)) return null;
  const [file = "", anchor = ""] = text.split("#");
  return [file === "" ? page.path : normalize(join(dirname(page.path), file)), anchor];
}

function thrown(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
