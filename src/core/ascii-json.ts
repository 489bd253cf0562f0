/** JSON that survives being cut anywhere between two bytes. */

const OTHERS = /[\u0080-\uffff]/g;

/** `JSON.stringify` in ASCII: everything else as `\\uXXXX`, which every reader of JSON takes for the character itself. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(OTHERS, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
