import { describe, expect, test } from "bun:test";
import { checkLayers, type LayerRules, RULES } from "../../../scripts/layers.ts";
import { parseSource } from "../../../scripts/source.ts";

/** The real rules without the demand that every door be used: a fixture has two or three files. */
const RULES_WITHOUT_DOORS: LayerRules = { ...RULES, doors: [] };

/** What the checker says about a tree of files, as `path:line rule`. */
function violationsIn(tree: Readonly<Record<string, string>>, rules: LayerRules = RULES_WITHOUT_DOORS): string[] {
  const files = Object.entries(tree).map(([path, text]) => parseSource(path, text));
  return checkLayers(files, rules).map(({ path, line, rule }) => `${path}:${line} ${rule}`);
}

describe("rows", () => {
  test("an import of the same row or a lower one is allowed", () => {
    const tree = {
      "src/core/limits.ts": "export const N = 1;",
      "src/quic/engine.ts": 'import { N } from "../core/limits.ts"; export const M = N;',
      "src/h3/head.ts": 'import { M } from "../quic/engine.ts"; export const K = M;',
      "src/main.ts": 'import { K } from "./h3/head.ts"; import { N } from "./core/limits.ts"; K + N;',
    };
    expect(violationsIn(tree)).toEqual([]);
  });

  test("an import of a higher row is not, and the line is named", () => {
    const tree = {
      "src/core/limits.ts": '\nimport { M } from "../quic/engine.ts"; export const N = M;',
      "src/quic/engine.ts": "export const M = 1;",
    };
    expect(violationsIn(tree)).toEqual(["src/core/limits.ts:2 layer"]);
  });

  test("an import of types, a re-export, a dynamic import and an import() type count like any other", () => {
    const target = { "src/quic/engine.ts": "export type M = number; export const m = 1;" };
    for (const text of [
      'import type { M } from "../quic/engine.ts"; export type N = M;',
      'export { m } from "../quic/engine.ts";',
      'export * from "../quic/engine.ts";',
      'export const n = await import("../quic/engine.ts");',
      'export type N = import("../quic/engine.ts").M;',
    ]) {
      expect(violationsIn({ ...target, "src/core/a.ts": text })).toEqual(["src/core/a.ts:1 layer"]);
    }
  });

  test("a file in no row is reported", () => {
    expect(violationsIn({ "src/other/a.ts": "export const a = 1;" })).toEqual(["src/other/a.ts:1 row"]);
  });

  test("the program imports nothing from tests and scripts; these import what they like", () => {
    const tree = {
      "src/cli/args.ts": 'import { a } from "../../test/support/net.ts"; a;',
      "test/support/net.ts": 'import { b } from "../../src/core/b.ts"; export const a = b;',
      "src/core/b.ts": "export const b = 1;",
    };
    expect(violationsIn(tree)).toEqual(["src/cli/args.ts:1 layer"]);
  });

  test("an import of a file that is not there is reported", () => {
    expect(violationsIn({ "src/core/a.ts": 'import { b } from "./b.ts"; b;' })).toEqual(["src/core/a.ts:1 missing"]);
  });

  test("files outside the rows are for those that the table names", () => {
    const tree = {
      "src/cli/version.ts": 'import data from "../../package.json"; data;',
      "src/observe/log.ts": 'import data from "../../package.json"; data;',
      "src/route/table.ts": 'import table from "./table.json"; table;',
      "test/golden/a.test.ts": 'import vectors from "./vectors.json"; vectors;',
      "src/main.compiled.ts": 'import library from "../dist/native/lib.so" with { type: "file" }; library;',
    };
    expect(violationsIn(tree)).toEqual(["src/observe/log.ts:1 outside", "src/route/table.ts:1 outside"]);
  });
});

