/** Certificates for tests: one authority for the whole run, leaves under it, and broken ones on request. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { AssertionFault } from "../../src/core/assert.ts";
import { makeDevAuthority, makeDevCertificate } from "../../src/control/dev-cert.ts";
import type { DevAuthority, DevCertificate, DevCertificateRequest } from "../../src/control/dev-cert.ts";
import { tempFolder, writeTemp, type AtEnd } from "./temp.ts";

/** A certificate as files, for programs that take paths. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** The authority's certificate. */
  readonly caFile: string;
}

/** The run's authority; the same in every file of one `bun test`. */
export function testAuthority(): Promise<DevAuthority> {
  return (cache.authority ??= makeDevAuthority());
}

/** The run's leaf for localhost, 127.0.0.1 and ::1. */
export function testCertificate(): Promise<DevCertificate> {
  return (cache.leaf ??= testAuthority().then((ca) => makeDevCertificate({ ca })));
}

/** Another leaf of the run's authority: other names, other days. */
export async function testLeaf(request: Omit<DevCertificateRequest, "ca">): Promise<DevCertificate> {
  return makeDevCertificate({ ...request, ca: await testAuthority() });
}

/** Why there are none with RSA keys here; null when there are. */
export const RSA_MISSING: string | null =
  Bun.which("openssl") === null ? "RSA certificates: there is no `openssl` in the search path" : null;

/** A leaf of the run's authority with an RSA key, which only OpenSSL makes here. */
export async function rsaLeaf(names: readonly string[]): Promise<DevCertificate> {
  const folder = tempFolder("rsa");
  const ca = await testAuthority();
  const [caFile, caKey] = [writeTemp(folder, "ca.pem", ca.certPem), writeTemp(folder, "ca.key", ca.keyPem)];
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const shown = names.map((name) => `${isIP(name) === 0 ? "DNS" : "IP"}:${name}`).join();
  const { success, stderr } = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "30", "-subj", "/CN=rsa"],
    ...["-CA", caFile, "-CAkey", caKey, "-keyout", keyFile, "-out", certFile],
    ...["-addext", `subjectAltName=${shown}`, "-addext", "basicConstraints=critical,CA:FALSE"],
  ]);
  if (!success) throw new AssertionFault(`openssl: ${stderr.toString()}`);
  return { certPem: readFileSync(certFile, "utf8"), keyPem: readFileSync(keyFile, "utf8"), caPem: ca.certPem };
}

/** A leaf that ended yesterday. */
export function expiredLeaf(): Promise<DevCertificate> {
  return testLeaf({ nowMs: Date.now() - 2 * DAY_MS, validDays: 1 });
}

/** A leaf with its key that every reader of certificates takes, and TLS does not: its key may agree on keys, and not sign. */
export async function leafThatMayNotSign(): Promise<DevCertificate> {
  const leaf = await testLeaf({});
  const der = new X509Certificate(leaf.certPem).raw.toString("hex");
  // RFC 5280 4.2.1.3: the first bit is digitalSignature, the fifth keyAgreement. That its signature is void by that, no server looks at.
  const changed = der.replace(/(0603551d0f.{0,10}?)03020780/, "$103020308");
  const base64 = Buffer.from(changed, "hex").toString("base64");
  return { ...leaf, certPem: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n` };
}

/** Writes a certificate into a new folder that lives as long as the caller's scope (`tempFolder`). */
export function certificateFiles(certificate: DevCertificate, atEnd?: AtEnd): CertificateFiles {
  const folder = tempFolder("certs", atEnd);
  return {
    certFile: writeTemp(folder, "cert.pem", certificate.certPem),
    keyFile: writeTemp(folder, "key.pem", certificate.keyPem),
    caFile: writeTemp(folder, "ca.pem", certificate.caPem),
  };
}

/** The run's leaf as files. */
export async function testCertificateFiles(atEnd?: AtEnd): Promise<CertificateFiles> {
  return certificateFiles(await testCertificate(), atEnd);
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** Modules live as long as the `bun test` process, so this is made once for all files. */
const cache: { authority?: Promise<DevAuthority>; leaf?: Promise<DevCertificate> } = {};
