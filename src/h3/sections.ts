/** The field sections of events: heads and trailers, as copies, for the engine uses their memory again. */
import { FieldSection } from "../core/fields.ts";
import type { EngineSession } from "../quic/engine.ts";
import { type HeadLimits, Malformed, readRequestHead, type RequestHead } from "./head.ts";
import { readTrailers } from "./trailers.ts";

/** The head in the engine's last event. */
export function takeHead(engine: EngineSession, hasBody: boolean, limits: HeadLimits): RequestHead | Malformed {
  const section = takeSection(engine);
  if (section === null) return new Malformed("section-too-large");
  const head = readRequestHead(section, limits);
  if (head instanceof Malformed || hasBody || head.contentLengthBytes <= 0) return head;
  // RFC 9114 4.1.2: a body was promised and none follows.
  return new Malformed("body-length");
}

/** The trailers in the engine's last event. */
export function takeTrailers(engine: EngineSession): FieldSection | Malformed {
  const section = takeSection(engine);
  if (section === null) return new Malformed("section-too-large");
  return readTrailers(section) ?? section;
}

/** Null: it was too large. */
function takeSection({ section, sectionBytes }: EngineSession): FieldSection | null {
  return section === null ? null : FieldSection.from(section, sectionBytes);
}
