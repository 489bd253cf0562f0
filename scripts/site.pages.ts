/**
 * Where each page of the project stands in the site: its place in the navigation and its address. Markdown stays where it is,
 * readable without the site.
 */

/** A heading of the navigation with its pages, in the order in which they are read. Paths count from the project's root. */
export interface Chapter {
  readonly title: string;
  readonly pages: readonly string[];
  /** Shut until somebody opens it, as long as none of its pages is read. */
  readonly collapsed?: boolean;
  /** Pages below these folders that no chapter names stand at its end. */
  readonly folders: readonly string[];
}

/** The order that somebody wants who has never run this program. */
export const CHAPTERS: readonly Chapter[] = [
  {
    title: "Start",
    pages: [
      "README.md",
      "docs/start.md",
      "docs/operations/deployment.md",
      "docs/operations/packages.md",
      "docs/operations/releases.md",
      "docs/comparison.md",
      "docs/README.md",
    ],
    folders: [],
  },
  {
    title: "Configure",
    pages: [
      "docs/user-guide/load-balancing.md",
      "docs/backends.md",
      "docs/headers.md",
      "docs/listeners.md",
      "docs/operations/certificates.md",
      "docs/operations/logs.md",
      "docs/early-data.md",
      "docs/cluster.md",
    ],
    folders: ["docs/user-guide/"],
  },
  {
    title: "Operate",
    pages: [
      "docs/operations/check.md",
      "docs/operations/systemd.md",
      "docs/operations/health.md",
      "docs/operations/reload.md",
      "docs/drain.md",
      "docs/operations/metrics.md",
      "docs/operations/log-shipping.md",
      "docs/operations/high-availability.md",
      "docs/operations/capacity.md",
      "docs/operations/tuning.md",
    ],
    folders: ["docs/operations/"],
  },
  {
    title: "Migrate",
    pages: [
      "docs/migrating/from-nginx.md",
      "docs/migrating/from-haproxy.md",
      "docs/migrating/from-caddy.md",
      "docs/migrating/from-original.md",
    ],
    folders: ["docs/migrating/"],
  },
  {
    title: "Troubleshoot",
    pages: ["docs/troubleshooting/common-issues.md", "docs/operations/runbooks.md", "docs/attacks.md"],
    folders: ["docs/troubleshooting/"],
  },
  {
    title: "Reference",
    pages: [
      "docs/configuration/reference.md",
      "docs/cli.md",
      "docs/errors.md",
      "docs/limits.md",
      "docs/http3-cases.md",
      "docs/transport-cases.md",
      "CHANGELOG.md",
    ],
    folders: ["docs/configuration/"],
  },
  {
    title: "Internals",
    pages: [
      "docs/architecture/overview.md",
      "docs/streaming.md",
      "docs/buffers.md",
      "docs/migration.md",
      "bench/README.md",
      "CONTRIBUTING.md",
      "SECURITY.md",
    ],
    folders: ["docs/"],
  },
  { title: "Decisions", pages: ["docs/decisions/README.md"], collapsed: true, folders: ["docs/decisions/"] },
];

/** Pages outside `docs/` that belong to the site. */
export const PAGES_OUTSIDE: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "bench/README.md",
];

/** Addresses that do not follow from the path. */
const ADDRESSES: ReadonlyMap<string, string> = new Map([
  ["README.md", "index.md"],
  ["docs/README.md", "contents.md"],
  ["CONTRIBUTING.md", "contributing.md"],
  ["SECURITY.md", "security.md"],
  ["CHANGELOG.md", "changelog.md"],
  ["bench/README.md", "benchmarks.md"],
]);

/** The place of a page in the site, from its path in the project: `docs/a/b.md` is at `a/b.md`, a README is its folder's index. */
export function addressOf(page: string): string {
  return ADDRESSES.get(page) ?? page.replace(/^docs\//, "").replace(/README\.md$/, "index.md");
}

/** All chapters with the pages that there are: those that no chapter names go to the chapter with the longest folder above them. */
export function chaptersOf(
  pages: readonly string[],
): readonly { readonly chapter: Chapter; readonly pages: string[] }[] {
  const there = new Set(pages);
  const named = new Set(CHAPTERS.flatMap((chapter) => chapter.pages));
  const filled = CHAPTERS.map((chapter) => ({ chapter, pages: chapter.pages.filter((page) => there.has(page)) }));
  for (const page of pages) {
    if (named.has(page)) continue;
    const fitting = filled.map((entry) => ({ entry, depth: depthOf(entry.chapter, page) }));
    fitting.sort((a, b) => b.depth - a.depth);
    fitting[0]?.entry.pages.push(page);
  }
  return filled;
}

function depthOf({ folders }: Chapter, page: string): number {
  return Math.max(0, ...folders.filter((folder) => page.startsWith(folder)).map((folder) => folder.length));
}
