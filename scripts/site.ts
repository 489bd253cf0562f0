/**
 * Makes the documentation into a site: `./scripts/site` brings the generator and calls this. Alone, with the generator in place:
 * `bun scripts/site.ts [--out FOLDER] [--base /PATH/]`. Links that lead nowhere, anchors included, are errors.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { PAGES_OUTSIDE } from "./site.pages.ts";
import { siteLinkProblems } from "./site.links.ts";
import { stage, type Staged } from "./site.stage.ts";
import { listFiles } from "./source.ts";

const ROOT = join(import.meta.dir, "..");
const GENERATOR = join(ROOT, "docs", "site");

/** Every page of the project that belongs to the site. */
export function sitePages(root: string): readonly string[] {
  const inside = listFiles(root, ["docs"]).filter((path) => path.endsWith(".md"));
  return [...PAGES_OUTSIDE.filter((path) => existsSync(join(root, path))), ...inside];
}

function main(): number {
  const { values } = parseArgs({ options: { out: { type: "string" }, base: { type: "string" } } });
  const base = values.base ?? "/";
  if (!/^\/(?:[\w.-]+\/)*$/.test(base)) return complain("--base is a path that begins and ends with a slash", 2);
  const vitepress = join(GENERATOR, "node_modules", "vitepress", "bin", "vitepress.js");
  if (!existsSync(vitepress)) return complain("the generator is not installed: run ./scripts/site", 3);
  const out = resolve(values.out ?? join(ROOT, "dist", "site"));
  const staged = stage(ROOT, sitePages(ROOT));
  if (staged.problems.length > 0) return complain(`links to nothing:\n${staged.problems.join("\n")}`, 1);
  // Below the generator's folder, so that the pages find its packages.
  mkdirSync(join(GENERATOR, ".cache"), { recursive: true });
  const source = mkdtempSync(join(GENERATOR, ".cache", "pages-"));
  try {
    const built = generate(staged, { vitepress, source, out, base });
    if (built !== 0) return built;
  } finally {
    rmSync(source, { recursive: true });
  }
  const lost = siteLinkProblems(out, base);
  if (lost.length > 0) return complain(`links to nothing:\n${lost.join("\n")}`, 1);
  const pages = readdirSync(out, { recursive: true }).filter((path) => String(path).endsWith(".html"));
  console.log(`${out}: ${pages.length} pages, no link to nothing`);
  return 0;
}

interface Places {
  readonly vitepress: string;
  readonly source: string;
  readonly out: string;
  readonly base: string;
}

function generate({ texts, navigation }: Staged, { vitepress, source, out, base }: Places): number {
  for (const [path, text] of texts) {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), text);
  }
  const settings = JSON.stringify({ source, out, base, navigation });
  const run = spawnSync("node", [vitepress, "build", GENERATOR], {
    env: { ...process.env, SPOOKY_SITE: settings, NO_COLOR: "1" },
    encoding: "utf8",
  });
  if (run.error !== undefined) return complain(`node does not start: ${run.error.message}`, 3);
  return run.status === 0 ? 0 : complain(`the generator failed:\n${run.stdout}${run.stderr}`, 1);
}

function complain(message: string, code: number): number {
  console.error(`error: ${message}`);
  return code;
}

if (import.meta.main) process.exitCode = main();
