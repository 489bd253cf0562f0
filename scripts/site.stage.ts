/**
 * Pages of the project made ready for the site's generator: links between them lead to their places in the site, and files and
 * folders of the project that a page links to become pages of their own, so that no reader has to have the source at hand.
 */
import { statSync, readdirSync, readFileSync } from "node:fs";
import { extname, join, posix } from "node:path";
import { must } from "../src/core/assert.ts";
import { addressOf, chaptersOf } from "./site.pages.ts";

/** What the generator is given: texts by their place, and the navigation. */
export interface Staged {
  readonly texts: ReadonlyMap<string, string>;
  readonly navigation: readonly NavigationChapter[];
  /** Links that lead to nothing, as `page:line: target`. */
  readonly problems: readonly string[];
}

interface NavigationChapter {
  readonly text: string;
  readonly collapsed?: boolean;
  readonly items: readonly { readonly text: string; readonly link: string }[];
}

/** Where files of the project that are no pages stand in the site. */
const FILES_FOLDER = "files";

/** Stages the given pages (paths from `root`). */
export function stage(root: string, pages: readonly string[]): Staged {
  const known = new Set(pages);
  const texts = new Map<string, string>();
  const wanted = new Set<string>();
  const problems: string[] = [];
  const addressFor = (target: string): string | null => {
    if (known.has(target)) return addressOf(target);
    const index = posix.join(target, "README.md");
    if (known.has(index)) return addressOf(index);
    if (kindOf(root, target) === null) return null;
    wanted.add(target);
    return filePageOf(target);
  };
  for (const page of pages) {
    const text = readFileSync(join(root, page), "utf8");
    const { result, broken } = withLinks(text, page, addressFor);
    texts.set(addressOf(page), result);
    problems.push(...broken.map(({ line, target }) => `${page}:${line}: ${target}`));
  }
  // A folder's page links to files, which become pages in their turn.
  for (const target of wanted) texts.set(filePageOf(target), filePage(root, target, addressFor));
  return { texts, navigation: navigationOf(root, pages), problems };
}

function kindOf(root: string, path: string): "file" | "folder" | null {
  const found = statSync(join(root, path), { throwIfNoEntry: false });
  return found === undefined ? null : found.isDirectory() ? "folder" : "file";
}

/** `scripts/site` and `scripts/site.ts` are two pages. */
function filePageOf(path: string): string {
  return posix.join(FILES_FOLDER, `${path.replace(/\/$/, "")}.md`);
}

/** The text with each link to something of the project replaced by one to its place in the site. Code stays as it is. */
function withLinks(
  text: string,
  page: string,
  addressFor: (target: string) => string | null,
): { readonly result: string; readonly broken: readonly { readonly line: number; readonly target: string }[] } {
  const broken: { line: number; target: string }[] = [];
  const from = posix.dirname(addressOf(page));
  let fenced = false;
  const rows = text.split("\n").map((row, index) => {
    if (/^ {0,3}```/.test(row)) {
      fenced = !fenced;
      return row;
    }
    if (fenced) return row;
    return outsideCode(row, (piece) =>
      piece.replaceAll(/\]\(([^)\s]+)\)/g, (whole, link: string) => {
        if (/^([a-z]+:|#)/.test(link)) return whole;
        const [path = "", anchor] = link.split("#");
        const target = posix.normalize(posix.join(posix.dirname(page), path));
        const address = addressFor(target);
        if (address === null) {
          broken.push({ line: index + 1, target: link });
          return whole;
        }
        const relative = posix.relative(from, address);
        return `](${relative.startsWith(".") ? relative : `./${relative}`}${anchor === undefined ? "" : `#${anchor}`})`;
      }),
    );
  });
  return { result: rows.join("\n"), broken };
}

function outsideCode(row: string, change: (piece: string) => string): string {
  return row
    .split(/(`[^`]*`)/)
    .map((piece, index) => (index % 2 === 1 ? piece : change(piece)))
    .join("");
}

const LANGUAGES: ReadonlyMap<string, string> = new Map([
  [".ts", "ts"],
  [".json", "json"],
  [".yml", "yaml"],
  [".yaml", "yaml"],
  [".sh", "sh"],
  [".service", "ini"],
  [".conf", "ini"],
  [".toml", "toml"],
]);

function filePage(root: string, path: string, addressFor: (target: string) => string | null): string {
  const title = `---\ntitle: ${path}\noutline: false\n---\n\n# \`${path}\`\n\n`;
  if (kindOf(root, path) === "folder") {
    const entries = readdirSync(join(root, path), { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
    const links = entries.map((entry) => {
      const address = must(addressFor(posix.join(path, entry.name)), "what is listed is there");
      const link = posix.relative(posix.dirname(filePageOf(path)), address);
      return `- [${entry.name}${entry.isDirectory() ? "/" : ""}](${link.startsWith(".") ? link : `./${link}`})`;
    });
    return `${title}${links.sort().join("\n")}\n`;
  }
  const text = readFileSync(join(root, path), "utf8");
  // A Markdown file that is no page of the site is shown as it is written. Four backticks: a fence inside ends nothing.
  const language = LANGUAGES.get(extname(path)) ?? (text.startsWith("#!") ? "sh" : "text");
  return `${title}\`\`\`\`${language}\n${text.trimEnd()}\n\`\`\`\`\n`;
}

function navigationOf(root: string, pages: readonly string[]): NavigationChapter[] {
  return chaptersOf(pages).map(({ chapter, pages: own }) => ({
    text: chapter.title,
    ...(chapter.collapsed === undefined ? {} : { collapsed: chapter.collapsed }),
    items: own.map((page) => ({
      text: titleOf(page, readFileSync(join(root, page), "utf8")),
      link: `/${addressOf(page)
        .replace(/\.md$/, "")
        .replace(/(^|\/)index$/, "$1")}`,
    })),
  }));
}

/** Titles that are good above a page and too long, or the same as others, beside it. */
const SHORT_TITLES: ReadonlyMap<string, string> = new Map([
  ["README.md", "What it is"],
  ["docs/README.md", "All pages"],
  ["docs/operations/check.md", "Checking before a start"],
  ["docs/decisions/README.md", "Index"],
]);

function titleOf(page: string, text: string): string {
  const heading = /^# (.+)$/m.exec(text)?.[1] ?? page;
  return SHORT_TITLES.get(page) ?? heading.replaceAll("`", "");
}
