/** Counts the tests in a JUnit report, the form that Bun's test runner writes. */

/** What became of the tests. Names are `file: group > test`. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
  /** Every file with a test in the report. */
  readonly files: ReadonlySet<string>;
}

/** Reads a report. Every `<testcase>` counts once, by the first of failure, error or skip that stands in it. */
export function countTests(xml: string): TestCounts {
  const failed: string[] = [];
  const skipped: string[] = [];
  const files = new Set<string>();
  let passed = 0;
  // Attributes cannot hold `>` or `<`: the writer escapes them. Failure texts are escaped as well.
  for (const [, attributes = "", , content = ""] of xml.matchAll(/<testcase\b([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const file = attribute(attributes, "file");
    const group = attribute(attributes, "classname");
    const name = `${file}: ${group === "" ? "" : `${group} > `}${attribute(attributes, "name")}`;
    files.add(file);
    if (/<(failure|error)\b/.test(content)) failed.push(name);
    else if (/<skipped\b/.test(content)) skipped.push(name);
    else passed += 1;
  }
  return { passed, failed, skipped, files };
}

function attribute(attributes: string, name: string): string {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  return value.replace(/&(?:#(x?)([0-9a-fA-F]+)|(lt|gt|quot|apos|amp));/g, (_whole, hex, digits, entity) =>
    typeof entity === "string"
      ? (ENTITIES[entity] ?? "")
      : String.fromCodePoint(parseInt(String(digits), hex === "x" ? 16 : 10)),
  );
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
