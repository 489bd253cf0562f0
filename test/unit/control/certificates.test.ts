/** Certificates from files: what is wrong is found before anything is bound, and said with the file's name. */
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "bun:test";
import type { CertificateSettings } from "../../../src/config/snapshot.ts";
import type { DevCertificate } from "../../../src/control/dev-cert.ts";
import { loadIdentity } from "../../../src/control/certificates.ts";
import { ProxyError } from "../../../src/core/error.ts";
import { testCertificate, testLeaf } from "../../support/certs.ts";
import { tempFolder, writeTemp } from "../../support/temp.ts";

const folder = tempFolder("certificates");
let leaf: DevCertificate;
let other: DevCertificate;
let number = 0;

beforeAll(async () => {
  leaf = await testCertificate();
  other = await testLeaf({ names: ["Other.test", "*.wild.test"] });
});

function file(content: string | Uint8Array): string {
  number += 1;
  return writeTemp(folder, `${number}.pem`, content);
}

function settings(cert: string, key: string, serverNames: readonly string[] = []): CertificateSettings {
  return { serverNames, certFile: cert, keyFile: key };
}

/** The error, which must be one of a certificate. */
function faultOf(wanted: CertificateSettings): ProxyError {
  try {
    loadIdentity(wanted);
  } catch (thrown) {
    if (thrown instanceof ProxyError && thrown.code === "CERTIFICATE") return thrown;
    throw thrown;
  }
  return expect.unreachable("the certificate was taken");
}

describe("a certificate with its key", () => {
  test("is read as it lies in the files", () => {
    const [certFile, keyFile] = [file(leaf.certPem), file(leaf.keyPem)];
    const identity = loadIdentity(settings(certFile, keyFile));
    expect(new TextDecoder().decode(identity.chainPem)).toBe(leaf.certPem);
    expect(new TextDecoder().decode(identity.keyPem)).toBe(leaf.keyPem);
    expect(identity.label).toBe(certFile);
  });

  test("is for the names it says, lower case, and for no addresses", () => {
    expect(loadIdentity(settings(file(leaf.certPem), file(leaf.keyPem))).serverNames).toEqual(["localhost"]);
    expect(loadIdentity(settings(file(other.certPem), file(other.keyPem))).serverNames).toEqual([
      ...["other.test", "*.wild.test"],
    ]);
  });

  test("is for the configured names where there are some", () => {
    const identity = loadIdentity(settings(file(leaf.certPem), file(leaf.keyPem), ["a.test", "b.test"]));
    expect(identity.serverNames).toEqual(["a.test", "b.test"]);
  });

  test("may come with its chain: the first one counts", () => {
    const identity = loadIdentity(settings(file(leaf.certPem + leaf.caPem), file(leaf.keyPem)));
    expect(identity.serverNames).toEqual(["localhost"]);
  });

  test("may have text around it", () => {
    const identity = loadIdentity(settings(file(`subject=localhost\n${leaf.certPem}\n# end\n`), file(leaf.keyPem)));
    expect(identity.serverNames).toEqual(["localhost"]);
  });
});

describe("what is wrong is an error of the configuration that names the file", () => {
  test("a file that is not there", () => {
    const [missing, there] = [join(folder, "missing.pem"), file(leaf.certPem)];
    for (const [what, fault] of [
      ["certificate", faultOf(settings(missing, file(leaf.keyPem)))],
      ["key", faultOf(settings(there, missing))],
    ] as const) {
      expect(fault.message).toStartWith(`the ${what} file cannot be read: `);
      expect(fault.message).toContain("missing.pem");
      expect(fault.remedy).toContain(missing);
      expect(fault.source).toBe("config");
    }
  });

  test("a folder in place of a file", () => {
    const path = join(folder, "folder");
    mkdirSync(path);
    expect(faultOf(settings(path, file(leaf.keyPem))).message).toStartWith("the certificate file cannot be read: ");
  });

  test("a key that belongs to another certificate, of the same kind or another", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const ed25519 = generateKeyPairSync("ed25519");
    const keys = [rsa, ed25519].map(({ privateKey }) => String(privateKey.export({ type: "pkcs8", format: "pem" })));
    for (const key of [other.keyPem, ...keys]) {
      const [certFile, keyFile] = [file(leaf.certPem), file(key)];
      const fault = faultOf(settings(certFile, keyFile));
      expect(fault.message).toBe(`${keyFile} is not the key of ${certFile}`);
      expect(fault.remedy).not.toBeNull();
    }
  });

  test("a certificate file that holds none in PEM", () => {
    const der = new Uint8Array(new X509Certificate(leaf.certPem).raw);
    for (const content of ["", "nonsense", leaf.keyPem, leaf.certPem.slice(0, 200), der]) {
      const certFile = file(content);
      expect(faultOf(settings(certFile, file(leaf.keyPem))).message).toStartWith(
        `${certFile} holds no PEM certificate`,
      );
    }
  });

  test("a chain of which a later part is broken", () => {
    for (const broken of [leaf.caPem.slice(0, 200), leaf.caPem.replace(/\n.{20}/, "\n")]) {
      const certFile = file(leaf.certPem + broken);
      expect(faultOf(settings(certFile, file(leaf.keyPem))).message).toStartWith(
        `${certFile} holds no PEM certificate`,
      );
    }
  });

  test("a key file that holds none that can be used", () => {
    const key = createPrivateKey(leaf.keyPem);
    const der = new Uint8Array(key.export({ type: "pkcs8", format: "der" }));
    const locked = key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" });
    for (const content of ["", "nonsense", leaf.certPem, leaf.keyPem.slice(0, 100), der, String(locked)]) {
      const keyFile = file(content);
      expect(faultOf(settings(file(leaf.certPem), keyFile)).message).toStartWith(
        `${keyFile} holds no usable PEM private key`,
      );
    }
  });

  test("and the message holds nothing of a key", () => {
    const secret = leaf.keyPem.split("\n")[1] ?? "";
    for (const fault of [
      faultOf(settings(file(leaf.keyPem), file(leaf.keyPem))),
      faultOf(settings(file(leaf.certPem), file(leaf.keyPem.slice(0, 100)))),
      faultOf(settings(file(leaf.certPem), file(other.keyPem))),
    ]) {
      expect(fault.message).not.toContain(secret.slice(0, 20));
      expect(fault.message).not.toContain("PRIVATE KEY-----");
    }
  });
});
