/** Field sections for tests, made byte by byte and not by the writer under test. */
import { must } from "../../src/core/assert.ts";
import { FieldSection } from "../../src/core/fields.ts";
import type { Random } from "../../src/core/random.ts";

/** A name and a value, one byte per character. */
export type Field = readonly [name: string, value: string];

/** One byte per character. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The flat layout, with `gapBytes` of rubbish between table and bytes. */
export function flatOf(fields: readonly Field[], gapBytes: number = 0): Uint8Array {
  const text = fields.map(([name, value]) => name + value).join("");
  const bytesAt = 8 + 8 * fields.length + gapBytes;
  const flat = new Uint8Array(bytesAt + text.length).fill(0xa5);
  const view = new DataView(flat.buffer);
  view.setUint32(0, fields.length, true);
  view.setUint32(4, bytesAt, true);
  fields.forEach(([name, value], i) => {
    view.setUint32(8 + 8 * i, name.length, true);
    view.setUint32(12 + 8 * i, value.length, true);
  });
  flat.set(latin1(text), bytesAt);
  return flat;
}

/** A section with these fields. */
export function sectionOf(fields: readonly Field[]): FieldSection {
  return must(FieldSection.from(flatOf(fields)), "a test's section is well formed");
}

/** All fields of a section as strings. */
export function fieldsOf(section: FieldSection): Field[] {
  return Array.from({ length: section.count }, (_, i): Field => [section.name(i), section.value(i)]);
}

/** All fields of a flat section as strings. */
export function fieldsOfFlat(flat: Uint8Array): Field[] {
  return fieldsOf(must(FieldSection.from(flat), "the flat section is well formed"));
}

/** One of a list that is not empty. */
export function oneOf<T>(random: Random, list: readonly T[]): T {
  return must(list[random.nextBelow(list.length)], "the list is not empty");
}

/** Up to `lengthMax` characters of these; of all 256 when none are given. */
export function randomText(random: Random, lengthMax: number, characters: string = ""): string {
  let text = "";
  for (let length = random.nextBelow(lengthMax + 1); length > 0; length--) {
    text += characters === "" ? String.fromCharCode(random.nextBelow(256)) : oneOf(random, [...characters]);
  }
  return text;
}
