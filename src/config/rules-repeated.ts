/** What rules over lists share: their items, and what must not stand in them twice. */
import { type ConfigNode, positionText, stringOf } from "./document.ts";
import { type ProblemList, quoted } from "./problem.ts";

/** Those of a list; none of anything else. */
export function itemsOf(node: ConfigNode | null): readonly ConfigNode[] {
  return node?.kind === "list" ? node.items : [];
}

/** Reports every text that stood before. `normal` gives what is compared, null for texts that are wrong anyway. */
export function reportRepeated(
  nodes: readonly (ConfigNode | null)[],
  normal: (text: string) => string | null,
  where: string,
  problems: ProblemList,
): void {
  const firsts = new Map<string, ConfigNode>();
  for (const node of nodes) {
    const text = stringOf(node);
    const name = text === null ? null : normal(text);
    if (node === null || name === null) continue;
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, node);
    else {
      const wrong = `${quoted(name)} is already at ${positionText(first.valueAt)}`;
      problems.add(node.valueAt, node.path, { wrong, expected: `each only once ${where}` });
    }
  }
}
