// The site's form. What is in it comes from scripts/site.ts, which starts the generator.
import { defineConfig } from "vitepress";

const { source, out, base, navigation } = JSON.parse(process.env.SPOOKY_SITE ?? "{}");

/** What the painter of code does not know, as the nearest that it does; second words after a fence are for tests. */
const OTHER_LANGUAGES: Readonly<Record<string, string>> = {
  nft: "txt",
  apparmor: "txt",
  caddyfile: "txt",
  haproxy: "txt",
  request: "http",
  response: "http",
};

/** Anchors as GitHub makes them, so that one link does in both places. */
function slugify(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}

/** Pages with tables of many columns, which get the place of the outline as well. */
const WIDE_PAGES: ReadonlySet<string> = new Set([
  "attacks.md",
  "comparison.md",
  "errors.md",
  "http3-cases.md",
  "limits.md",
  "operations/check.md",
  "operations/metrics.md",
  "transport-cases.md",
]);

/** Who searches wants to use the program: reasons, history and sources come behind what says how. Runs in the reader's browser. */
function boostDocument(address: string): number {
  return /\/(decisions|files)\/|\/(changelog|benchmarks)\b/.test(address) ? 0.3 : 1;
}

export default defineConfig({
  title: "Spooky",
  titleTemplate: ":title - Spooky",
  description: "HTTP/3 edge proxy and load balancer",
  lang: "en",
  base,
  srcDir: source,
  outDir: out,
  cacheDir: ".cache/vite",
  cleanUrls: false,
  lastUpdated: false,
  markdown: {
    anchor: { slugify },
    config(md) {
      // Names in code may be broken where a reader would break them.
      const inline = md.renderer.rules.code_inline;
      md.renderer.rules.code_inline = (...args) =>
        inline(...args).replace(
          />([^<]*)</,
          (_, text) =>
            `>${text.replaceAll(/(?<=\w)([._/]|\]\.)(?=[\w&])/g, "$1<wbr>").replaceAll(/(?<=\w)\{/g, "<wbr>{")}<`,
        );
      const fence = md.renderer.rules.fence;
      md.renderer.rules.fence = (tokens, index, ...rest) => {
        const { info, content } = tokens[index];
        const [language = ""] = info.trim().split(" ");
        if (language !== "mermaid") {
          tokens[index].info = OTHER_LANGUAGES[language] ?? language;
          return fence(tokens, index, ...rest);
        }
        return `<Diagram source="${encodeURIComponent(content)}" />\n`;
      };
    },
  },
  transformPageData({ relativePath, frontmatter }) {
    if (relativePath === "index.md") return { titleTemplate: ":title, an HTTP/3 edge proxy and load balancer" };
    if (WIDE_PAGES.has(relativePath)) return { frontmatter: { ...frontmatter, aside: false } };
    return undefined;
  },
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  themeConfig: {
    sidebar: navigation,
    nav: [
      { text: "Start", link: "/start" },
      { text: "Configuration", link: "/configuration/reference" },
      { text: "Command line", link: "/cli" },
      { text: "Common issues", link: "/troubleshooting/common-issues" },
    ],
    outline: { level: [2, 3] },
    search: { provider: "local", options: { detailedView: true, miniSearch: { searchOptions: { boostDocument } } } },
    notFound: {
      title: "Page not found",
      quote: "There is no page at this address. The search above knows all that there are.",
      linkText: "Home",
    },
    docFooter: { prev: "Before", next: "Next" },
  },
});