describe("the runtime", () => {
  test.each([
    ["Bun.nanoseconds();"],
    ["Deno.env.get('A');"],
    ["process.exit(1);"],
    ["console.log(1);"],
    ["export const t = Date.now();"],
    ["export const t = new Date();"],
    ["export const t = new Date;"],
    ["export const t = Math.random();"],
    ["export const t = performance.now();"],
    ["setTimeout(() => 1, 2);"],
    ["globalThis.setTimeout(() => 1, 2);"],
    ["export const a = { fetch };"],
    ["export function f(b: Buffer): void { b; }"],
    ["export type A = Deno.UdpAddr;"],
    ["export type A = typeof process;"],
    ['import { readFileSync } from "node:fs"; readFileSync;'],
  ])("rows 0 to 3 may not say %p", (text) => {
    expect(violationsIn({ "src/proxy/a.ts": text })).toEqual(["src/proxy/a.ts:1 runtime"]);
  });

  test.each([
    ["// setTimeout, Date.now and process.exit are somebody else's"],
    ["export const text = 'console.log(Date.now())';"],
    ["export const now = (process: { ms: number }) => process.ms;"],
    ["export const a = { fetch: 1, console: 2 }.fetch;"],
    ["export class A { fetch(): number { return 1; } }"],
    ["export interface A { readonly process: number; performance(): void }"],
    ["export const day = new Date(0).getUTCDay();"],
    ["export const root = Math.sqrt(2);"],
    ['import { fetch } from "./b.ts"; fetch();'],
    ["export function f({ process }: { process: number }): number { return process; }"],
  ])("rows 0 to 3 may say %p", (text) => {
    const tree = { "src/proxy/a.ts": text, "src/proxy/b.ts": "export const fetch = () => 1;" };
    expect(violationsIn(tree)).toEqual([]);
  });

  test("row 4 may use node modules and timers", () => {
    const text = 'import { readFileSync } from "node:fs"; setTimeout(() => readFileSync, Date.now());';
    expect(violationsIn({ "src/upstream/a.ts": text })).toEqual([]);
  });

  test("Bun and Deno are named in src/runtime and in the files that ffi keeps for them", () => {
    const text = "Bun.nanoseconds(); Deno.env;";
    expect(violationsIn({ "src/upstream/a.ts": text })).toEqual([
      "src/upstream/a.ts:1 name",
      "src/upstream/a.ts:1 name",
    ]);
    expect(violationsIn({ "src/runtime/a.ts": text, "test/a.test.ts": text })).toEqual([]);
    expect(violationsIn({ "ffi/open.bun.ts": "Bun.nanoseconds();", "ffi/open.deno.ts": "Deno.env;" })).toEqual([]);
    expect(violationsIn({ "ffi/open.bun.ts": "Deno.env;" })).toEqual(["ffi/open.bun.ts:1 name"]);
    expect(violationsIn({ "ffi/quiche/open.bun.ts": "Bun.env;" })).toEqual(["ffi/quiche/open.bun.ts:1 name"]);
  });

  test("Deno.dlopen is called in one file, not even in the rest of src/runtime", () => {
    const text = "export const open = () => Deno.dlopen('a', {});";
    expect(violationsIn({ "ffi/open.deno.ts": text })).toEqual([]);
    expect(violationsIn({ "src/runtime/deno.ts": text })).toEqual(["src/runtime/deno.ts:1 name"]);
  });
});

describe("doors", () => {
  const doors = [{ specifier: "yaml", importers: ["src/config/parse.ts"] }];

  test("a package is imported by its door only, parts of it as well", () => {
    const tree = {
      "src/config/parse.ts": 'import { parse } from "yaml"; parse;',
      "src/config/load.ts": 'import { parse } from "yaml/util"; parse;',
      "test/a.test.ts": 'import { parse } from "yaml"; parse;',
    };
    const expected = ["src/config/load.ts:1 door", "test/a.test.ts:1 door"];
    expect(violationsIn(tree, { ...RULES, doors })).toEqual(expected);
  });

  test("a package whose name only begins alike is another one, and has no door", () => {
    const tree = {
      "src/config/parse.ts": 'import { parse } from "yaml"; import { other } from "yaml-other"; parse + other;',
    };
    expect(violationsIn(tree, { ...RULES, doors })).toEqual(["src/config/parse.ts:1 door"]);
  });

  test("a door that nobody goes through is reported", () => {
    const tree = { "src/config/parse.ts": "export const parse = 1;" };
    expect(violationsIn(tree, { ...RULES, doors })).toEqual(["src/config/parse.ts:1 door"]);
  });

  test("bun:ffi is imported by ffi/open.bun.ts and nowhere else, tests included", () => {
    const ffi = RULES.doors.filter(({ specifier }) => specifier === "bun:ffi");
    const text = 'import { dlopen } from "bun:ffi"; dlopen;';
    expect(violationsIn({ "ffi/open.bun.ts": text }, { ...RULES, doors: ffi })).toEqual([]);
    const tree = { "ffi/open.bun.ts": text, "ffi/memory.ts": text, "test/ffi/a.test.ts": text };
    expect(violationsIn(tree, { ...RULES, doors: ffi })).toEqual(["ffi/memory.ts:1 door", "test/ffi/a.test.ts:1 door"]);
  });
});

