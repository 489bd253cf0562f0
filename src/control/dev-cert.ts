/**
 * Certificates for development and tests: ECDSA P-256, made on the spot, kept by nobody. A self-signed leaf is enough for the
 * demo; an authority with leaves under it is what tests of verification want.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { isIP } from "node:net";
import { ProxyError } from "../core/error.ts";

/** A certificate with its private key, both PEM. */
export interface DevAuthority {
  readonly certPem: string;
  /** PKCS #8. */
  readonly keyPem: string;
}

/** A server certificate. */
export interface DevCertificate extends DevAuthority {
  /** What a client must trust: the authority's certificate, or the leaf itself when it is self-signed. */
  readonly caPem: string;
}

/** What to make. */
export interface DevCertificateRequest {
  /** DNS names and IP literals; the first is the common name too. Default: localhost, 127.0.0.1 and ::1. */
  readonly names?: readonly string[];
  /** From `nowMs` on; 1 to 397. Default 30. */
  readonly validDays?: number;
  /** Milliseconds since the epoch, default now; an earlier one makes an expired certificate. */
  readonly nowMs?: number;
  /** The side of TLS that shows it. Default `server`. */
  readonly usage?: "server" | "client";
  /** Who signs; without it the certificate signs itself. */
  readonly ca?: DevAuthority;
}

/** Names a development certificate is for unless told otherwise. */
const DEV_CERTIFICATE_NAMES: readonly string[] = ["localhost", "127.0.0.1", "::1"];

/** Clients of some systems refuse a server certificate that is valid for more than 398 days; one is left for the borders. */
export const DEV_CERTIFICATE_DAYS_MAX = 397;

/** Makes a certificate. Throws `ProxyError` CERTIFICATE for names or days that no client would accept. */
export async function makeDevCertificate(request: DevCertificateRequest = {}): Promise<DevCertificate> {
  const names = request.names ?? DEV_CERTIFICATE_NAMES;
  checkNames(names);
  const keys = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const subjectName = `${PRODUCT} development certificate for ${names[0] ?? ""}`.slice(0, COMMON_NAME_CHARACTERS_MAX);
  const issuer = request.ca === undefined ? null : openAuthority(request.ca);
  const certPem = await write({
    ...validity(request),
    subjectName,
    issuerName: issuer?.name ?? subjectName,
    subject: keys.publicKey,
    issuer: issuer?.privateKey ?? keys.privateKey,
    names,
    isAuthority: false,
    usage: request.usage ?? "server",
  });
  return { certPem, keyPem: privatePem(keys.privateKey), caPem: request.ca?.certPem ?? certPem };
}

/** Makes an authority that signs leaves by `makeDevCertificate({ca})`. */
export async function makeDevAuthority(
  request: Pick<DevCertificateRequest, "validDays" | "nowMs"> = {},
): Promise<DevAuthority> {
  const keys = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  // Two authorities must not share a name: a client that knows both would try the wrong key first.
  const name = `${PRODUCT} development authority ${randomBytes(4).toString("hex")}`;
  const certPem = await write({
    ...validity(request),
    subjectName: name,
    issuerName: name,
    subject: keys.publicKey,
    issuer: keys.privateKey,
    names: [],
    isAuthority: true,
    usage: "server",
  });
  return { certPem, keyPem: privatePem(keys.privateKey) };
}

interface Draft {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subjectName: string;
  readonly issuerName: string;
  readonly subject: KeyObject;
  /** The issuer's private key. */
  readonly issuer: KeyObject;
  readonly names: readonly string[];
  readonly isAuthority: boolean;
  readonly usage: "server" | "client";
}

async function write(draft: Draft): Promise<string> {
  const { writeCertificate } = await import("./x509-writer.ts");
  const der = writeCertificate({
    serial: randomSerial(),
    subjectName: draft.subjectName,
    issuerName: draft.issuerName,
    notBeforeMs: draft.notBeforeMs,
    notAfterMs: draft.notAfterMs,
    subjectKey: publicDer(draft.subject),
    issuerKey: publicDer(createPublicKey(draft.issuer)),
    dnsNames: draft.names.filter((name) => isIP(name) === 0),
    ipAddresses: draft.names.filter((name) => isIP(name) !== 0),
    isAuthority: draft.isAuthority,
    usage: draft.usage,
    sign: (bytes) => sign("sha256", bytes, draft.issuer),
  });
  return certificatePem(der);
}

/** The certificate starts an hour early, so that a client whose clock is a little behind accepts it, and ends `validDays` later. */
function validity(
  request: Pick<DevCertificateRequest, "validDays" | "nowMs">,
): Pick<Draft, "notBeforeMs" | "notAfterMs"> {
  const days = request.validDays ?? VALID_DAYS_DEFAULT;
  if (!Number.isInteger(days) || days < 1 || days > DEV_CERTIFICATE_DAYS_MAX) {
    throw new ProxyError(
      "CERTIFICATE",
      `a certificate can be valid for 1 to ${DEV_CERTIFICATE_DAYS_MAX} days, not for ${days}`,
    );
  }
  const notBeforeMs = (request.nowMs ?? Date.now()) - BACKDATE_MS;
  return { notBeforeMs, notAfterMs: notBeforeMs + days * DAY_MS };
}

function checkNames(names: readonly string[]): void {
  if (names.length === 0) throw new ProxyError("CERTIFICATE", "a certificate needs at least one name");
  for (const name of names) {
    if (isIP(name) !== 0 || DNS_NAME.test(name)) continue;
    throw new ProxyError("CERTIFICATE", `${JSON.stringify(name)} is neither a DNS name nor an IP address`, {
      remedy: "write names in ASCII (IDNA form), IP addresses without brackets or port",
    });
  }
}

/** Only an authority made here, with its own key: its name must be one that `writeCertificate` can repeat byte for byte. */
function openAuthority(ca: DevAuthority): { readonly name: string; readonly privateKey: KeyObject } {
  const certificate = new X509Certificate(ca.certPem);
  const privateKey = createPrivateKey(ca.keyPem);
  const name = /^CN=([^\n]*)$/.exec(certificate.subject)?.[1];
  if (name === undefined || !certificate.ca || !certificate.checkPrivateKey(privateKey)) {
    throw new ProxyError(
      "CERTIFICATE",
      `${JSON.stringify(certificate.subject)} is no authority that this key belongs to`,
    );
  }
  return { name, privateKey };
}

/** Positive, never zero, of fixed length (RFC 5280 4.1.2.2), with 126 random bits: clients tell certificates of one issuer apart by it. */
function randomSerial(): Uint8Array {
  const serial = new Uint8Array(randomBytes(SERIAL_BYTES));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

function publicDer(key: KeyObject): Uint8Array {
  return key.export({ type: "spki", format: "der" });
}

function privatePem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function certificatePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

const PRODUCT = "Spooky";
const SERIAL_BYTES = 16;
const DAY_MS = 24 * 60 * 60 * 1000;
const BACKDATE_MS = 60 * 60 * 1000;
const VALID_DAYS_DEFAULT = 30;
/** RFC 5280 appendix A: ub-common-name. */
const COMMON_NAME_CHARACTERS_MAX = 64;
/** Labels of letters, digits, hyphens and underscores, a wildcard as the first, 253 characters in all (RFC 1035 2.3.4). */
const DNS_NAME =
  /^(?=.{1,253}$)(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
