/** Fields that belong to one connection and go no further, in either direction (RFC 9110 7.6.1). */
import { FIELD, fieldSet } from "../core/field-names.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";

/** Those known by name, whether or not Connection lists them. HTTP2-Settings came with the upgrade of RFC 7540 3.2. */
export const HOP_BY_HOP = fieldSet([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "te",
]);

const NO_OPTIONS: readonly string[] = [];

/**
 * The names that Connection fields list, lower case; null when their lists are longer than `LIMITS.connectionOptionsMax`. HTTP/2 and
 * HTTP/3 messages have none, so only HTTP/1.1 pays for the strings.
 */
export function connectionOptions(section: FieldSection): readonly string[] | null {
  let i = section.find(FIELD.connection);
  if (i < 0) return NO_OPTIONS;
  const options: string[] = [];
  let elements = 0;
  for (; i >= 0; i = section.findFrom(FIELD.connection, i + 1)) {
    for (const element of section.loneValue(i).split(",", LIMITS.connectionOptionsMax + 1)) {
      // Empty ones count too (RFC 9110 5.6.1 asks to bear a reasonable number): a cut list must not pass for a whole one.
      elements += 1;
      const option = element.trim().toLowerCase();
      if (option.length > 0) options.push(option);
    }
    if (elements > LIMITS.connectionOptionsMax) return null;
  }
  return options;
}

/** Whether field `i` is one of those that Connection lists. */
export function isListed(section: FieldSection, i: number, options: readonly string[]): boolean {
  for (const option of options) {
    if (section.nameIs(i, option)) return true;
  }
  return false;
}
