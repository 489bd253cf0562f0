/**
 * Proves the structure of the source: which file may import which, who may know the runtime, who may import a package. Run by
 * `bun run ok`; alone: `bun scripts/layers.ts`. The rules stand in one table, `RULES`.
 */
import { join } from "node:path";
import { findCycles } from "./cycles.ts";
import { findGlobals } from "./globals.ts";
import { type ImportReference, readSources, type SourceFile, type Violation } from "./source.ts";

/** A path: a file, or with a slash at the end everything below a folder. A star stands for any run of characters but slashes. */
type PathPattern = string;

/** What holds between the files of the project. */
export interface LayerRules {
  /** Row n may import rows 0..n. The longest pattern that fits a file decides. */
  readonly rows: readonly (readonly PathPattern[])[];
  /** Rows up to this one know no runtime: none of `runtimeNames`, no `node:` module. */
  readonly pureRowMax: number;
  /** Free names that tell of a clock, chance, input, output or a certain runtime. */
  readonly runtimeNames: readonly string[];
  /** A package or built-in module, and the only files that may import it. Each must be imported by one of them. */
  readonly doors: readonly { readonly specifier: string; readonly importers: readonly PathPattern[] }[];
  /** A free name, and the only files that may use it. */
  readonly names: readonly { readonly name: string; readonly users: readonly PathPattern[] }[];
  /** What a folder may import apart from itself, where the rows alone would allow more. */
  readonly walls: readonly { readonly folder: PathPattern; readonly mayImport: readonly PathPattern[] }[];
  /** Files for the use of few. */
  readonly reserved: readonly { readonly file: PathPattern; readonly importers: readonly PathPattern[] }[];
  /** Files outside the rows that some files may import. */
  readonly outside: readonly { readonly file: PathPattern; readonly importers: readonly PathPattern[] }[];
}

/** The rules of this project (docs/architecture/overview.md has the reasons). */
export const RULES: LayerRules = {
  rows: [
    ["src/core/"],
    ["src/config/", "src/route/", "src/balance/", "src/health/", "src/guard/"],
    ["src/quic/", "src/h3/", "src/h1/", "src/h2/"],
    ["src/proxy/"],
    ["ffi/", "src/runtime/", "src/upstream/", "src/observe/"],
    ["src/control/"],
    ["src/cli/", "src/main.ts", "src/main.compiled.ts"],
  ],
  pureRowMax: 3,
  runtimeNames: [
    ...["Bun", "Deno", "process", "global", "globalThis", "require", "console", "fetch", "crypto", "Buffer"],
    ...["Date.now", "new Date()", "performance", "Math.random", "queueMicrotask"],
    ...["setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval", "clearImmediate"],
  ],
  doors: [
    { specifier: "yaml", importers: ["src/config/parse.ts"] },
    { specifier: "@sinclair/typebox", importers: ["src/config/words.ts"] },
    { specifier: "murmurhash3js", importers: ["src/balance/hash-ring.ts"] },
    { specifier: "consola", importers: ["src/observe/log.ts"] },
    { specifier: "bun:ffi", importers: ["ffi/open.bun.ts"] },
    { specifier: "@peculiar/asn1-schema", importers: ["src/control/x509-writer.ts"] },
    { specifier: "@peculiar/asn1-x509", importers: ["src/control/x509-writer.ts"] },
    { specifier: "@babel/parser", importers: ["scripts/source.ts"] },
  ],
  names: [
    { name: "Deno.dlopen", users: ["ffi/open.deno.ts"] },
    { name: "Deno", users: ["src/runtime/", "ffi/*.deno.ts", "test/", "scripts/", "bench/"] },
    { name: "Bun", users: ["src/runtime/", "ffi/*.bun.ts", "test/", "scripts/", "bench/"] },
  ],
  walls: [{ folder: "ffi/", mayImport: ["src/core/", "src/quic/engine*.ts", "src/runtime/"] }],
  reserved: [{ file: "ffi/quiche/client.ts", importers: ["test/", "bench/"] }],
  outside: [
    { file: "package.json", importers: ["src/cli/", "test/", "scripts/"] },
    { file: "dist/native/*", importers: ["src/main.compiled.ts", "test/"] },
  ],
};

/** Folders whose files may import anything of the project but what is reserved, and any package but those with a door. */
const FREE: readonly PathPattern[] = ["test/", "scripts/", "bench/"];

/** Everything that breaks a rule, in the order of the files. */
export function checkLayers(files: readonly SourceFile[], rules: LayerRules): Violation[] {
  const paths = new Set(files.map((file) => file.path));
  const violations: Violation[] = [];
  for (const file of files) {
    const row = rowOf(file.path, rules);
    if (row < 0 && !fits(file.path, FREE)) add(violations, file, 1, "row", "stands in no row of the table of layers");
    for (const reference of file.imports) checkImport(file, reference, paths, rules, violations);
    checkNames(file, row, rules, violations);
  }
  checkDoorsUsed(files, rules, violations);
  for (const cycle of findCycles(files)) {
    violations.push({ path: cycle[0] ?? "", line: 1, rule: "cycle", message: `imports itself: ${cycle.join(" -> ")}` });
  }
  return violations;
}

