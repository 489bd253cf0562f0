/** Certificates from files to what the engine takes. Errors name the file and what to do. */
import { Buffer } from "node:buffer";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { pathText } from "../config/document.ts";
import type { CertificateSettings, ListenSettings } from "../config/snapshot.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { ipv6Of } from "../proxy/authorities.ts";
import { readRegularFile } from "../runtime/regular-file.ts";
import type { CertificateScene } from "../observe/metrics/scene.ts";
import type { ClientAuth, Identity } from "../../ffi/quiche/config.ts";

/** What files held, by their paths, in place of what is on the disk. */
export type HeldFiles = ReadonlyMap<string, Uint8Array>;

/** An identity with all that clients can see it is for. */
export interface ServerIdentity extends Identity {
  /** DNS names and addresses of the certificate, in the form of `hostOf`. */
  readonly coveredNames: readonly string[];
  /** `ec`, `rsa`, `ed25519`. */
  readonly keyKind: string;
}

/** All that a listener shows. Throws `CERTIFICATE` as `loadIdentity`, and for two for one name of which no client could get the second. */
export function loadIdentities(
  { certificates, path }: ListenSettings,
  held: HeldFiles | null = null,
): readonly ServerIdentity[] {
  const identities = certificates.map((settings) => loadIdentity(settings, placeOf(path), held));
  const firsts = new Map<string, ServerIdentity>();
  for (const [i, identity] of identities.entries()) {
    for (const name of certificates[i]?.serverNames ?? []) {
      const key = `${name} ${identity.keyKind}`;
      const first = firsts.get(key);
      if (first === undefined) firsts.set(key, identity);
      else throw twoOfAKind(name, first, identity);
    }
  }
  return identities;
}

function twoOfAKind(name: string, first: ServerIdentity, second: ServerIdentity): ProxyError {
  const text = `${first.label} and ${second.label} are both for ${name}, and both have a key of kind ${first.keyKind}`;
  return new ProxyError("CERTIFICATE", text, {
    remedy: "keep one of them, or one with an ECDSA and one with an RSA key",
  });
}

/** What clients are asked for; null: nothing. Throws `CERTIFICATE`. */
export function loadClientAuth(
  { clientAuth: { caFile, required }, path }: ListenSettings,
  held: HeldFiles | null = null,
): ClientAuth | null {
  if (caFile === null) return null;
  const caPem = readFile(caFile, "client CA", `${placeOf(path)}, client_auth.ca_file`, held);
  parseLeaf(caPem, caFile);
  return { caPem, required, label: caFile };
}

/** `listen.tls`. */
function placeOf(path: ListenSettings["path"]): string {
  return pathText([...path, "tls"]);
}

/**
 * Reads a certificate and its key. Throws `CERTIFICATE` when a file cannot be read or the two do not fit. `place` is where the configuration
 * names it.
 */
export function loadIdentity(
  settings: CertificateSettings,
  place = "listen.tls",
  held: HeldFiles | null = null,
): ServerIdentity {
  const chainPem = readFile(settings.certFile, "certificate", `${place}, cert`, held);
  const keyPem = readFile(settings.keyFile, "key", `${place}, key`, held);
  const leaf = parseLeaf(chainPem, settings.certFile);
  const key = parseKey(keyPem, settings.keyFile);
  if (!leaf.checkPrivateKey(key)) {
    throw new ProxyError("CERTIFICATE", `${settings.keyFile} is not the key of ${settings.certFile}`, {
      remedy: "give the key that the certificate was made with",
    });
  }
  const serverNames = settings.serverNames.length > 0 ? settings.serverNames : namesOf(leaf);
  const coveredNames = [...namesOf(leaf), ...addressesOf(leaf)];
  return { serverNames, chainPem, keyPem, label: settings.certFile, coveredNames, keyKind: kindOf(key) };
}

/**
 * Certificates with the time of their end, for metrics: those that cannot be read are left out, since whoever loads them says why; one that several
 * listeners show is there once.
 */
export function certificateScenes(certificates: readonly CertificateSettings[]): readonly CertificateScene[] {
  const scenes = certificates.flatMap(({ certFile, serverNames }): CertificateScene[] => {
    try {
      const leaf = parseLeaf(readFile(certFile, "certificate", "cert"), certFile);
      const serverName = serverNames[0] ?? namesOf(leaf)[0] ?? "";
      return [{ file: certFile, serverName, expiresEpochSeconds: Date.parse(leaf.validTo) / MS_PER_SECOND }];
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      return [];
    }
  });
  return [...new Map(scenes.map((scene) => [`${scene.serverName} ${scene.file}`, scene])).values()];
}

const MS_PER_SECOND = 1000;

/** DNS names a certificate is for, lower case. */
function namesOf(leaf: X509Certificate): string[] {
  const names = (leaf.subjectAltName ?? "").split(", ");
  return names.filter((name) => name.startsWith("DNS:")).map((name) => name.slice("DNS:".length).toLowerCase());
}

function addressesOf(leaf: X509Certificate): string[] {
  const names = (leaf.subjectAltName ?? "").split(", ").filter((name) => name.startsWith(ADDRESS));
  return names.map((name) => ipv6Of(name.slice(ADDRESS.length).toLowerCase()));
}

const ADDRESS = "IP Address:";

function kindOf({ asymmetricKeyType }: ReturnType<typeof createPrivateKey>): string {
  return asymmetricKeyType ?? "unknown";
}

/** All certificates of a file, the one that it is about first. Throws `CERTIFICATE`. */
export function readChain(file: string): readonly [X509Certificate, ...X509Certificate[]] {
  return parseChain(readFile(file, "certificate", "cert"), file);
}

function parseLeaf(pem: Uint8Array, file: string): X509Certificate {
  return parseChain(pem, file)[0];
}

/** All are read: the engine refuses a chain with one that it cannot read. */
function parseChain(pem: Uint8Array, file: string): readonly [X509Certificate, ...X509Certificate[]] {
  // One by one, since the parser stops after the first; and it takes DER as well, which the engine does not.
  const [, ...blocks] = Buffer.from(pem).toString("latin1").split(PEM_BEGIN);
  try {
    const [leaf, ...others] = blocks.map((block) => new X509Certificate(PEM_BEGIN + block));
    if (leaf !== undefined) return [leaf, ...others];
  } catch (thrown) {
    throw new ProxyError("CERTIFICATE", `${file} holds no PEM certificate: ${messageOf(thrown)}`, { cause: thrown });
  }
  throw new ProxyError("CERTIFICATE", `${file} holds no PEM certificate: there is no line ${PEM_BEGIN}`);
}

const PEM_BEGIN = "-----BEGIN CERTIFICATE-----";

function parseKey(pem: Uint8Array, file: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(Buffer.from(pem));
  } catch (thrown) {
    throw new ProxyError("CERTIFICATE", `${file} holds no usable PEM private key: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
}

/** `key` is the one of the configuration, which stands in `tls` of a listener or in an entry of its `certificates`. */
function readFile(path: string, what: string, key: string, held: HeldFiles | null = null): Uint8Array {
  try {
    return held?.get(path) ?? readRegularFile(path, LIMITS.certificateFileBytesMax);
  } catch (thrown) {
    throw new ProxyError("CERTIFICATE", `the ${what} file cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
      remedy: `${key}: check that ${path} is a file and that this user may read it`,
    });
  }
}
