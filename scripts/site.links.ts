/** Links of the finished site that lead nowhere, anchors included: what its generator does not look at. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** Problems as `page: link`, of the site in `folder`, whose root is at `base`. */
export function siteLinkProblems(folder: string, base: string): readonly string[] {
  const files = new Set(readdirSync(folder, { recursive: true }).map(String));
  const anchorsOf = new Map<string, ReadonlySet<string>>();
  const pages = [...files].filter((path) => path.endsWith(".html") && path !== "404.html");
  const read = (path: string): string => readFileSync(join(folder, path), "utf8");
  for (const page of pages) anchorsOf.set(page, new Set(matches(read(page), / id="([^"]+)"/g)));
  return pages.flatMap((page) => {
    const links = matches(read(page), /<a [^>]*href="([^"]+)"/g);
    return [...new Set(links)].flatMap((link) => {
      const [path, anchor] = placeOf(page, link, base);
      if (path === null) return [];
      const file = [path, `${path}.html`, posix.join(path, "index.html")].find((name) => files.has(name));
      if (file === undefined) return [`${page}: ${link}: no such page`];
      const lost = anchor !== "" && !(anchorsOf.get(file)?.has(anchor) ?? false);
      return lost ? [`${page}: ${link}: no such heading`] : [];
    });
  });
}

/** The file in the site that a link means, without its ending where it has none; null for places elsewhere. */
function placeOf(page: string, link: string, base: string): readonly [path: string | null, anchor: string] {
  if (/^[a-z]+:/.test(link)) return [null, ""];
  const [raw = "", anchor = ""] = link.split("#").map((part) => decodeURIComponent(part));
  if (raw === "") return [page, anchor];
  const absolute = raw.startsWith("/") ? raw : posix.join(base, posix.dirname(page), raw);
  const path = absolute.startsWith(base) ? absolute.slice(base.length) : absolute;
  return [path === "" ? "index.html" : path, anchor];
}

function matches(text: string, form: RegExp): string[] {
  return [...text.matchAll(form)].map(([, found = ""]) => found);
}
