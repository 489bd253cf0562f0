/** Tidy's rules about files as text: length, name, words. */
import { isGenerated, type SourceFile, type Violation } from "./source.ts";

/** A file of any kind. `path` counts from the project's root. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** The longest a file may be, in lines. Tables of test cases and fixtures may be longer than code. */
const FILE_LINES_MAX = 320;
const TEST_FILE_LINES_MAX = 600;

/** A file is read in one sitting. Generated ones are not read. */
export function checkFileLength(file: SourceFile): Violation[] {
  const { path, text } = file;
  const max = /^(test|bench)\//.test(path) ? TEST_FILE_LINES_MAX : FILE_LINES_MAX;
  const amount = text.split("\n").length - 1;
  if (amount <= max || isGenerated(file)) return [];
  return [{ path, line: 1, rule: "file-length", message: `has ${amount} lines; ${max} are allowed`, amount }];
}

/** A file is named after what it exports, in small letters with dashes. */
export function checkFileName(path: string): Violation[] {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (VAGUE_NAME.test(name)) {
    return [{ path, line: 1, rule: "file-name", message: "says nothing; name the file after its main export" }];
  }
  if (PLAIN_NAME.test(name)) return [];
  return [{ path, line: 1, rule: "file-name", message: "write small letters, with dashes between words" }];
}

const VAGUE_NAME = /^(utils?|helpers?|common|misc|shared)\.(test\.)?ts$/;
const PLAIN_NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*\.ts$/;

/** What no file may contain, and what to do instead. Written in pieces, because this file is read as well. */
const WORDS: readonly { readonly rule: string; readonly pattern: RegExp; readonly instead: string }[] = [
  {
    rule: "word",
    pattern: /\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b/,
    instead: "do it now, or file an issue and say what is missing",
  },
  {
    rule: "path",
    pattern: /(^|[^\w.~$}-])\/(home|root|tmp|Users|work)\/[\w.]/,
    instead: "no paths of one machine: derive it from the file's own place or the system's temporary folder",
  },
  { rule: "blanks", pattern: /[ \t\r]+$/, instead: "take out the blanks at the end of the line" },
];

/** Lines with words that have no place in this project. */
export function checkWords({ path, text }: TextFile): Violation[] {
  const found: Violation[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    for (const { rule, pattern, instead } of WORDS) {
      const match = pattern.exec(line);
      if (match !== null)
        found.push({ path, line: index + 1, rule, message: `${JSON.stringify(match[0].trim())}: ${instead}` });
    }
  }
  return found;
}
