/** The parts of a page of documentation that can be checked: fenced blocks, headings, links, words in code. */

/** A fenced block. */
export interface Block {
  /** Line of the opening fence, from 1. */
  readonly line: number;
  /** First word after the fence; "" when there is none. */
  readonly language: string;
  /** Whose it is, where it is not ours: the second word after the fence. */
  readonly owner: string;
  readonly text: string;
}

/** Something of a line. */
export interface Found {
  readonly line: number;
  readonly text: string;
}

export interface Page {
  /** From the project's root. */
  readonly path: string;
  readonly blocks: readonly Block[];
  /** Anchors as GitHub makes them, without `#`. */
  readonly anchors: ReadonlySet<string>;
  /** Targets of links. */
  readonly links: readonly Found[];
  /** Lines at which a block by indentation begins. */
  readonly indented: readonly number[];
  /** What stands between backticks in running text. */
  readonly codes: readonly Found[];
}

const FENCE = /^ {0,3}```\s*(\S*)\s*(\S*).*$/;

export function readPage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const anchors = new Set<string>();
  const links: Found[] = [];
  const codes: Found[] = [];
  const indented: number[] = [];
  /** The last line that was neither blank nor indented, and whether the one before was blank. */
  let outer = "";
  let afterBlank = true;
  let open: { line: number; language: string; owner: string; lines: string[] } | null = null;
  for (const [index, row] of text.split("\n").entries()) {
    const line = index + 1;
    const fence = FENCE.exec(row);
    if (open !== null) {
      if (fence !== null && fence[1] === "") {
        blocks.push({ line: open.line, language: open.language, owner: open.owner, text: open.lines.join("\n") });
        open = null;
      } else open.lines.push(row);
    } else if (fence !== null) {
      open = { line, language: fence[1] ?? "", owner: fence[2] ?? "", lines: [] };
    } else {
      if (afterBlank && /^( {4}|\t)/.test(row) && !/^([-*+]|\d+\.) /.test(outer)) indented.push(line);
      if (/^\S/.test(row)) outer = row;
      afterBlank = row.trim() === "";
      const heading = /^#{1,6}\s+(.*)$/.exec(row);
      if (heading !== null) anchors.add(freeAnchor(anchors, heading[1] ?? ""));
      for (const match of row.matchAll(/`([^`]+)`/g)) codes.push({ line, text: match[1] ?? "" });
      for (const match of row.replaceAll(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g))
        links.push({ line, text: match[1] ?? "" });
    }
  }
  if (open !== null) blocks.push({ line: open.line, language: "(fence without end)", owner: "", text: "" });
  return { path, blocks, anchors, indented, links, codes };
}

/** A heading that comes again gets a number. */
function freeAnchor(taken: ReadonlySet<string>, heading: string): string {
  const plain = heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
  let anchor = plain;
  for (let n = 1; taken.has(anchor); n++) anchor = `${plain}-${n}`;
  return anchor;
}
