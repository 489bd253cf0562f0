/** What a listener learns of a client from its handshake: the certificate that it has shown, and the server that it has named. */
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import type { ClientAuthSettings } from "../config/client-auth.ts";
import type { ListenSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { type AskedHosts, Authorities } from "../proxy/authorities.ts";
import { type ClientIdentity, NOBODY } from "../proxy/client-identity.ts";
import type { Connection } from "../quic/connection.ts";
import { CERTIFICATE_EXPIRED } from "../quic/tls-alerts.ts";
import type { ServerIdentity } from "./certificates.ts";

/** Of one connection. */
export interface Introduction {
  readonly identity: ClientIdentity;
  /** Null: it may be asked for anything. */
  readonly asked: AskedHosts | null;
}

/** By the certificates and rules of a listener; those of new ones are made anew. */
export class Introductions {
  readonly #auth: ClientAuthSettings;
  readonly #authorities: Authorities | null;
  readonly #stranger: ClientIdentity;
  readonly #counters: Counters;

  constructor(identities: readonly ServerIdentity[], listen: ListenSettings, counters: Counters) {
    this.#auth = listen.clientAuth;
    this.#authorities = listen.refusesMisdirected ? new Authorities(identities, this.#auth.caFile !== null) : null;
    this.#stranger = { ...NOBODY, guarded: guardedFields(this.#auth) };
    this.#counters = counters;
  }

  /**
   * Of a connection that begins to take requests. Null: its client's certificate is not valid any more, and the connection is ended. TLS sees to
   * that in a handshake, but not where a session is resumed, which the certificate may have ended before.
   */
  of(connection: Connection, nowMs: number): Introduction | null {
    const { engine } = connection;
    const asked = this.#authorities?.connectionFor(engine.serverName()) ?? null;
    const chain = engine.peerCertificates();
    const [leaf] = chain;
    if (leaf === undefined) return { identity: this.#stranger, asked };
    const certificate = leaf.length > LEAF_BYTES_MAX ? null : parse(leaf);
    const isValid = certificate !== null && nowMs <= Date.parse(certificate.validTo);
    if (isValid) return { identity: this.#identityOf(certificate, chain), asked };
    this.#counters.clientCertificatesLapsed += 1;
    connection.close(false, CERTIFICATE_EXPIRED, "");
    return null;
  }

  #identityOf(certificate: X509Certificate, [leaf, ...others]: readonly Uint8Array[]): ClientIdentity {
    const { certificate: leafField, chain, subject, fingerprint } = this.#auth.fields;
    const subjectText = subjectOf(certificate.subject);
    const fields: [string, string][] = [];
    const add = (name: string | null, value: string): void => {
      if (name !== null && value !== "" && value.length <= LIMITS.clientIdentityBytesMax) fields.push([name, value]);
    };
    add(leafField, leaf === undefined ? "" : byteSequence(leaf));
    add(chain, others.map(byteSequence).join(", "));
    add(subject, subjectText);
    add(fingerprint, certificate.fingerprint256.replaceAll(":", "").toLowerCase());
    return {
      fields: fields.length === 0 ? null : FieldSection.of(fields),
      guarded: this.#stranger.guarded,
      subject: subjectText === "" ? NAMELESS : subjectText,
    };
  }
}

/** In base64 between two colons. */
const LEAF_BYTES_MAX = ((LIMITS.clientIdentityBytesMax - 2) / 4) * 3 - 2;

const NAMELESS = "(no subject)";

/** Names that are ours beside those that always are (`h3/claims.ts`). */
function guardedFields({ fields }: ClientAuthSettings): readonly string[] {
  return Object.values(fields).filter((name) => name !== null && !ALWAYS_GUARDED.has(name));
}

const ALWAYS_GUARDED: ReadonlySet<string> = new Set(["client-cert", "client-cert-chain"]);

/** RFC 9440 2.1, RFC 8941 3.3.5. */
function byteSequence(der: Uint8Array): string {
  return `:${Buffer.from(der).toString("base64")}:`;
}

/**
 * The name as RFC 4514 writes it, most specific part first, all that is no visible ASCII as `\` with two digits. The runtime gives the parts a
 * line each, the least specific first, with the RFC's escapes in them.
 */
export function subjectOf(lines: string): string {
  const text = lines
    .split("\n")
    .filter((line) => line !== "")
    .reverse()
    .join(",");
  let out = "";
  for (const byte of Buffer.from(text)) {
    out += byte >= VISIBLE_FIRST && byte <= VISIBLE_LAST ? String.fromCharCode(byte) : `\\${hexOf(byte)}`;
  }
  return out.endsWith("\\ ") ? `${out.slice(0, -1)}20` : out;
}

const VISIBLE_FIRST = 0x20;
const VISIBLE_LAST = 0x7e;

function hexOf(byte: number): string {
  return byte.toString(16).padStart(2, "0").toUpperCase();
}

function parse(der: Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(der);
  } catch {
    return null;
  }
}
