/** Certificates from files to what the engine takes. Errors name the file and what to do. */
import { Buffer } from "node:buffer";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { CertificateSettings } from "../config/snapshot.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import type { Identity } from "../../ffi/quiche/config.ts";

/** Reads a certificate and its key. Throws `CERTIFICATE` when a file cannot be read or the two do not fit. */
export function loadIdentity(settings: CertificateSettings): Identity {
  const chainPem = readFile(settings.certFile, "certificate");
  const keyPem = readFile(settings.keyFile, "key");
  const leaf = parseLeaf(chainPem, settings.certFile);
  const key = parseKey(keyPem, settings.keyFile);
  if (!leaf.checkPrivateKey(key)) {
    throw new ProxyError("CERTIFICATE", `${settings.keyFile} is not the key of ${settings.certFile}`, {
      remedy: "give the key that the certificate was made with",
    });
  }
  const serverNames = settings.serverNames.length > 0 ? settings.serverNames : namesOf(leaf);
  return { serverNames, chainPem, keyPem, label: settings.certFile };
}

/** DNS names a certificate is for, lower case. */
function namesOf(leaf: X509Certificate): string[] {
  const names = (leaf.subjectAltName ?? "").split(", ");
  return names.filter((name) => name.startsWith("DNS:")).map((name) => name.slice("DNS:".length).toLowerCase());
}

function parseLeaf(pem: Uint8Array, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (thrown) {
    throw new ProxyError("CERTIFICATE", `${file} holds no PEM certificate: ${messageOf(thrown)}`, { cause: thrown });
  }
}

function parseKey(pem: Uint8Array, file: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(Buffer.from(pem));
  } catch (thrown) {
    throw new ProxyError("CERTIFICATE", `${file} holds no usable PEM private key: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
}

function readFile(path: string, what: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (thrown) {
    throw new ProxyError("CERTIFICATE", `the ${what} file cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
      remedy: `check that ${path} exists and that this user may read it`,
    });
  }
}
