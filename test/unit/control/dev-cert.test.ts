import { describe, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { connect, createServer } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { DEV_CERTIFICATE_DAYS_MAX, makeDevAuthority, makeDevCertificate } from "../../../src/control/dev-cert.ts";
import type { DevCertificate } from "../../../src/control/dev-cert.ts";
import { ProxyError } from "../../../src/core/error.ts";

const NOW_MS = Date.UTC(2030, 4, 17, 12, 0, 0);
const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;

/** Bytes of an extension's value as they must stand in the certificate (X.690), from its object identifier on. */
const EXTENSION = {
  notAnAuthority: "0603551d130101ff04023000",
  leafKeyUsage: "0603551d0f0101ff040403020780",
  serverAuth: "0603551d25040c300a06082b06010505070301",
  authority: "0603551d130101ff040830060101ff020100",
  authorityKeyUsage: "0603551d0f0101ff040403020106",
} as const;

describe("a self-signed development certificate", () => {
  test("is ECDSA P-256 for localhost and both loopback addresses", async () => {
    const certificate = parse(await makeDevCertificate());
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    expect(certificate.subjectAltName).toBe("DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
    expect(certificate.checkHost("localhost")).toBe("localhost");
    expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(certificate.checkIP("::1")).toBe("::1");
    expect(certificate.checkHost("example.org")).toBeUndefined();
    expect(certificate.checkIP("127.0.0.2")).toBeUndefined();
  });

  test("signs itself and names itself as its own trust anchor", async () => {
    const made = await makeDevCertificate();
    const certificate = parse(made);
    expect(made.caPem).toBe(made.certPem);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.issuer).toBe(certificate.subject);
    expect(certificate.ca).toBe(false);
  });

  test("belongs to the key that comes with it", async () => {
    const made = await makeDevCertificate();
    const other = await makeDevCertificate();
    expect(parse(made).checkPrivateKey(createPrivateKey(made.keyPem))).toBe(true);
    expect(parse(made).checkPrivateKey(createPrivateKey(other.keyPem))).toBe(false);
  });

  test("carries the extensions of a TLS server's leaf in DER", async () => {
    const der = derHex(await makeDevCertificate());
    expect(der).toContain(EXTENSION.notAnAuthority);
    expect(der).toContain(EXTENSION.leafKeyUsage);
    expect(der).toContain(EXTENSION.serverAuth);
    expect(der).not.toContain(EXTENSION.authority);
  });

  test("takes the names it is given, wildcards and addresses among them", async () => {
    const certificate = parse(
      await makeDevCertificate({ names: ["example.org", "*.example.org", "192.0.2.7", "2001:db8::7"] }),
    );
    expect(certificate.subjectAltName).toBe(
      "DNS:example.org, DNS:*.example.org, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7",
    );
    expect(certificate.checkHost("a.example.org")).toBe("*.example.org");
    expect(certificate.checkHost("localhost")).toBeUndefined();
  });

  test("starts an hour before now and ends the given days later", async () => {
    const certificate = parse(await makeDevCertificate({ nowMs: NOW_MS, validDays: 10 }));
    expect(Date.parse(certificate.validFrom)).toBe(NOW_MS - HOUR_MS);
    expect(Date.parse(certificate.validTo)).toBe(NOW_MS - HOUR_MS + 10 * DAY_MS);
  });

  test("writes years from 2050 on as a GeneralizedTime (RFC 5280 4.1.2.5)", async () => {
    const nowMs = Date.UTC(2050, 5, 1);
    const made = await makeDevCertificate({ nowMs });
    expect(Date.parse(parse(made).validFrom)).toBe(nowMs - HOUR_MS);
    expect(derHex(made)).toContain(Buffer.from("\x18\x0f20500531230000Z", "latin1").toString("hex"));
  });

  test("has a positive serial of 16 bytes that no other certificate has", async () => {
    const serials = await Promise.all(
      Array.from({ length: 20 }, async () => parse(await makeDevCertificate()).serialNumber),
    );
    expect(new Set(serials).size).toBe(20);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  test.each([0, -1, 1.5, DEV_CERTIFICATE_DAYS_MAX + 1, Number.NaN])("is refused for %p days", async (validDays) => {
    expect(await refusal(makeDevCertificate({ validDays }))).toMatchObject({ code: "CERTIFICATE" });
  });

  test("may last the longest time that clients accept", async () => {
    const certificate = parse(await makeDevCertificate({ nowMs: NOW_MS, validDays: DEV_CERTIFICATE_DAYS_MAX }));
    expect(Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)).toBeLessThan(398 * DAY_MS);
  });

  test.each([[[]], [[""]], [["a b"]], [["[::1]"]], [["localhost:443"]], [["bücher.example"]], [["a..b"]], [["-a.b"]]])(
    "is refused for the names %j",
    async (names) => {
      expect(await refusal(makeDevCertificate({ names }))).toMatchObject({ code: "CERTIFICATE" });
    },
  );
});

describe("a development authority", () => {
  test("may sign leaves and nothing deeper", async () => {
    const authority = await makeDevAuthority();
    const der = derHex(authority);
    expect(new X509Certificate(authority.certPem).ca).toBe(true);
    expect(der).toContain(EXTENSION.authority);
    expect(der).toContain(EXTENSION.authorityKeyUsage);
    expect(der).not.toContain(EXTENSION.serverAuth);
  });

  test("signs a leaf whose issuer and authority key identifier are its own", async () => {
    const ca = await makeDevAuthority();
    const made = await makeDevCertificate({ ca });
    const [leaf, root] = [parse(made), new X509Certificate(ca.certPem)];
    expect(made.caPem).toBe(ca.certPem);
    expect(leaf.issuer).toBe(root.subject);
    expect(leaf.checkIssued(root)).toBe(true);
    expect(leaf.verify(root.publicKey)).toBe(true);
    const identifier = subjectKeyIdentifier(root);
    expect(leaf.raw.toString("hex")).toContain(`30168014${identifier}`);
    expect(subjectKeyIdentifier(leaf)).not.toBe(identifier);
  });

  test("did not sign the leaf of another authority", async () => {
    const [mine, other] = await Promise.all([makeDevAuthority(), makeDevAuthority()]);
    const leaf = parse(await makeDevCertificate({ ca: mine }));
    const root = new X509Certificate(other.certPem);
    expect(leaf.verify(root.publicKey)).toBe(false);
    expect(leaf.checkIssued(root)).toBe(false);
  });

  test("is refused when it is a leaf, or comes with the key of another", async () => {
    const [leaf, mine, other] = await Promise.all([makeDevCertificate(), makeDevAuthority(), makeDevAuthority()]);
    for (const ca of [leaf, { certPem: mine.certPem, keyPem: other.keyPem }]) {
      expect(await refusal(makeDevCertificate({ ca }))).toMatchObject({ code: "CERTIFICATE" });
    }
  });
});

describe("TLS clients that trust it", () => {
  test("shake hands with a self-signed leaf, by name and by address", async () => {
    const made = await makeDevCertificate();
    expect(await handshake(made, { ca: made.caPem, servername: "localhost" })).toBe("trusted");
    expect(await handshake(made, { ca: made.caPem })).toBe("trusted");
  });

  test("shake hands with a leaf under an authority", async () => {
    const made = await makeDevCertificate({ ca: await makeDevAuthority() });
    expect(await handshake(made, { ca: made.caPem, servername: "localhost" })).toBe("trusted");
  });

  test("refuse it for a name that it does not have", async () => {
    const made = await makeDevCertificate({ names: ["example.org"] });
    expect(await handshake(made, { ca: made.caPem, servername: "localhost" })).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  });

  test("refuse an expired one and one that is not valid yet", async () => {
    const expired = await makeDevCertificate({ nowMs: Date.now() - 3 * DAY_MS, validDays: 1 });
    const future = await makeDevCertificate({ nowMs: Date.now() + 3 * DAY_MS, validDays: 1 });
    expect(await handshake(expired, { ca: expired.caPem, servername: "localhost" })).toBe("CERT_HAS_EXPIRED");
    expect(await handshake(future, { ca: future.caPem, servername: "localhost" })).toBe("CERT_NOT_YET_VALID");
  });

  test("refuse it when they trust somebody else", async () => {
    const made = await makeDevCertificate({ ca: await makeDevAuthority() });
    const stranger = await makeDevAuthority();
    expect(await handshake(made, { ca: stranger.certPem, servername: "localhost" })).not.toBe("trusted");
  });

  test("fetch over HTTPS with it, self-signed or under an authority", async () => {
    for (const made of [await makeDevCertificate(), await makeDevCertificate({ ca: await makeDevAuthority() })]) {
      const server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        tls: { cert: made.certPem, key: made.keyPem },
        fetch: () => new Response("over TLS"),
      });
      const url = `https://127.0.0.1:${server.port}/`;
      expect(await (await fetch(url, { tls: { ca: made.caPem }, keepalive: false })).text()).toBe("over TLS");
      expect(fetch(url, { keepalive: false })).rejects.toThrow();
      await server.stop(true);
    }
  });
});

function parse(made: DevCertificate): X509Certificate {
  return new X509Certificate(made.certPem);
}

function derHex(made: { readonly certPem: string }): string {
  return new X509Certificate(made.certPem).raw.toString("hex");
}

/** The 20 bytes after the extension's object identifier, in hexadecimal. */
function subjectKeyIdentifier(certificate: X509Certificate): string {
  return /0603551d0e041604 ?14([0-9a-f]{40})/.exec(certificate.raw.toString("hex"))?.[1] ?? "none";
}

async function refusal(work: Promise<unknown>): Promise<unknown> {
  const thrown = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(ProxyError);
  return thrown;
}

/** What comes of a loopback handshake: `trusted`, or the code of the client's error. */
async function handshake(made: DevCertificate, options: ConnectionOptions): Promise<string> {
  const server = createServer({ cert: made.certPem, key: made.keyPem });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ ...options, host: "127.0.0.1", port });
  socket.once("secureConnect", () => resolve(socket.authorized ? "trusted" : String(socket.authorizationError)));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  const outcome = await promise;
  socket.destroy();
  server.close();
  return outcome;
}
