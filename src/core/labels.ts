/**
 * Names of numbers that are told apart by more than one word, such as a pool and one of its backends: `requests|api|api-01|GET|200`. They
 * travel among the counts of a process. One that begins with `=` is no count of events but how things are now.
 */

/** Stands for values beyond the most that are told apart. */
export const OTHER_LABEL = "(other)";
const SEPARATOR = "|";
const NOW = "=";
/** What has a meaning in names of counts, and the sign that stands before what stands for it. */
const SPECIAL = /[%|:]/g;
const ESCAPED = /%([0-9a-f]{2})/g;

/** The name of a count with the values of its labels. For slow paths: whoever counts keeps it. */
export function labelledName(name: string, values: readonly string[]): string {
  return [name, ...values.map(escaped)].join(SEPARATOR);
}

/** The name of what is now and may be otherwise soon. */
export function gaugeName(name: string, values: readonly string[] = []): string {
  return NOW + labelledName(name, values);
}

/** Has a name values of labels, or is it of what is now? */
export function isLabelled(name: string): boolean {
  return isGauge(name) || name.includes(SEPARATOR);
}

/** Is it a name of what is now? */
export function isGauge(name: string): boolean {
  return name.startsWith(NOW);
}

/** A name without its labels, and their values. */
export function readLabels(labelled: string): { readonly name: string; readonly values: readonly string[] } {
  const [name = "", ...values] = labelled.split(SEPARATOR);
  return { name, values: values.map(plain) };
}

function escaped(value: string): string {
  return value.replaceAll(SPECIAL, (character) => `%${character.charCodeAt(0).toString(16)}`);
}

function plain(value: string): string {
  if (!value.includes("%")) return value;
  return value.replaceAll(ESCAPED, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
