/** Whom the backends of a pool must be vouched for by: reads and checks what `upstream_tls` names. */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import type { UpstreamTlsSettings } from "../config/snapshot.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { TrustMaterial } from "../runtime/fetch-options.ts";
import { readRegularFile } from "../runtime/regular-file.ts";

/** What is read, injected for tests. All throw what the file system throws. */
export interface TrustFiles {
  read(path: string): string;
  /** Paths of the files in a folder, sorted; links to files count. */
  list(folder: string): readonly string[];
  /** The runtime's own roots, one PEM certificate each. */
  roots(): readonly string[];
}

/**
 * Reads the files of one pool. `ca_file` stands in place of the runtime's own roots, the folder's certificates come on top of
 * either. Throws `ProxyError` CERTIFICATE for what cannot be read, holds no certificate, or holds a broken one, and for a
 * client certificate with another's key.
 */
export function readTrust(tls: UpstreamTlsSettings, files: TrustFiles = systemTrustFiles): TrustMaterial {
  const { verifyCertificates: verify, clientCertificate, serverName } = tls;
  const client = clientCertificate === null ? null : readClient(clientCertificate, files);
  return { verify, roots: verify ? readRoots(tls, files) : null, client, serverName };
}

/** The same for material that says the same, and for no other. */
export function trustDigest(trust: TrustMaterial): string {
  return createHash("sha256").update(JSON.stringify(trust)).digest("base64");
}

function readRoots({ caFile, caDir }: UpstreamTlsSettings, files: TrustFiles): readonly string[] | null {
  if (caFile === null && caDir === null) return null;
  // A folder of the system's kind holds most certificates twice, under a name and under a hash.
  const roots = new Set(caFile === null ? files.roots() : readBundle(caFile, files));
  if (caDir !== null) for (const pem of readFolder(caDir, files)) roots.add(pem);
  return [...roots];
}

/** A key that does not belong to its certificate would fail every handshake with an error that names neither. */
function readClient(
  { certFile, keyFile }: NonNullable<UpstreamTlsSettings["clientCertificate"]>,
  files: TrustFiles,
): TrustMaterial["client"] {
  const [leafPem = "", ...rest] = readBundle(certFile, files);
  const keyPem = readText(keyFile, files);
  const key = attempt(keyFile, () => createPrivateKey(keyPem));
  if (!new X509Certificate(leafPem).checkPrivateKey(key))
    throw new ProxyError("CERTIFICATE", `${keyFile} is not the key of ${certFile}`);
  return { chainPem: [leafPem, ...rest].join("\n"), keyPem };
}

/** The machine's files. */
export const systemTrustFiles: TrustFiles = {
  read: (path) => new TextDecoder().decode(readRegularFile(path, LIMITS.trustFileBytesMax)),
  list: (folder) =>
    readdirSync(folder)
      .sort()
      .map((name) => join(folder, name))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true),
  roots: () => rootCertificates,
};

const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

function readBundle(path: string, files: TrustFiles): readonly string[] {
  const found = certificatesIn(path, readText(path, files));
  if (found.length === 0) throw new ProxyError("CERTIFICATE", `${path} holds no PEM certificate`);
  return found;
}

/** Files without a certificate (a README, a revocation list) are passed over, but one certificate at least must be there. */
function readFolder(folder: string, files: TrustFiles): readonly string[] {
  const paths = attempt(folder, () => files.list(folder));
  if (paths.length > LIMITS.trustFilesMax)
    throw new ProxyError("CERTIFICATE", `${folder} holds ${paths.length} files, too many`);
  const found = paths.flatMap((path) => certificatesIn(path, readText(path, files)));
  if (found.length === 0) throw new ProxyError("CERTIFICATE", `no file in ${folder} holds a PEM certificate`);
  return found;
}

/** A broken certificate found only by the runtime would fail every request with an error that names nothing. */
function certificatesIn(path: string, text: string): readonly string[] {
  const found = text.match(PEM_CERTIFICATE) ?? [];
  for (const pem of found) {
    try {
      new X509Certificate(pem);
    } catch (thrown) {
      throw new ProxyError("CERTIFICATE", `${path} holds a broken certificate: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    }
  }
  return found;
}

function readText(path: string, files: TrustFiles): string {
  return attempt(path, () => files.read(path));
}

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    throw new ProxyError("CERTIFICATE", `cannot read ${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
}
