/** Certificates as clients will see them: chain, key, names, days, and who may read the key. */
import type { X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { type PathSegment, pathText } from "../../config/document.ts";
import type { CertificateSettings, ListenSettings, Snapshot } from "../../config/snapshot.ts";
import { ProxyError } from "../../core/error.ts";
import { covers, hostOf } from "../../proxy/authorities.ts";
import type { Library } from "../../../ffi/library.ts";
import { tryTls } from "../../../ffi/quiche/config.ts";
import { loadClientAuth, loadIdentities, loadIdentity, readChain } from "../certificates.ts";
import type { Findings } from "./finding.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Renewal programs begin 30 days before the end: what is nearer to it has not been renewed. */
const WARNING_DAYS = 30;
const RSA_BITS_MIN = 2048;
const OTHERS_READ = 0o004;
const CHECK = "certificates";

/** One certificate with where the configuration names it. */
interface Place {
  readonly settings: CertificateSettings;
  /** Path of the map that has `cert` and `key`. */
  readonly path: readonly PathSegment[];
}

/**
 * Looks at all certificates of the listeners, and at those shown to backends. `hasPair` says whether the map at a path has `cert` and `key`
 * of its own; `nowMs` is wall time.
 */
export function checkCertificates(
  snapshot: Snapshot,
  hasPair: (path: readonly PathSegment[]) => boolean,
  library: Library,
  nowMs: number,
  found: Findings,
): void {
  for (const listen of snapshot.listeners) {
    const names: string[] = [];
    const places = placesOf(listen, hasPair);
    for (const place of places) names.push(...checkOne(place, library, nowMs, found));
    checkTogether(listen, library, found);
    if (names.length > 0) checkHosts(snapshot, listen, names, found);
  }
  for (const pool of snapshot.pools) {
    const shown = pool.tls.clientCertificate;
    if (shown === null) continue;
    const path = ["upstream", pool.name, "tls", "client_certificate"];
    attempt(path, found, () => {
      for (const [i, certificate] of readChain(shown.certFile).entries())
        checkDays(certificate, i, shown.certFile, path, nowMs, found);
    });
  }
}

/** What only shows with all of them together, and the authorities of clients. */
function checkTogether(listen: ListenSettings, library: Library, found: Findings): void {
  // What is wrong with one alone has been said.
  if (found.isWithoutErrors(CHECK))
    attempt([...listen.path, "tls", "certificates"], found, () => void loadIdentities(listen));
  attempt([...listen.path, "tls", "client_auth", "ca_file"], found, () => {
    const clientAuth = loadClientAuth(listen);
    if (found.isWithoutErrors(CHECK)) tryTls(library, loadIdentities(listen), clientAuth);
  });
}

function attempt(path: readonly PathSegment[], found: Findings, look: () => void): void {
  try {
    look();
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    found.error(CHECK, path, thrown.message, thrown.remedy);
  }
}

/** `cert` and `key` come first in the snapshot where they are given. */
function placesOf(
  { path, certificates }: ListenSettings,
  hasPair: (path: readonly PathSegment[]) => boolean,
): readonly Place[] {
  const tls = [...path, "tls"];
  const before = hasPair(tls) ? 1 : 0;
  return certificates.map((settings, i) => {
    const index = i - before;
    return { settings, path: index < 0 ? tls : [...tls, "certificates", index] };
  });
}

/** Returns the names that it stands for. */
function checkOne({ settings, path }: Place, library: Library, nowMs: number, found: Findings): readonly string[] {
  const { certFile, keyFile } = settings;
  const at = [...path, "cert"];
  let names: readonly string[] = [];
  try {
    const identity = loadIdentity(settings, pathText(path));
    tryTls(library, [identity], null);
    names = identity.coveredNames;
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    const isKey = thrown.message.includes(keyFile) && keyFile !== certFile;
    found.error(CHECK, isKey ? [...path, "key"] : at, thrown.message, thrown.remedy);
    return [];
  }
  checkKeyFile(keyFile, [...path, "key"], found);
  const chain = readChain(certFile);
  const [leaf] = chain;
  for (const [i, certificate] of chain.entries()) checkDays(certificate, i, certFile, at, nowMs, found);
  checkChain(chain, certFile, at, found);
  checkStrength(leaf, certFile, at, found);
  if (names.length === 0)
    found.warn(CHECK, at, `${certFile} has no subjectAltName: clients look at nothing else and refuse it`);
  for (const name of settings.serverNames)
    if (!covers({ serverNames: [], coveredNames: names }, name))
      found.warn(CHECK, [...path, "server_name"], `${certFile} is not for ${name} but for ${shown(names)}`);
  found.ok(CHECK, `${certFile}: ${shown(names)}, until ${dayText(leaf.validTo)}`);
  return [...names, ...settings.serverNames];
}

function checkKeyFile(file: string, path: readonly PathSegment[], found: Findings): void {
  if ((statSync(file).mode & OTHERS_READ) === 0) return;
  found.warn(CHECK, path, `every user of this machine can read ${file}`, `chmod o-r ${file}`);
}

function checkDays(
  certificate: X509Certificate,
  index: number,
  file: string,
  path: readonly PathSegment[],
  nowMs: number,
  found: Findings,
): void {
  const which = index === 0 ? file : `certificate ${index + 1} of ${file}`;
  const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const days = Math.floor((toMs - nowMs) / DAY_MS);
  if (nowMs < fromMs)
    return found.error(CHECK, path, `${which} is not valid before ${dayText(certificate.validFrom)}`, CLOCK);
  if (nowMs > toMs) return found.error(CHECK, path, `${which} has expired on ${dayText(certificate.validTo)}`, RENEW);
  if (days < WARNING_DAYS)
    found.warn(CHECK, path, `${which} expires in ${days} days, on ${dayText(certificate.validTo)}`, RENEW);
}

const CLOCK = "is this machine's clock right?";
const RENEW = "renew it, then `spooky reload`";

/** Each certificate of a file is there to show that the one before it is good. */
function checkChain(
  chain: ReturnType<typeof readChain>,
  file: string,
  path: readonly PathSegment[],
  found: Findings,
): void {
  const [leaf] = chain;
  if (chain.length === 1 && leaf.subject === leaf.issuer)
    found.warn(CHECK, path, `${file} is signed by itself: clients that were not told to trust it refuse it`);
  for (const [i, certificate] of chain.entries()) {
    const issuer = chain[i + 1];
    if (issuer === undefined || certificate.checkIssued(issuer)) continue;
    const text = `certificate ${i + 2} of ${file} (${oneLine(issuer.subject)}) did not issue the one before it`;
    found.warn(CHECK, path, text, "put the server's certificate first, and behind each one that of its issuer");
  }
}

function checkStrength(leaf: X509Certificate, file: string, path: readonly PathSegment[], found: Findings): void {
  const { asymmetricKeyType, asymmetricKeyDetails } = leaf.publicKey;
  const bits = asymmetricKeyDetails?.modulusLength ?? Infinity;
  if (asymmetricKeyType === "rsa" && bits < RSA_BITS_MIN)
    found.warn(CHECK, path, `${file} has an RSA key of ${bits} bits: clients refuse less than ${RSA_BITS_MIN}`);
}

/** Clients that come for a host and see a certificate for others go away. */
function checkHosts(
  { pools, listeners }: Snapshot,
  { path }: ListenSettings,
  names: readonly string[],
  found: Findings,
): void {
  const where = listeners.length === 1 ? "" : ` of ${pathText(path)}`;
  for (const { name, route } of pools) {
    if (route.host === null || covers({ serverNames: [], coveredNames: names }, hostOf(route.host))) continue;
    const text = `no certificate${where} is for ${route.host}: clients that check refuse it`;
    found.warn(CHECK, ["upstream", name, "route", "host"], text, `the certificates are for ${shown(names)}`);
  }
}

const NAMES_SHOWN_MAX = 4;

function shown(names: readonly string[]): string {
  const some = names.slice(0, NAMES_SHOWN_MAX).join(", ");
  if (names.length === 0) return "no name";
  return names.length > NAMES_SHOWN_MAX ? `${some} and ${names.length - NAMES_SHOWN_MAX} more` : some;
}

function dayText(text: string): string {
  return new Date(Date.parse(text)).toISOString().slice(0, "2026-01-01".length);
}

function oneLine(subject: string): string {
  return subject.replaceAll("\n", ", ");
}
