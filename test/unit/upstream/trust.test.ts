import { describe, expect, test } from "bun:test";
import { makeDevCertificate } from "../../../src/control/dev-cert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { readTrust, systemTrustFiles, type TrustFiles } from "../../../src/upstream/trust.ts";
import { PLAIN_TRUST } from "../../../src/runtime/fetch-options.ts";
import { PLAIN_TLS } from "../../support/upstream-calls.ts";
import { tempFolder, writeTemp } from "../../support/temp.ts";

const one = (await makeDevCertificate()).certPem.trim();
const two = (await makeDevCertificate()).certPem.trim();

function files(content: Readonly<Record<string, string>>): TrustFiles {
  return {
    read(path) {
      const text = content[path];
      if (text === undefined) throw new RangeError("no such file");
      return text;
    },
    list: (folder) => Object.keys(content).filter((path) => path.startsWith(`${folder}/`)),
    roots: () => ["root"],
  };
}

const settings = PLAIN_TLS;

describe("readTrust", () => {
  test("without files the runtime's own roots are meant", () => {
    expect(readTrust(settings, files({}))).toEqual(PLAIN_TRUST);
  });

  test("without verification nothing is read", () => {
    const tls = { ...settings, verifyCertificates: false, caFile: "/missing" };
    expect(readTrust(tls, files({}))).toEqual({ ...PLAIN_TRUST, verify: false });
  });

  test("ca_file stands in place of the roots, with everything that a bundle holds", () => {
    const tls = { ...settings, caFile: "/ca.pem" };
    const found = readTrust(tls, files({ "/ca.pem": `# first\n${one}\ntext between\n${two}\n` }));
    expect(found.roots).toEqual([one, two]);
  });

  test("ca_dir comes on top of the roots, or of ca_file, each certificate once", () => {
    const content = files({ "/d/a.pem": one, "/d/hash.0": one, "/d/README": "no certificate", "/ca.pem": two });
    expect(readTrust({ ...settings, caDir: "/d" }, content).roots).toEqual(["root", one]);
    expect(readTrust({ ...settings, caDir: "/d", caFile: "/ca.pem" }, content).roots).toEqual([two, one]);
  });

  test("what is missing, empty or broken is named", () => {
    const broken = one.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA");
    const content = files({ "/none.pem": "nothing", "/d/none": "nothing", "/bad.pem": broken });
    const cases = [
      [{ caFile: "/missing.pem" }, "cannot read /missing.pem"],
      [{ caFile: "/none.pem" }, "/none.pem holds no PEM certificate"],
      [{ caDir: "/d" }, "no file in /d holds"],
      [{ caFile: "/bad.pem" }, "/bad.pem holds a broken certificate"],
    ] as const;
    for (const [part, message] of cases) {
      expect(() => readTrust({ ...settings, ...part }, content)).toThrow(message);
    }
  });

  test("a client certificate goes with its own key, the chain whole", async () => {
    const own = await makeDevCertificate();
    const other = await makeDevCertificate();
    const content = files({ "/c.pem": `${own.certPem}\n${two}\n`, "/k.pem": own.keyPem, "/other.pem": other.keyPem });
    const tls = { ...settings, clientCertificate: { certFile: "/c.pem", keyFile: "/k.pem" }, serverName: "b.example" };
    const found = readTrust(tls, content);
    expect(found.client).toEqual({ chainPem: `${own.certPem.trim()}\n${two}`, keyPem: own.keyPem });
    expect([found.serverName, found.verify, found.roots]).toEqual(["b.example", true, null]);
    expect(readTrust({ ...tls, verifyCertificates: false }, content).client).not.toBeNull();
    const wrong = { ...tls, clientCertificate: { certFile: "/c.pem", keyFile: "/other.pem" } };
    expect(() => readTrust(wrong, content)).toThrow("/other.pem is not the key of /c.pem");
    const noKey = { ...tls, clientCertificate: { certFile: "/c.pem", keyFile: "/c.pem" } };
    expect(() => readTrust(noKey, content)).toThrow("cannot read /c.pem");
  });

  test("reads real files and folders, and refuses huge ones", () => {
    const folder = tempFolder("trust");
    const caFile = writeTemp(folder, "a.pem", one);
    writeTemp(folder, "b.pem", two);
    expect(readTrust({ ...settings, caFile, caDir: folder }).roots).toEqual([one, two]);
    expect(systemTrustFiles.roots().length).toBeGreaterThan(50);
    const huge = writeTemp(tempFolder("huge"), "huge.pem", new Uint8Array(LIMITS.trustFileBytesMax + 1));
    expect(() => readTrust({ ...settings, caFile: huge })).toThrow(`more than ${LIMITS.trustFileBytesMax} bytes`);
    expect(() => readTrust({ ...settings, caDir: "/nowhere/at/all" })).toThrow("cannot read /nowhere/at/all");
  });
});
