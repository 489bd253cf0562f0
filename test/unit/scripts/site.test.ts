/** How pages become a site: their places, their order, and links that lead nowhere. */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { siteLinkProblems } from "../../../scripts/site.links.ts";
import { addressOf, CHAPTERS, chaptersOf } from "../../../scripts/site.pages.ts";
import { stage } from "../../../scripts/site.stage.ts";
import { sitePages } from "../../../scripts/site.ts";
import { must } from "../../../src/core/assert.ts";
import { tempFolder, writeTemp } from "../../support/temp.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = tempFolder("pages");
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeTemp(folder, path, text);
  }
  return folder;
}

describe("navigation", () => {
  test("has every page of the project once", () => {
    const pages = sitePages(ROOT);
    const shown = chaptersOf(pages).flatMap((chapter) => chapter.pages);
    expect(shown.toSorted()).toEqual([...pages].toSorted());
  });

  test("begins with what a new operator wants", () => {
    const titles = ["Start", "Configure", "Operate", "Migrate", "Troubleshoot", "Reference", "Internals", "Decisions"];
    expect(CHAPTERS.map(({ title }) => title)).toEqual(titles);
    expect(chaptersOf(sitePages(ROOT))[0]?.pages.slice(0, 3)).toEqual([
      ...["README.md", "docs/start.md", "docs/operations/deployment.md"],
    ]);
  });

  test("has a place for pages that it does not name", () => {
    const chapters = chaptersOf(["docs/operations/new.md", "docs/new.md", "docs/decisions/0099-new.md"]);
    const placed = chapters.filter(({ pages }) => pages.length > 0).map(({ chapter, pages }) => [chapter.title, pages]);
    expect(placed).toEqual([
      ["Operate", ["docs/operations/new.md"]],
      ["Internals", ["docs/new.md"]],
      ["Decisions", ["docs/decisions/0099-new.md"]],
    ]);
  });

  test.each([
    ["README.md", "index.md"],
    ["docs/a/b.md", "a/b.md"],
    ["docs/decisions/README.md", "decisions/index.md"],
  ])("%s is at %s", (page, address) => expect(addressOf(page)).toBe(address));
});

describe("links", () => {
  const root = folderWith({
    "README.md": "# R\n[a](docs/x/a.md#part) [s](run) `[c](docs/x/a.md)` [f](pack) [w](https://example.com/)\n",
    "docs/x/a.md": "# A\n[r](../../README.md)\n```sh\n[k](../../none)\n```\n[lost](../none.md) [here](#a)\n",
    run: "#!/bin/sh\ntrue\n",
    "pack/one.yml": "a: 1\n",
  });
  const { texts, problems } = stage(root, ["README.md", "docs/x/a.md"]);

  test("lead to places in the site; code stays as it is", () => {
    expect(texts.get("index.md")).toBe(
      "# R\n[a](./x/a.md#part) [s](./files/run.md) `[c](docs/x/a.md)` [f](./files/pack.md) [w](https://example.com/)\n",
    );
    expect(texts.get("x/a.md")).toContain("[r](../index.md)");
    expect(texts.get("x/a.md")).toContain("[k](../../none)");
  });

  test("to files and folders lead to pages with what is in them", () => {
    expect(texts.get("files/run.md")).toContain("````sh\n#!/bin/sh\ntrue\n````");
    expect(texts.get("files/pack.md")).toContain("- [one.yml](./pack/one.yml.md)");
    expect(texts.get("files/pack/one.yml.md")).toContain("````yaml\na: 1\n````");
  });

  test("to nothing are told of", () => expect(problems).toEqual(["docs/x/a.md:6: ../none.md"]));

  test("of this project all lead somewhere", () => expect(stage(ROOT, sitePages(ROOT)).problems).toEqual([]));
});

describe("the finished site", () => {
  const page = (body: string): string => `<html><h1 id="top">T</h1>${body}</html>`;

  test("is looked through for links to nothing, anchors included", () => {
    const folder = folderWith({
      "index.html": page(
        '<a href="/b/x/y.html#top">1</a><a href="x/y">2</a><a href="/b/x/y.html#no">3</a><a href="z.html">4</a><a href="#no">5</a>',
      ),
      "x/y.html": page('<a href="../index.html#top">6</a><a href="https://example.com/#no">7</a><a href="/b/">8</a>'),
    });
    expect(siteLinkProblems(folder, "/b/")).toEqual([
      "index.html: /b/x/y.html#no: no such heading",
      "index.html: z.html: no such page",
      "index.html: #no: no such heading",
    ]);
  });

  test("is at fault when a page has lost its heading", () => {
    const folder = folderWith({ "index.html": '<a href="#a-b">1</a><h2 id="a-b">A b</h2>' });
    expect(siteLinkProblems(folder, "/")).toEqual([]);
    expect(must(sitePages(ROOT)[0], "there are pages")).toBe("README.md");
  });
});
