/**
 * What an ELF file of 64 bits asks of the system that loads it: libraries, and the versions of their symbols. Read from the section of
 * needed versions (System V ABI, "Symbol Versioning"; `objdump -T` reads the same).
 */
import { must } from "../../src/core/assert.ts";

const SECTION_DYNAMIC = 6;
const SECTION_VERSION_NEEDS = 0x6fff_fffe;
const TAG_NEEDED = 1;

/** What is asked for. */
export interface ElfNeeds {
  /** 62: x86_64, 183: aarch64. */
  readonly machine: number;
  readonly libraries: readonly string[];
  /** Such as `GLIBC_2.17`. */
  readonly versions: readonly string[];
}

interface Section {
  readonly type: number;
  readonly at: number;
  readonly size: number;
  readonly link: number;
}

/** Reads a file, or one that begins at `start` inside another. */
export function elfNeeds(bytes: Uint8Array, start = 0): ElfNeeds {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  const sections = sectionsOf(view);
  const text = (section: Section, offset: number): string => {
    const from = section.at + offset;
    let end = from;
    while (view.getUint8(end) !== 0) end++;
    return Buffer.from(view.buffer, view.byteOffset + from, end - from).toString("latin1");
  };
  const libraries: string[] = [];
  const versions: string[] = [];
  for (const section of sections) {
    const names = (): Section => must(sections[section.link], "a section of names is linked");
    if (section.type === SECTION_DYNAMIC) {
      for (let at = section.at; at < section.at + section.size; at += 16) {
        if (view.getBigInt64(at, true) === BigInt(TAG_NEEDED))
          libraries.push(text(names(), view.getUint32(at + 8, true)));
      }
    }
    if (section.type === SECTION_VERSION_NEEDS)
      versions.push(...neededVersions(view, section).map((at) => text(names(), at)));
  }
  return { machine: view.getUint16(18, true), libraries, versions };
}

function sectionsOf(view: DataView): readonly Section[] {
  const at = Number(view.getBigUint64(40, true));
  const size = view.getUint16(58, true);
  return Array.from({ length: view.getUint16(60, true) }, (_, index) => {
    const header = at + index * size;
    return {
      type: view.getUint32(header + 4, true),
      at: Number(view.getBigUint64(header + 24, true)),
      size: Number(view.getBigUint64(header + 32, true)),
      link: view.getUint32(header + 40, true),
    };
  });
}

/** Offsets of the versions' names: a chain of libraries, each with a chain of versions. */
function neededVersions(view: DataView, section: Section): readonly number[] {
  const names: number[] = [];
  for (let library = section.at; ;) {
    const count = view.getUint16(library + 2, true);
    let version = library + view.getUint32(library + 8, true);
    for (let index = 0; index < count; index++) {
      names.push(view.getUint32(version + 8, true));
      version += view.getUint32(version + 12, true);
    }
    const next = view.getUint32(library + 12, true);
    if (next === 0) return names;
    library += next;
  }
}

/** Where the shared library begins that is embedded in an executable: the ELF file after the first one that holds `mark`. */
export function embeddedElf(bytes: Buffer, mark: string): number {
  const magic = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const end = must(positive(bytes.lastIndexOf(mark)), "the library's mark is in the executable");
  return must(positive(bytes.lastIndexOf(magic, end)), "a library begins before its mark");
}

function positive(at: number): number | null {
  return at > 0 ? at : null;
}

/** The newest version of glibc that is asked for, as [major, minor]. */
export function newestGlibc({ versions }: ElfNeeds): readonly [number, number] {
  const found = versions.flatMap((name) => {
    const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(name) ?? [];
    return minor === undefined ? [] : [[Number(major), Number(minor)] as const];
  });
  return must(
    found.reduce<readonly [number, number] | null>(
      (best, one) => (best === null || one[0] > best[0] || (one[0] === best[0] && one[1] > best[1]) ? one : best),
      null,
    ),
    "the file asks for a version of glibc",
  );
}
