/** Finds where a file uses names that it does not declare itself: the runtime's globals. Comments and strings do not count. */
import { isNode, lineAt, nameOf, nodesIn, type SourceFile, type SyntaxNode, walk } from "./source.ts";

/** One use of a global name. */
export interface GlobalUse {
  readonly name: string;
  readonly line: number;
}

/**
 * Uses of the wanted names. A plain name (`Bun`) means every use of that global, a dotted one (`Date.now`) that member only,
 * and `new Date()` the construction without arguments, which reads the clock.
 */
export function findGlobals(file: SourceFile, wanted: ReadonlySet<string>): GlobalUse[] {
  const declared = declaredNames(file.program);
  const uses: GlobalUse[] = [];
  walk(file.program, (node, parent, key) => {
    if (node.type !== "Identifier" || declared.has(nameOf(node)) || !isReference(parent, key)) return;
    for (const name of spellings(node, parent, key)) {
      if (wanted.has(name)) return void uses.push({ name, line: lineAt(file.lineStarts, node.start) });
    }
  });
  return uses;
}

/** The ways in which a reference may stand in the list, the most exact first. */
function spellings(node: SyntaxNode, parent: SyntaxNode | null, key: string): string[] {
  const name = nameOf(node);
  const dotted = parent?.type === "MemberExpression" && key === "object" ? nameOf(parent["property"]) : "";
  const qualified = parent?.type === "TSQualifiedName" && key === "left" ? nameOf(parent["right"]) : "";
  const found = [name];
  if (dotted !== "") found.unshift(`${name}.${dotted}`);
  if (qualified !== "") found.unshift(`${name}.${qualified}`);
  const constructs = parent?.type === "NewExpression" && key === "callee" && nodesIn(parent["arguments"]).length === 0;
  if (constructs) found.unshift(`new ${name}()`);
  return found;
}

/** False for identifiers that only name a member, a key or a label. */
function isReference(parent: SyntaxNode | null, key: string): boolean {
  if (parent === null) return true;
  const computed = parent["computed"] === true;
  if (key === "property" && parent.type === "MemberExpression") return computed;
  if (key === "key") return computed;
  if (key === "right" && parent.type === "TSQualifiedName") return false;
  if (key === "imported" || key === "exported" || key === "label" || parent.type === "MetaProperty") return false;
  return true;
}

/** Names bound anywhere in the file: variables, parameters, functions, classes, types and imports. */
function declaredNames(program: SyntaxNode): Set<string> {
  const names = new Set<string>();
  walk(program, (node, _parent, key) => {
    if (key === "id" || key === "param") bind(node, names);
    if (key === "local") names.add(nameOf(node));
    for (const parameter of nodesIn(node["params"])) bind(parameter, names);
  });
  return names;
}

/** Adds the names that a pattern binds; other nodes bind none. */
function bind(pattern: SyntaxNode, names: Set<string>): void {
  switch (pattern.type) {
    case "Identifier":
      names.add(nameOf(pattern));
      return;
    case "ObjectPattern":
      for (const property of nodesIn(pattern["properties"])) {
        const value = property.type === "RestElement" ? property["argument"] : property["value"];
        if (isNode(value)) bind(value, names);
      }
      return;
    case "ArrayPattern":
      for (const element of nodesIn(pattern["elements"])) bind(element, names);
      return;
    case "AssignmentPattern":
      if (isNode(pattern["left"])) bind(pattern["left"], names);
      return;
    case "RestElement":
      if (isNode(pattern["argument"])) bind(pattern["argument"], names);
      return;
  }
}
