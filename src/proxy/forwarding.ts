/**
 * What becomes of fields that say where a request came from. They are only as good as who wrote them: what strangers say is replaced
 * by our own account, and what a trusted proxy in front of us says is replaced, added to or kept, as the pool has it.
 */
import { OURS_TO_TELL } from "../h3/claims.ts";
import type { ForwardingSettings } from "../config/snapshot.ts";
import { type FieldName, fieldSet } from "../core/field-names.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { FieldSection } from "../core/fields.ts";
import { isListed } from "../h3/hop-by-hop.ts";
import { type Provenance, TOLD } from "./provenance.ts";

/** What is done with the fields of one request. */
export type ForwardingMode = ForwardingSettings["mode"];

/** The pool's mode for trusted peers, and `overwrite` for all others. */
export function forwardingMode({ mode, trustedProxies }: ForwardingSettings, provenance: Provenance): ForwardingMode {
  return mode !== "overwrite" && provenance.isOneOf(trustedProxies) ? mode : "overwrite";
}

/** Of every request: written anew where they belong, or nobody's business behind us. */
const ALWAYS_LEFT: readonly FieldName[] = [
  "host",
  "content-length",
  "x-request-id",
  "traceparent",
  "tracestate",
  "proxy",
  "early-data",
  // Nobody in front of us can speak for the certificate of a client of ours (RFC 9440 2.4).
  "client-cert",
  "client-cert-chain",
  // Credentials for a proxy are for us, and we ask for none.
  "proxy-authorization",
];

/** By mode, the names that are not copied; some of them are written at the end. Those that have no list form stay a trusted peer's. */
export const LEFT_BEHIND: Readonly<Record<ForwardingMode, Uint8Array>> = {
  overwrite: fieldSet([...ALWAYS_LEFT, ...OURS_TO_TELL]),
  append: fieldSet([...ALWAYS_LEFT, "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]),
  preserve: fieldSet(ALWAYS_LEFT),
};

/**
 * Writes Via and our account of the request, or what becomes of it beside a trusted proxy's. `options` are the names that the
 * request's own Connection fields list: those are as good as absent.
 */
export function writeAccount(
  mode: ForwardingMode,
  ours: FieldSection,
  theirs: FieldSection,
  options: readonly string[],
  sendsForwarded: boolean,
  into: FieldWriter,
): void {
  const end = sendsForwarded ? TOLD.count : TOLD.forwarded;
  if (mode === "overwrite") {
    into.addRun(ours, 0, end);
    return;
  }
  into.addRun(ours, 0, TOLD.forwardedFor);
  for (let i = TOLD.forwardedFor; i < end; i++) {
    const at = theirs.find(ours.nameId(i));
    const theyTell = at >= 0 && !isListed(theirs, at, options);
    if (!theyTell) into.addFrom(ours, i);
    else if (mode === "append") into.addJoined(theirs, at, ", ", ours, i);
  }
}