describe("walls and reserved files", () => {
  test("ffi imports the core, the engine's port and the runtime's ports, and nothing else", () => {
    const files = {
      "src/core/assert.ts": "export const a = 1;",
      "src/quic/engine.ts": "export const a = 1;",
      "src/quic/engine-h3.ts": "export const a = 1;",
      "src/quic/loop.ts": "export const a = 1;",
      "src/runtime/udp.ts": "export const a = 1;",
      "src/observe/log.ts": "export const a = 1;",
    };
    for (const [path, expected] of [
      ["src/core/assert.ts", []],
      ["src/quic/engine.ts", []],
      ["src/quic/engine-h3.ts", []],
      ["src/runtime/udp.ts", []],
      ["src/quic/loop.ts", ["ffi/a.ts:1 wall"]],
      ["src/observe/log.ts", ["ffi/a.ts:1 wall"]],
    ] as const) {
      expect(violationsIn({ ...files, "ffi/a.ts": `import { a } from "../${path}"; a;` })).toEqual([...expected]);
    }
  });

  test("the client half of quiche is for tests and benchmarks", () => {
    const tree = {
      "ffi/quiche/client.ts": "export const connect = 1;",
      "test/pair/a.test.ts": 'import { connect } from "../../ffi/quiche/client.ts"; connect;',
      "bench/load.ts": 'import { connect } from "../ffi/quiche/client.ts"; connect;',
      "src/cli/demo.ts": 'import { connect } from "../../ffi/quiche/client.ts"; connect;',
    };
    expect(violationsIn(tree)).toEqual(["src/cli/demo.ts:1 reserved"]);
  });
});

describe("cycles", () => {
  test("a ring of imports is reported once, with its members", () => {
    const tree = {
      "src/core/a.ts": 'import { b } from "./b.ts"; export const a = () => b;',
      "src/core/b.ts": 'import { c } from "./c.ts"; export const b = () => c;',
      "src/core/c.ts": 'import { a } from "./a.ts"; export const c = () => a;',
      "src/core/d.ts": 'import { a } from "./a.ts"; export const d = a;',
    };
    const files = Object.entries(tree).map(([path, text]) => parseSource(path, text));
    const violations = checkLayers(files, RULES_WITHOUT_DOORS);
    expect(violations.map(({ rule, message }) => `${rule} ${message}`)).toEqual([
      "cycle imports itself: src/core/a.ts -> src/core/b.ts -> src/core/c.ts",
    ]);
  });

  test("two rings that share no file are two", () => {
    const ring = (one: string, two: string): Record<string, string> => ({
      [`src/core/${one}.ts`]: `import { x } from "./${two}.ts"; export const y = () => x;`,
      [`src/core/${two}.ts`]: `import { y } from "./${one}.ts"; export const x = () => y;`,
    });
    expect(violationsIn({ ...ring("a", "b"), ...ring("c", "d") })).toHaveLength(2);
  });

  test("a ring is found when its files import something outside it, too", () => {
    const tree = {
      "src/core/a.ts": "export const a = 1;",
      "src/core/b.ts": 'import { c } from "./c.ts"; import { a } from "./a.ts"; export const b = () => a + c;',
      "src/core/c.ts": 'import { b } from "./b.ts"; export const c = 1; b();',
    };
    expect(violationsIn(tree)).toEqual(["src/core/b.ts:1 cycle"]);
  });

  test("a file that imports itself is a ring", () => {
    expect(violationsIn({ "src/core/a.ts": 'import { a } from "./a.ts"; export const b = a;' })).toEqual([
      "src/core/a.ts:1 cycle",
    ]);
  });

  test("types may point both ways: nothing of them is left when the program runs", () => {
    const tree = {
      "src/core/a.ts": 'import type { B } from "./b.ts"; export const a = (b: B) => b;',
      "src/core/b.ts": 'import { a } from "./a.ts"; export type B = number; a(1);',
    };
    expect(violationsIn(tree)).toEqual([]);
  });
});
