/** The bill of materials of a release, in the form of CycloneDX 1.6. The same parts give the same text: its number follows from them. */
import { createHash } from "node:crypto";
import type { Part } from "./release.part.ts";

/** What is told of. */
export interface SbomOptions {
  readonly version: string;
  readonly commit: string;
  readonly arch: string;
  /** When the commit was made, in seconds. */
  readonly epochS: number;
  /** Of the executable. */
  readonly sha256: string;
  /** Names and versions of what built it. */
  readonly tools: readonly (readonly [string, string])[];
}

/** The document as text. */
export function sbomText(parts: readonly Part[], options: SbomOptions): string {
  const root = `pkg:generic/spooky@${options.version}?arch=${options.arch}`;
  // What another part uses is reached by that one.
  const used = new Set(parts.flatMap(({ uses }) => uses));
  const direct = parts.filter(({ purl }) => !used.has(purl)).map(({ purl }) => purl);
  const body = {
    metadata: {
      timestamp: new Date(options.epochS * 1000).toISOString(),
      tools: { components: options.tools.map(([name, version]) => ({ type: "application", name, version })) },
      component: {
        type: "application",
        "bom-ref": root,
        name: "spooky",
        version: options.version,
        purl: root,
        licenses: [{ license: { id: "MIT" } }],
        hashes: [{ alg: "SHA-256", content: options.sha256 }],
        properties: [{ name: "spooky:commit", value: options.commit }],
      },
    },
    components: parts.map(component),
    dependencies: [
      { ref: root, dependsOn: direct },
      ...parts.map(({ purl, uses }) => (uses.length === 0 ? { ref: purl } : { ref: purl, dependsOn: uses })),
    ],
    // Neither tells all that is in it.
    compositions: [{ aggregate: "incomplete", dependencies: parts.filter(isOpaque).map(({ purl }) => purl) }],
  };
  const document = { bomFormat: "CycloneDX", specVersion: "1.6", serialNumber: numberOf(body), version: 1, ...body };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function isOpaque({ name }: Part): boolean {
  return name === "Bun" || name === "Rust's standard library";
}

function component(part: Part): object {
  return {
    type: part.name === "Bun" ? "platform" : "library",
    "bom-ref": part.purl,
    name: part.name,
    ...(part.version === null ? {} : { version: part.version }),
    purl: part.purl,
    licenses: [{ expression: part.licence }],
    ...(part.copyright === "" ? {} : { copyright: part.copyright }),
    ...(part.hash === null ? {} : { hashes: [{ alg: part.hash.algorithm, content: part.hash.hex }] }),
    ...(part.remark === "" ? {} : { description: part.remark }),
  };
}

/** A UUID of version 8, whose bits are its maker's: those of the content's checksum. */
function numberOf(body: object): string {
  const hex = createHash("sha256").update(JSON.stringify(body)).digest("hex");
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return `urn:uuid:${groups.join("-")}`;
}
