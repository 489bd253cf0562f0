/** THIRD-PARTY-LICENSES: what the executable is made of beside the project's own source, and under which terms. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Part } from "./release.part.ts";

const RULE = "-".repeat(80);

/** Debian has the texts that many packages name and few hold. */
const COMMON = "/usr/share/common-licenses";
const COMMON_TEXTS = ["Apache-2.0", "LGPL-2", "LGPL-2.1", "MPL-2.0"];

/** The whole file. `folder` holds texts of licences without names in them, in files that are called by the licence. */
export function licencesText(parts: readonly Part[], folder: string): string {
  const groups = [...new Set(parts.map(({ group }) => group))];
  return [
    "Spooky is under the MIT licence, whose text is in the file LICENSE. Its executable holds works of others. They are listed first, then",
    "the texts of their licences follow as their makers hand them out. Where a licence may be chosen, the texts are those of the chosen one.",
    "Bun's package holds no texts: its parts are told of with their lines of copyright and where they are from, and the texts are at the end.",
    "What is under MPL-2.0 is used as it is on crates.io, where its source is.",
    "",
    ...groups.flatMap((group) => [group, "", ...parts.filter((part) => part.group === group).map(line), ""]),
    ...parts.flatMap((part) => details(part)),
    ...COMMON_TEXTS.flatMap((name) => text(name, join(COMMON, name))),
    ...readdirSync(folder)
      .sort()
      .flatMap((file) => text(file.replace(".txt", ""), join(folder, file))),
  ].join("\n");
}

function text(name: string, path: string): readonly string[] {
  return [RULE, `The text of ${name}`, "", readFileSync(path, "utf8").trim(), ""];
}

function title({ name, version }: Part): string {
  return version === null ? name : `${name} ${version}`;
}

function line(part: Part): string {
  return `  ${title(part).padEnd(40)} ${part.licence}`;
}

function details(part: Part): readonly string[] {
  const lines = [part.copyright, part.remark].filter((told) => told !== "").flatMap((told) => [told, ""]);
  if (part.texts.length === 0 && lines.length === 0) return [];
  return [RULE, `${title(part)} (${part.licence})`, "", ...lines, ...part.texts.flatMap((told) => [told.trim(), ""])];
}
