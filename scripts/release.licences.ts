/** THIRD-PARTY-LICENSES: what the executable is made of beside the project's own source, and under which terms. */
import { readFileSync } from "node:fs";
import type { Part } from "./release.part.ts";

const RULE = "-".repeat(80);

/** Debian has the texts that many packages name and few hold. */
const COMMON = "/usr/share/common-licenses";
const COMMON_TEXTS = ["Apache-2.0", "LGPL-2", "LGPL-2.1"];

/** The whole file. */
export function licencesText(parts: readonly Part[]): string {
  const groups = [...new Set(parts.map(({ group }) => group))];
  return [
    "Spooky is under the MIT licence, whose text is in the file LICENSE. Its executable holds works of others. They are listed first, then",
    "the texts of their licences follow as their makers hand them out. Where a licence may be chosen, the texts are those of the chosen one.",
    "Bun tells the licences of its parts and where they are from, and holds no texts of them.",
    "",
    ...groups.flatMap((group) => [group, "", ...parts.filter((part) => part.group === group).map(line), ""]),
    ...parts.flatMap((part) => details(part)),
    ...COMMON_TEXTS.flatMap((name) => [
      RULE,
      `The text of ${name}`,
      "",
      readFileSync(`${COMMON}/${name}`, "utf8").trim(),
      "",
    ]),
  ].join("\n");
}

function title({ name, version }: Part): string {
  return version === null ? name : `${name} ${version}`;
}

function line(part: Part): string {
  return `  ${title(part).padEnd(40)} ${part.licence}`;
}

function details(part: Part): readonly string[] {
  if (part.texts.length === 0 && part.remark === "") return [];
  const remark = part.remark === "" ? [] : [part.remark, ""];
  return [RULE, `${title(part)} (${part.licence})`, "", ...remark, ...part.texts.flatMap((text) => [text.trim(), ""])];
}