function checkImport(
  file: SourceFile,
  reference: ImportReference,
  paths: ReadonlySet<string>,
  rules: LayerRules,
  violations: Violation[],
): void {
  const { target, line } = reference;
  if (target === null) return checkPackage(file, reference, rules, violations);
  const outside = rules.outside.find((entry) => fits(target, [entry.file]));
  if (outside !== undefined) {
    if (!fits(file.path, outside.importers)) add(violations, file, line, "outside", `may not import ${target}`);
    return;
  }
  if (!target.endsWith(".ts")) {
    if (!fits(file.path, FREE)) add(violations, file, line, "outside", `may not import ${target}`);
    return;
  }
  if (!paths.has(target)) return add(violations, file, line, "missing", `imports ${target}, which is not there`);
  for (const { file: reserved, importers } of rules.reserved) {
    if (fits(target, [reserved]) && !fits(file.path, importers)) {
      add(violations, file, line, "reserved", `imports ${target}, which is for ${importers.join(" and ")} only`);
    }
  }
  if (fits(file.path, FREE)) return;
  const row = rowOf(file.path, rules);
  const targetRow = rowOf(target, rules);
  if (targetRow < 0) add(violations, file, line, "layer", `imports ${target}, which no part of the program may import`);
  if (targetRow > row) add(violations, file, line, "layer", `row ${row} imports ${target} of row ${targetRow}`);
  for (const wall of rules.walls) {
    if (fits(file.path, [wall.folder]) && !fits(target, [wall.folder, ...wall.mayImport])) {
      add(violations, file, line, "wall", `${wall.folder} may not import ${target}`);
    }
  }
}

function checkPackage(file: SourceFile, reference: ImportReference, rules: LayerRules, violations: Violation[]): void {
  const { specifier, line } = reference;
  const door = rules.doors.find(
    (entry) => specifier === entry.specifier || specifier.startsWith(`${entry.specifier}/`),
  );
  if (door !== undefined) {
    if (!fits(file.path, door.importers)) {
      add(violations, file, line, "door", `imports ${specifier}; only ${door.importers.join(", ")} may`);
    }
    return;
  }
  if (fits(file.path, FREE)) return;
  if (!specifier.startsWith("node:")) {
    add(violations, file, line, "door", `imports ${specifier}, which has no door in the table`);
  } else if (rowOf(file.path, rules) <= rules.pureRowMax) {
    add(
      violations,
      file,
      line,
      "runtime",
      `rows 0 to ${rules.pureRowMax} know no runtime, but this imports ${specifier}`,
    );
  }
}

function checkNames(file: SourceFile, row: number, rules: LayerRules, violations: Violation[]): void {
  const pure = row >= 0 && row <= rules.pureRowMax;
  const restricted = rules.names.filter((entry) => !fits(file.path, entry.users));
  const wanted = new Set([...restricted.map((entry) => entry.name), ...(pure ? rules.runtimeNames : [])]);
  for (const { name, line } of findGlobals(file, wanted)) {
    const users = restricted.find((entry) => entry.name === name)?.users;
    if (pure)
      add(violations, file, line, "runtime", `rows 0 to ${rules.pureRowMax} know no runtime, but this uses ${name}`);
    else add(violations, file, line, "name", `uses ${name}; only ${(users ?? []).join(", ")} may`);
  }
}

function checkDoorsUsed(files: readonly SourceFile[], rules: LayerRules, violations: Violation[]): void {
  for (const { specifier, importers } of rules.doors) {
    const used = files.some(
      (file) =>
        fits(file.path, importers) &&
        file.imports.some(
          (reference) => reference.specifier === specifier || reference.specifier.startsWith(`${specifier}/`),
        ),
    );
    const path = importers[0] ?? "";
    if (!used)
      violations.push({ path, line: 1, rule: "door", message: `is the door of ${specifier} and does not import it` });
  }
}

/** The row of a path, or -1. */
function rowOf(path: string, rules: LayerRules): number {
  return rules.rows.findIndex((patterns) => fits(path, patterns));
}

function fits(path: string, patterns: readonly PathPattern[]): boolean {
  return patterns.some((pattern) => {
    if (pattern.endsWith("/")) return path.startsWith(pattern);
    const star = pattern.indexOf("*");
    if (star < 0) return path === pattern;
    const [before, after] = [pattern.slice(0, star), pattern.slice(star + 1)];
    const middle = path.slice(before.length, path.length - after.length);
    return (
      path.length >= pattern.length - 1 && path.startsWith(before) && path.endsWith(after) && !middle.includes("/")
    );
  });
}

function add(violations: Violation[], file: SourceFile, line: number, rule: string, message: string): void {
  violations.push({ path: file.path, line, rule, message });
}

if (import.meta.main) {
  const files = readSources(join(import.meta.dir, ".."), ["src", "ffi", "test", "scripts", "bench"]);
  const violations = checkLayers(files, RULES);
  for (const { path, line, rule, message } of violations) console.error(`${path}:${line}: ${rule}: ${message}`);
  console.log(`layers: ${files.length} files, ${violations.length} violations`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
