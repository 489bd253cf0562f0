/** Fields by which a client would speak in the place of this proxy. */
import type { FieldName } from "../core/field-names.ts";
import type { FieldSection } from "../core/fields.ts";

/**
 * What only we, or a proxy that we trust, may tell a backend. `proxy` is nobody's to tell: gateways turn it into HTTP_PROXY
 * (CVE-2016-5385).
 */
export const OURS_TO_TELL: readonly FieldName[] = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-prefix",
  "x-forwarded-server",
  "x-forwarded-scheme",
  "x-forwarded-ssl",
  "x-real-ip",
  "x-request-id",
  "client-cert",
  "client-cert-chain",
  "proxy",
];

/**
 * CGI and WSGI write `-` and `_` alike, and some servers (lighttpd) whatever is no letter and no digit, so a backend behind them
 * would take `x_forwarded_for` for the field that only we may write. What else a stranger's X-Forwarded fields claim, their
 * readers expect of a proxy and not of a client: Envoy's X-Forwarded-Client-Cert is one. `guarded` are further names of ours, lower case with
 * hyphens.
 */
export function isClaim(
  fields: FieldSection,
  i: number,
  isStranger: boolean,
  guarded: readonly string[] = NONE,
): boolean {
  const { bytes } = fields;
  const at = fields.nameAt(i);
  const end = fields.valueAt(i);
  if (isStranger && end - at > CLAIM_PREFIX.length && beginsFolded(bytes, at, CLAIM_PREFIX)) return true;
  if (guarded.length > 0 && isOneOf(fields, i, guarded)) return true;
  let marks = 0;
  for (let p = at; p < end; p++) {
    if (IS_MARK[bytes[p] ?? 0] === 1) marks += 1;
  }
  if (marks === 0) return false;
  return isOneOf(fields, i, OURS_TO_TELL);
}

function isOneOf(fields: FieldSection, i: number, names: readonly string[]): boolean {
  const at = fields.nameAt(i);
  const length = fields.valueAt(i) - at;
  for (const name of names) {
    if (name.length === length && beginsFolded(fields.bytes, at, name)) return true;
  }
  return false;
}

/** Whether the bytes from `at` on read as this name, as far as it goes. */
function beginsFolded(bytes: Uint8Array, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[at + i] ?? 0;
    if ((IS_MARK[byte] === 1 ? HYPHEN : byte) !== name.charCodeAt(i)) return false;
  }
  return true;
}

const NONE: readonly string[] = [];
const CLAIM_PREFIX = "x-forwarded-";
const HYPHEN = 0x2d;
/** 1 for what a name may hold besides letters, digits and hyphens. */
const IS_MARK = new Uint8Array(256).map((_, byte) => (/[a-z0-9-]/.test(String.fromCharCode(byte)) ? 0 : 1));
