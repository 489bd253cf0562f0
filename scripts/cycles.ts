/** Import cycles, by Tarjan's algorithm. Imports of types only vanish when the program runs and make no cycle. */
import type { SourceFile } from "./source.ts";

/** The groups of files that import each other in a ring, each group sorted by path. */
export function findCycles(files: readonly SourceFile[]): string[][] {
  const known = new Set(files.map((file) => file.path));
  const edges = new Map<string, string[]>();
  for (const file of files) {
    const targets: string[] = [];
    for (const { target, typeOnly } of file.imports) {
      if (target !== null && !typeOnly && known.has(target)) targets.push(target);
    }
    edges.set(file.path, targets);
  }
  return stronglyConnected(edges).filter((group) => {
    const [only] = group;
    return group.length > 1 || (only !== undefined && edges.get(only)?.includes(only) === true);
  });
}

interface Mark {
  readonly index: number;
  low: number;
  open: boolean;
}

function stronglyConnected(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const marks = new Map<string, Mark>();
  const stack: string[] = [];
  const groups: string[][] = [];
  const visit = (path: string): Mark => {
    const mark: Mark = { index: marks.size, low: marks.size, open: true };
    marks.set(path, mark);
    stack.push(path);
    for (const target of edges.get(path) ?? []) {
      const seen = marks.get(target);
      if (seen === undefined) mark.low = Math.min(mark.low, visit(target).low);
      else if (seen.open) mark.low = Math.min(mark.low, seen.index);
    }
    if (mark.low === mark.index) {
      const group = stack.splice(stack.indexOf(path));
      for (const member of group) {
        const closed = marks.get(member);
        if (closed !== undefined) closed.open = false;
      }
      groups.push(group.sort());
    }
    return mark;
  };
  for (const path of edges.keys()) if (!marks.has(path)) visit(path);
  return groups;
}
