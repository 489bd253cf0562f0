/**
 * An X.509 version 3 certificate (RFC 5280) written as DER: the only importer of the ASN.1 packages. `dev-cert.ts` loads this
 * file when a certificate is made, so that a proxy that serves given certificates never pays for it.
 */
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  KeyIdentifier,
  KeyUsage,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";
import { createHash } from "node:crypto";

/** What a certificate says. Its issuer's key signs it through `sign`. */
export interface CertificateContents {
  /** 1 to 20 bytes, first bit clear, not zero (RFC 5280 4.1.2.2). */
  readonly serial: Uint8Array;
  readonly subjectName: string;
  readonly issuerName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly subjectKey: Uint8Array;
  readonly issuerKey: Uint8Array;
  /** Subject alternative names; none for an authority. */
  readonly dnsNames: readonly string[];
  /** IP literals without brackets. */
  readonly ipAddresses: readonly string[];
  /** True: may sign leaves and nothing else. False: a leaf. */
  readonly isAuthority: boolean;
  /** Which side of TLS a leaf is for. */
  readonly usage: "server" | "client";
  /** ECDSA with SHA-256 over the given bytes, as DER (`Ecdsa-Sig-Value`, RFC 3279 2.2.3). */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

/** The signed certificate as DER. */
export function writeCertificate(contents: CertificateContents): Uint8Array {
  const signature = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: bufferOf(contents.serial),
    signature,
    issuer: commonName(contents.issuerName),
    validity: new Validity({
      notBefore: new Date(contents.notBeforeMs),
      notAfter: new Date(contents.notAfterMs),
    }),
    subject: commonName(contents.subjectName),
    subjectPublicKeyInfo: AsnConvert.parse(contents.subjectKey, SubjectPublicKeyInfo),
    extensions: new Extensions(extensionsOf(contents)),
  });
  const signatureValue = bufferOf(contents.sign(new Uint8Array(AsnConvert.serialize(tbsCertificate))));
  const certificate = new Certificate({ tbsCertificate, signatureAlgorithm: signature, signatureValue });
  return new Uint8Array(AsnConvert.serialize(certificate));
}

/** Criticality follows RFC 5280 4.2.1: BasicConstraints and KeyUsage are critical, the others are not. */
function extensionsOf(contents: CertificateContents): Extension[] {
  const basic = contents.isAuthority
    ? new BasicConstraints({ cA: true, pathLenConstraint: 0 })
    : new BasicConstraints();
  const list = [
    extension(OID.basicConstraints, true, basic),
    extension(OID.keyUsage, true, contents.isAuthority ? AUTHORITY_KEY_USAGE : LEAF_KEY_USAGE),
    extension(OID.subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyIdentifier(contents.subjectKey))),
    extension(
      OID.authorityKeyIdentifier,
      false,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyIdentifier(contents.issuerKey)) }),
    ),
  ];
  if (contents.isAuthority) return list;
  const names = [
    ...contents.dnsNames.map((dNSName) => new GeneralName({ dNSName })),
    ...contents.ipAddresses.map((iPAddress) => new GeneralName({ iPAddress })),
  ];
  list.push(
    extension(
      OID.extendedKeyUsage,
      false,
      new ExtendedKeyUsage([contents.usage === "client" ? CLIENT_AUTH : SERVER_AUTH]),
    ),
  );
  list.push(extension(OID.subjectAltName, false, new SubjectAlternativeName(names)));
  return list;
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function commonName(text: string): Name {
  const value = new AttributeValue({ utf8String: text });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })])]);
}

/** RFC 7093 section 2 method 1: the leftmost 160 bits of the SHA-256 of the key's bit string. */
function keyIdentifier(subjectKey: Uint8Array): ArrayBuffer {
  const { subjectPublicKey } = AsnConvert.parse(subjectKey, SubjectPublicKeyInfo);
  const digest = createHash("sha256").update(new Uint8Array(subjectPublicKey)).digest();
  return bufferOf(digest.subarray(0, KEY_IDENTIFIER_BYTES));
}

/** A copy in a buffer of its own: the ASN.1 classes take whole buffers, and a view may lie in a larger one. */
function bufferOf(view: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(view.length);
  new Uint8Array(copy).set(view);
  return copy;
}

/** A key usage with its unused low bits named, as DER wants it (X.690 11.2.2). Bits count from the left (RFC 5280 4.2.1.3). */
function keyUsage(...bits: readonly number[]): KeyUsage {
  let octet = 0;
  for (const bit of bits) octet |= 0x80 >> bit;
  return new KeyUsage(new Uint8Array([octet]).buffer, 7 - Math.max(...bits));
}

const KEY_IDENTIFIER_BYTES = 20;
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const OID = {
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  subjectAltName: "2.5.29.17",
  subjectKeyIdentifier: "2.5.29.14",
  authorityKeyIdentifier: "2.5.29.35",
} as const;
/** digitalSignature: TLS 1.3 and ECDHE never encrypt with the certificate's key. */
const LEAF_KEY_USAGE = keyUsage(0);
/** keyCertSign and cRLSign. */
const AUTHORITY_KEY_USAGE = keyUsage(5, 6);
