/**
 * The project's own style checker, part of every test run: lengths, words, names, files that nobody imports, and habits that
 * the compiler does not refuse. Run by `bun run ok`; alone: `bun scripts/tidy.ts`.
 *
 * A rule may be broken where `EXCEPTIONS` says why. The list is a ratchet: an exception that is no longer needed, or that
 * allows more than is used, is itself reported.
 */
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { listFiles, readSources, type SourceFile, type Violation } from "./source.ts";
import { findDeadExports, findOrphans } from "./tidy.graph.ts";
import { checkSyntax } from "./tidy.syntax.ts";
import { checkFileLength, checkFileName, checkWords, type TextFile } from "./tidy.text.ts";

/** A rule that one file may break. `amountMax` is for rules about lengths: so long, and no longer. */
export interface Exception {
  readonly rule: string;
  readonly path: string;
  readonly amountMax?: number;
  readonly why: string;
}

/** What may be broken, and why. */
export const EXCEPTIONS: readonly Exception[] = [];

/** Files that nobody imports because they are where a program starts, and files that only tests and benchmarks import. */
const ENTRIES = ["src/main.ts", "src/main.compiled.ts", "ffi/quiche/client.ts"];

const SOURCE_FOLDERS = ["src", "ffi", "test", "scripts", "bench"];

/** Where only the words are looked at. */
const TEXT_FOLDERS = [...SOURCE_FOLDERS, "docs", "packaging"];
const TEXT_FILES = [
  "README.md",
  "CHANGELOG.md",
  "package.json",
  "tsconfig.json",
  "deno.json",
  "bunfig.toml",
  "quiche.build.sh",
];
const TEXT_KINDS = new Set([
  "",
  ".ts",
  ".sh",
  ".rs",
  ".c",
  ".h",
  ".md",
  ".json",
  ".yaml",
  ".yml",
  ".toml",
  ".py",
  ".txt",
]);

/** Everything that is not tidy. `texts` are the files of any kind, `sources` those of TypeScript. */
export function checkTidy(
  sources: readonly SourceFile[],
  texts: readonly TextFile[],
  exceptions: readonly Exception[],
): Violation[] {
  const found: Violation[] = [];
  for (const file of sources) found.push(...checkFileLength(file), ...checkFileName(file.path), ...checkSyntax(file));
  for (const text of texts) found.push(...checkWords(text));
  found.push(...findOrphans(sources, ENTRIES), ...findDeadExports(sources, ENTRIES));
  return applyExceptions(found, exceptions);
}

/** Takes out what is excepted; reports exceptions that are not needed, or wider than needed. */
function applyExceptions(found: readonly Violation[], exceptions: readonly Exception[]): Violation[] {
  const kept: Violation[] = [];
  const amounts = new Map<Exception, number>();
  for (const violation of found) {
    const amount = violation.amount ?? 0;
    const exception = exceptions.find(({ rule, path }) => rule === violation.rule && path === violation.path);
    if (exception === undefined || amount > (exception.amountMax ?? Infinity)) kept.push(violation);
    if (exception !== undefined) amounts.set(exception, Math.max(amount, amounts.get(exception) ?? 0));
  }
  for (const exception of exceptions) {
    const { path, rule, amountMax = 0 } = exception;
    const amount = amounts.get(exception);
    if (amount !== undefined && amount >= amountMax) continue;
    const message =
      amount === undefined ? `needs no exception to ${rule}` : `needs an exception to ${rule} of only ${amount}`;
    kept.push({ path, line: 1, rule: "exception", message });
  }
  return kept;
}

function readTexts(root: string): TextFile[] {
  const listed = TEXT_FILES.filter((path) => existsSync(join(root, path)));
  const paths = [...listFiles(root, TEXT_FOLDERS), ...listed].filter((path) => TEXT_KINDS.has(extname(path)));
  return paths.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

if (import.meta.main) {
  const root = join(import.meta.dir, "..");
  const texts = readTexts(root);
  const violations = checkTidy(readSources(root, SOURCE_FOLDERS), texts, EXCEPTIONS);
  for (const { path, line, rule, message } of violations) console.error(`${path}:${line}: ${rule}: ${message}`);
  console.log(`tidy: ${texts.length} files, ${violations.length} violations`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
