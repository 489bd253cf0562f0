/** Tidy's rules about syntax: function length, `any`, muted checks, and what the core of the program does not do. */
import { findGlobals } from "./globals.ts";
import { isNode, lineAt, nameOf, nodesIn, type SourceFile, type SyntaxNode, type Violation, walk } from "./source.ts";

/** The longest a function may be, in lines. */
const FUNCTION_LINES_MAX = 70;

/** The rules that look at one file's syntax. Those of the program itself are not applied to tests and scripts. */
export function checkSyntax(file: SourceFile): Violation[] {
  const found = [...checkFunctions(file), ...checkAny(file), ...checkMutings(file)];
  if (!/^(src|ffi)\//.test(file.path)) return found;
  return [...found, ...checkConsole(file), ...checkThrows(file), ...checkState(file), ...checkDocs(file)];
}

function checkFunctions(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  walk(file.program, (node, parent) => {
    if (!FUNCTIONS.has(node.type) || !isNode(node["body"]) || isGroupOfTests(parent)) return;
    const line = lineAt(file.lineStarts, node.start);
    const amount = lineAt(file.lineStarts, node.end - 1) - line + 1;
    if (amount <= FUNCTION_LINES_MAX) return;
    const name = nameOf(node) || nameOf(parent) || "a function";
    const message = `${name} has ${amount} lines; ${FUNCTION_LINES_MAX} are allowed`;
    found.push(at(file, node, "function-length", message, amount));
  });
  return found;
}

const FUNCTIONS: ReadonlySet<string> = new Set([
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
]);

/** `describe(name, () => {...})` is a chapter, not a function. */
function isGroupOfTests(parent: SyntaxNode | null): boolean {
  if (parent?.type !== "CallExpression" || !isNode(parent["callee"])) return false;
  const callee = parent["callee"];
  return nameOf(callee) === "describe" || nameOf(callee["object"]) === "describe";
}

function checkAny(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  walk(file.program, (node) => {
    if (node.type === "TSAnyKeyword")
      found.push(at(file, node, "any", "`any` switches the checks off; write `unknown` and narrow it"));
  });
  return found;
}

/** Comments that switch a check off. One that expects an error may stand in tests, with its reason on the line. */
function checkMutings(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  for (const comment of file.comments) {
    const mark = MUTING.exec(comment.value)?.[1];
    if (mark === undefined) continue;
    const allowed = file.path.startsWith("test/") && EXPECTING_WITH_REASON.test(comment.value);
    if (!allowed)
      found.push({
        ...place(file, comment.start),
        rule: "mute",
        message: `${mark} hides a fault; mend what it complains about`,
      });
  }
  return found;
}

const MUTING =
  /^[\s*]*(@ts-(?:ignore|nocheck|expect-error)|(?:eslint|biome|oxlint)-(?:disable|ignore)\S*|deno-lint-ignore\S*|prettier-ignore)/;
const EXPECTING_WITH_REASON = /@ts-expect-error\W+\w+/;

function checkConsole(file: SourceFile): Violation[] {
  return findGlobals(file, new Set(["console"])).map(({ line }) => ({
    path: file.path,
    line,
    rule: "console",
    message: "the program speaks through src/observe/log.ts, the command line through its own output",
  }));
}

function checkThrows(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  walk(file.program, (node) => {
    const thrown = node.type === "ThrowStatement" ? node["argument"] : null;
    if (!isNode(thrown) || thrown.type !== "NewExpression" || !PLAIN_ERRORS.has(nameOf(thrown["callee"]))) return;
    found.push(at(file, node, "throw", "throw a ProxyError (wrong input) or assert (wrong program)"));
  });
  return found;
}

const PLAIN_ERRORS: ReadonlySet<string> = new Set(["Error", "TypeError", "RangeError", "SyntaxError"]);

function checkState(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  for (const statement of nodesIn(file.program["body"])) {
    const declaration = isNode(statement["declaration"]) ? statement["declaration"] : statement;
    if (
      declaration.type !== "VariableDeclaration" ||
      declaration["kind"] === "const" ||
      declaration["declare"] === true
    )
      continue;
    found.push(
      at(file, declaration, "state", "a variable of a whole module: give it to an object that somebody makes"),
    );
  }
  return found;
}

/** Everything exported is documented. The further signatures of an overloaded function share the first one's words. */
function checkDocs(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  const documented = new Set<string>();
  for (const statement of nodesIn(file.program["body"])) {
    const declaration = statement["declaration"];
    if (statement.type !== "ExportNamedDeclaration" || !isNode(declaration)) continue;
    const name = nameOf(declaration) || nameOf(nodesIn(declaration["declarations"])[0]);
    if (hasDoc(file, statement) || documented.has(name)) documented.add(name);
    else found.push(at(file, statement, "doc", `${name} is exported and has no comment that says what it is`));
  }
  return found;
}

function hasDoc(file: SourceFile, statement: SyntaxNode): boolean {
  return file.comments.some(
    ({ type, value, end }) =>
      type === "CommentBlock" &&
      value.startsWith("*") &&
      end <= statement.start &&
      file.text.slice(end, statement.start).trim() === "",
  );
}

function at(file: SourceFile, node: SyntaxNode, rule: string, message: string, amount = 0): Violation {
  return { ...place(file, node.start), rule, message, amount };
}

function place(file: SourceFile, offset: number): { path: string; line: number } {
  return { path: file.path, line: lineAt(file.lineStarts, offset) };
}
