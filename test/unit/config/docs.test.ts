import { describe, expect, test } from "bun:test";
import { generatedPages, stalePages } from "../../../scripts/docs.ts";
import { CONFIG_SHAPE } from "../../../src/config/schema.ts";
import { keyRows, schemaPathText } from "../../../src/config/shape.ts";
import { LIMIT_BOUNDS, TIMEOUT_BOUNDS } from "../../../scripts/docs.bounds.ts";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { must } from "../../../src/core/assert.ts";
import { METRICS } from "../../../src/observe/metrics/exposition.ts";

const PAGES = await generatedPages();

function page(path: string): string {
  return must(PAGES.get(path), `${path} is generated`);
}

/** The cells of a table's rows, without head and rule. */
function cells(text: string): readonly (readonly string[])[] {
  const rows = text.split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((part) => part.trim()),
  );
}

test("the generated pages are fresh; if not, run: bun scripts/docs.ts", async () => {
  expect(await stalePages()).toEqual([]);
});

describe("the reference", () => {
  const rows = cells(page("docs/configuration/reference.md"));

  test("has a row for every key, with a meaning", () => {
    const names = keyRows(CONFIG_SHAPE).map((key) => `\`${schemaPathText(key.path)}\``);
    expect(rows.map(([name]) => name).toSorted()).toEqual(names.toSorted());
    expect(rows.filter(([, , , meaning]) => meaning === "")).toEqual([]);
  });

  test("has each key below the heading of its section", () => {
    const sections = page("docs/configuration/reference.md").split(/^## /m).slice(1);
    const heads = sections.map((section) => section.split("\n")[0]);
    expect(heads.slice(0, 4)).toEqual(["Top level", "listen", "listeners", "upstream"]);
    expect(new Set(heads).size).toBe(heads.length);
    for (const [i, section] of sections.slice(1).entries())
      for (const [name = ""] of cells(section)) expect(name).toMatch(new RegExp(`^\`${heads[i + 1]}[.[\`]`));
  });

  test("says what a key is", () => {
    const row = (key: string) => rows.find(([name]) => name === `\`${key}\``)?.slice(1);
    expect(row("max_concurrent_connections")).toEqual([
      ...["integer 1 to 1000000, connections", "`10000`"],
      "QUIC connections at once; further ones are refused. Each worker's. Also written `performance.max_active_connections`.",
    ]);
    const first = (key: string) => row(key)?.slice(0, 2);
    expect(first("upstream.<pool>.backends[].health_check.interval")).toEqual(["integer 1 to 86400000, ms", "`5000`"]);
    expect(first("upstream.<pool>.backends[].address")).toEqual(["text", "required"]);
    expect(first("log.file")).toEqual(["text or map", ""]);
    expect(first("listen.tls")).toEqual(["map", "required"]);
  });
});

describe("the page of limits", () => {
  const whole = page("docs/limits.md");
  const [configured = "", builtIn = ""] = whole.split("## Built in");
  const bounds = [...LIMIT_BOUNDS, ...TIMEOUT_BOUNDS];

  test("has every bound of the configuration with default, answer and counter", () => {
    const rows = cells(configured);
    expect(rows.map((row) => row[0])).toEqual(bounds.map(({ key }) => `\`${key}\``));
    expect(rows.find(([key]) => key === "`performance.max_handshakes`")?.slice(1)).toEqual([
      ...["2,000", "connections", "first packets are dropped; clients send them again"],
      '`spooky_connections_refused_total{reason="handshakes"}`',
    ]);
    expect(rows.find(([key]) => key === "`performance.max_requests_per_connection`")?.[1]).toBe("none");
  });

  test("forgets no key that bounds clients or waits", () => {
    const told = new Set(bounds.map(({ key }) => key));
    const names = keyRows(CONFIG_SHAPE).map(({ path }) => schemaPathText(path));
    const speaking = names.filter((name) =>
      /^(performance|resilience)\..*(_max|max_|_limit|_timeout|_burst|_per_sec|_cap)/.test(name),
    );
    // No bounds on clients: the wait for the end of the program, and the size of what we send.
    const others = ["performance.shutdown_drain_timeout_ms", "performance.quic_max_udp_payload_bytes"];
    expect(speaking.filter((name) => !told.has(name) && !others.includes(name))).toEqual([]);
  });

  test("names counters that there are, by the metrics that show them", () => {
    const counters: object = new Counters();
    expect(bounds.filter(({ counter: [name] }) => !Object.hasOwn(counters, name))).toEqual([]);
    const names = new Set(METRICS.map(({ name }) => name));
    const told = cells(configured).map((row) => /^`(\w+)/.exec(row[4] ?? "")?.[1] ?? "");
    expect(told.filter((name) => !names.has(name))).toEqual([]);
    expect(configured).toContain('`spooky_requests_shed_total{place="process"}`');
  });

  const rows = cells(builtIn);
  test("has every limit with its reason", () => {
    expect(rows.map((row) => row[0])).toEqual(Object.keys(LIMITS).map((name) => `\`${name}\``));
    expect(rows.filter((row) => (row[2] ?? "").length < 10)).toEqual([]);
    expect(rows.find(([name]) => name === "`configBytesMax`")?.[1]).toBe("1,048,576");
  });
});

describe("the JSON Schema", () => {
  const schema: unknown = JSON.parse(page("docs/configuration/schema.json"));

  test("is plain JSON Schema", () => {
    expect(schema).toMatchObject({
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      required: ["upstream"],
      anyOf: [{ required: ["listen"] }, { required: ["listeners"] }],
    });
    const text = page("docs/configuration/schema.json");
    for (const word of ["synonyms", "unsupported", "aliases", "scope", "form"])
      expect(text).not.toContain(`"${word}":`);
  });

  test("knows other names of keys and values", () => {
    expect(schema).toHaveProperty("properties.performance.properties.max_active_connections.maximum", 1_000_000);
    expect(schema).toHaveProperty("properties.performance.properties.max_active_connections.type", "integer");
    expect(schema).toHaveProperty("properties.load_balancing.properties.type.enum", [
      ...["round-robin", "random", "consistent-hash", "rr", "round_robin", "ch", "consistent_hash"],
    ]);
  });

  test("lets a section with defaults stand empty, and no other", () => {
    expect(schema).toHaveProperty("properties.log.type", ["object", "null"]);
    expect(schema).toHaveProperty("properties.listen.type", "object");
  });

  test("requires what has no default", () => {
    expect(schema).toHaveProperty("properties.upstream.additionalProperties.required", ["route", "backends"]);
    expect(schema).toHaveProperty("properties.upstream.additionalProperties.properties.backends.items.required", [
      "id",
      "address",
    ]);
    expect(schema).not.toHaveProperty("properties.performance.required");
  });
});

test("every page says that it is generated", () => {
  for (const [path, text] of PAGES)
    expect(text.slice(0, 300), path).toContain("Generated by `bun scripts/docs.ts`; do not edit.");
});
