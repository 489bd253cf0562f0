/** The documentation as a site: it can be made, its pages open without a fault, fit a phone, and its search finds things. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startBrowser, type Tab } from "../support/browser.ts";
import { runProcess } from "../support/process.ts";
import { tempFolder } from "../support/temp.ts";
import { HANGS_AFTER_MS } from "../support/time-limit.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const CHROMIUM = process.env["SPOOKY_TEST_CHROMIUM"] ?? "";
const lack = existsSync(join(ROOT, "docs", "site", "node_modules", "vitepress"))
  ? CHROMIUM === ""
    ? "SPOOKY_TEST_CHROMIUM names no browser"
    : null
  : "the generator of the site is not installed (./scripts/site --install)";

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844, dark: true };
/** One with wide tables, one with long lines of code, one with drawings. */
const HARD_PAGES = ["configuration/reference.html", "operations/deployment.html", "architecture/overview.html"];

describe.skipIf(lack !== null)(lack ?? "the site", () => {
  let tab: Tab;
  let base = "";
  // What is registered in a hook runs at the hook's own end.
  const ends: (() => void | Promise<void>)[] = [];
  const atEnd = (end: () => void | Promise<void>): void => void ends.unshift(end);
  afterAll(async () => {
    for (const end of ends) await end();
  });

  beforeAll(async () => {
    const folder = tempFolder("site", atEnd);
    const built = await runProcess({ command: [process.execPath, "scripts/site.ts", "--out", folder], cwd: ROOT });
    expect(built.stderr).toBe("");
    expect(built.stdout).toMatch(/pages, no link to nothing/);
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => fileOf(folder, request.url) });
    atEnd(() => server.stop(true));
    base = `http://127.0.0.1:${server.port}/`;
    tab = await startBrowser(CHROMIUM, atEnd);
  }, HANGS_AFTER_MS);

  test("finds a key of the configuration and goes there", () => findsKey(tab, base), HANGS_AFTER_MS);

  test(
    "leads those who search to what says how, and to reasons after that",
    () => findsInstructionsFirst(tab, base),
    HANGS_AFTER_MS,
  );

  test("says so where there is no page", () => saysThatThereIsNoPage(tab, base), HANGS_AFTER_MS);

  test.each(HARD_PAGES)(
    "%s fits a phone: what is wider scrolls by itself",
    async (page) => {
      await tab.open(base + page, PHONE);
      await until(tab, "document.querySelector('main h1') !== null");
      expect(await tab.evaluate("document.documentElement.scrollWidth")).toBe(PHONE.width);
      expect(await tab.evaluate("document.documentElement.classList.contains('dark')")).toBe(true);
      expect(tab.faults).toEqual([]);
    },
    HANGS_AFTER_MS,
  );

  test(
    "draws what GitHub draws",
    async () => {
      await tab.open(`${base}architecture/overview.html`, DESKTOP);
      await until(tab, "document.querySelectorAll('.diagram svg').length === 2");
      expect(await tab.evaluate("document.querySelector('.diagram svg').textContent")).toContain("ReceiveBatch");
      expect(tab.faults).toEqual([]);
    },
    HANGS_AFTER_MS,
  );
});

async function findsKey(tab: Tab, base: string): Promise<void> {
  await tab.open(base, DESKTOP);
  await search(tab, "shutdown_drain_timeout_ms");
  expect(list(await tab.evaluate(FOUND))).toContainEqual(expect.stringContaining("configuration/reference"));
  await tab.evaluate("document.querySelector('.VPLocalSearchBox .result').click()");
  await until(tab, "document.querySelector('main')?.textContent.includes('shutdown_drain_timeout_ms')");
  expect(tab.faults).toEqual([]);
}

async function findsInstructionsFirst(tab: Tab, base: string): Promise<void> {
  await tab.open(base, DESKTOP);
  await search(tab, "reload");
  const places = list(await tab.evaluate(FOUND));
  expect(places.length).toBeGreaterThan(4);
  expect(places.slice(0, 4).filter((place) => !place.includes("/operations/reload.html"))).toEqual([]);
  expect(tab.faults).toEqual([]);
}

async function saysThatThereIsNoPage(tab: Tab, base: string): Promise<void> {
  await tab.open(`${base}no-such-page.html`, DESKTOP);
  await until(tab, "document.querySelector('.NotFound h1') !== null");
  expect(await tab.evaluate("document.querySelector('.NotFound h1').textContent")).toBe("Page not found");
  await tab.evaluate("document.querySelector('.NotFound a').click()");
  await until(tab, "document.querySelector('main h1')?.textContent.startsWith('Spooky')");
  expect(tab.faults).toEqual([]);
}

/** An expression: the addresses that a search has found, best first. */
const FOUND = "[...document.querySelectorAll('.VPLocalSearchBox .result')].map((found) => found.href)";

/** Opens the search, as a reader does, and waits for what it finds. */
async function search(tab: Tab, words: string): Promise<void> {
  await until(tab, "document.querySelector('.DocSearch-Button, .VPNavBarSearch button') !== null");
  await tab.evaluate("document.querySelector('.DocSearch-Button, .VPNavBarSearch button').click()");
  await until(tab, "document.querySelector('#localsearch-input') !== null");
  await tab.evaluate(`(() => {
    const input = document.querySelector("#localsearch-input");
    input.value = ${JSON.stringify(words)};
    input.dispatchEvent(new Event("input", { bubbles: true }));
  })()`);
  await until(tab, "document.querySelectorAll('.VPLocalSearchBox .result').length > 0");
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** As any web server would: what is not there is answered by the page for that. */
async function fileOf(folder: string, url: string): Promise<Response> {
  const path = decodeURIComponent(new URL(url).pathname);
  const file = Bun.file(join(folder, path.endsWith("/") ? `${path}index.html` : path));
  if (await file.exists()) return new Response(file);
  return new Response(Bun.file(join(folder, "404.html")), { status: 404, headers: { "content-type": "text/html" } });
}

/** The page itself watches for it: each frame that it draws is a look. */
async function until(tab: Tab, condition: string): Promise<void> {
  await tab.evaluate(`new Promise((resolve) => {
    const look = () => ((${condition}) ? resolve(true) : requestAnimationFrame(look));
    look();
  })`);
}
