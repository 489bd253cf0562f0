/** Bun and what is in it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../src/core/assert.ts";
import { BUN_CRATES, BUN_LIBRARIES, BUN_POLYFILLS, type BunPart } from "./release.bun-parts.ts";
import { npmPurl, type Part, type PartsOptions } from "./release.part.ts";

const GROUP = "Bun, the runtime in the executable";

const RELINK = [
  "JavaScriptCore and WebKit are linked statically and are under the LGPL: whoever wants to change them may build Bun from its source",
  "(https://github.com/oven-sh/bun and https://github.com/oven-sh/WebKit; Bun's LICENSE.md tells how), and with that Bun make this",
  "program anew: `bun scripts/build.ts --executable=FILE` in Spooky's source.",
].join("\n");

/** The Bun of package-lock.json for the release's processor, then what is in it. */
export function bunParts({ root, arch }: PartsOptions): readonly Part[] {
  const name = `@oven/bun-linux-${arch === "x86_64" ? "x64" : "aarch64"}`;
  const { packages }: { packages: Record<string, { version: string; integrity: string }> } = JSON.parse(
    readFileSync(join(root, "package-lock.json"), "utf8"),
  );
  const { version, integrity } = must(packages[`node_modules/${name}`], `${name} is locked`);
  must(process.versions.bun === version ? version : null, "the Bun that runs this is the one that the release holds");
  const parts = [
    ...BUN_LIBRARIES.map((library) => partOf(library, `pkg:generic/${slug(library.name)}`)),
    ...BUN_CRATES.map((crate) => partOf(crate, `pkg:cargo/${crate.name}`)),
    ...BUN_POLYFILLS.map((polyfill) => partOf(polyfill, `pkg:npm/${polyfill.name}`)),
  ];
  const bun = {
    ...{
      name: "Bun",
      version,
      licence: "MIT",
      group: GROUP,
      copyright: "Its makers (https://github.com/oven-sh/bun) state no line of copyright.",
    },
    ...{ purl: npmPurl(name, version), texts: [], remark: RELINK },
    hash: {
      algorithm: "SHA-512" as const,
      hex: Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex"),
    },
    uses: parts.map(({ purl }) => purl),
  };
  return [bun, ...parts];
}

function partOf({ name, licence, home, copyright, versionKey }: BunPart, purl: string): Part {
  const version = process.versions[versionKey] ?? null;
  return {
    ...{ name, version, licence, copyright, group: GROUP, hash: null, uses: [], texts: [], remark: home },
    purl: `${purl}${version === null ? "" : `@${version}`}?via=bun`,
  };
}

function slug(name: string): string {
  return name
    .toLowerCase()
    .replace(/,.*/, "")
    .replaceAll(/[^a-z0-9+.-]+/g, "-");
}
