/** Tidy's rules about what is used: files that nobody imports and exports that nobody asks for. */
import {
  isGenerated,
  isNode,
  lineAt,
  nameOf,
  nodesIn,
  type SourceFile,
  type SyntaxNode,
  type Violation,
  walk,
} from "./source.ts";

/**
 * Files of the program that no other file of the program imports, and files of the tests that no test does. A file counts
 * as used when its name stands in a string, too: that is how a script that runs as another process is named.
 */
export function findOrphans(files: readonly SourceFile[], entries: readonly string[]): Violation[] {
  const imported = new Set<string>();
  const named = new Set<string>();
  for (const file of files) {
    for (const { target } of file.imports) {
      if (target !== null && target !== file.path && (isProgram(file.path) || !isProgram(target))) imported.add(target);
    }
    if (file.path !== LIST_OF_EXCEPTIONS) for (const name of fileNamesInStrings(file)) named.add(name);
  }
  const found: Violation[] = [];
  for (const { path } of files) {
    if (/^(scripts|bench)\//.test(path) || path.endsWith(".test.ts") || entries.includes(path)) continue;
    if (imported.has(path) || named.has(baseName(path))) continue;
    const message = isProgram(path) ? "no file of the program imports it" : "no test imports it";
    found.push({ path, line: 1, rule: "orphan", message });
  }
  return found;
}

/** Functions, classes and values that a file of the program exports and no other file, tests included, imports by name. */
export function findDeadExports(files: readonly SourceFile[], entries: readonly string[]): Violation[] {
  const asked = new Map<string, Set<string>>();
  const askedWhole = new Set<string>();
  for (const file of files) {
    for (const { target, names } of file.imports) {
      if (target === null || target === file.path) continue;
      if (names === null) askedWhole.add(target);
      else asked.set(target, new Set([...(asked.get(target) ?? []), ...names]));
    }
  }
  const found: Violation[] = [];
  for (const file of files) {
    const { path } = file;
    if (!isProgram(path) || entries.includes(path) || askedWhole.has(path) || isGenerated(file)) continue;
    for (const { name, node } of exportedValues(file.program)) {
      if (asked.get(file.path)?.has(name) === true) continue;
      const line = lineAt(file.lineStarts, node.start);
      found.push({
        path: file.path,
        line,
        rule: "dead-export",
        message: `nobody imports ${name}: take out the word export, or the thing`,
      });
    }
  }
  return found;
}

/** What may break a rule is named there, and is not used by that. */
const LIST_OF_EXCEPTIONS = "scripts/tidy.ts";

function isProgram(path: string): boolean {
  return path.startsWith("src/") || path.startsWith("ffi/");
}

function* exportedValues(program: SyntaxNode): Generator<{ name: string; node: SyntaxNode }> {
  for (const node of nodesIn(program["body"])) {
    const declaration = node["declaration"];
    if (node.type !== "ExportNamedDeclaration" || !isNode(declaration)) continue;
    if (declaration.type === "FunctionDeclaration" || declaration.type === "ClassDeclaration") {
      yield { name: nameOf(declaration), node };
    }
    for (const declarator of nodesIn(declaration["declarations"])) yield { name: nameOf(declarator), node };
  }
}

function fileNamesInStrings(file: SourceFile): Set<string> {
  const importing = new Set(file.imports.map((reference) => reference.specifier));
  const names = new Set<string>();
  walk(file.program, (node) => {
    const value =
      node.type === "Literal" ? node["value"] : node.type === "TemplateElement" ? cooked(node["value"]) : null;
    if (typeof value === "string" && value.endsWith(".ts") && !importing.has(value)) names.add(baseName(value));
  });
  return names;
}

function cooked(value: unknown): unknown {
  return typeof value === "object" && value !== null && "cooked" in value ? value.cooked : null;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
