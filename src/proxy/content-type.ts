/** What a message's Content-Type tells of how it flows, read from bytes. */
import { FIELD } from "../core/field-names.ts";
import { startsWithIgnoringCase } from "../core/field-syntax.ts";
import type { FieldSection } from "../core/fields.ts";

/** gRPC in any of its codings. */
export function isGrpc(section: FieldSection): boolean {
  return hasType(section, "application/grpc");
}

/** Messages that may last as long as they like: gRPC and server-sent events. */
export function isOpenEnded(section: FieldSection): boolean {
  return hasType(section, "text/event-stream") || isGrpc(section);
}

/** `beginning` is in lower case. */
function hasType(section: FieldSection, beginning: string): boolean {
  const at = section.find(FIELD["content-type"]);
  return at >= 0 && startsWithIgnoringCase(section.bytes, section.valueAt(at), section.valueEnd(at), beginning);
}
