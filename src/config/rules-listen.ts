/** Rules of `listen` and `listeners`: certificates that can be shown, demands that somebody judges, addresses that are apart. */
import { parseIp } from "./address.ts";
import { childOf, type ConfigNode, isGiven, pathText, positionText, stringOf } from "./document.ts";
import { parseClientHeader } from "./forms.ts";
import { addressText, overlap } from "./listeners.ts";
import type { ProblemList } from "./problem.ts";
import { itemsOf, reportRepeated } from "./rules-repeated.ts";
import { CONFIG_SHAPE } from "./schema.ts";

/** Those that are served: a `listen` that `listeners` stand in for is nobody's business. */
export function checkListeners(root: ConfigNode, problems: ProblemList): void {
  const several = itemsOf(childOf(root, "listeners"));
  const listen = childOf(root, "listen");
  const served = several.length > 0 ? several : listen === null ? [] : [listen];
  for (const listener of served) checkCertificates(childOf(listener, "tls"), problems);
  checkAddresses(served, problems);
}

interface Place {
  readonly node: ConfigNode;
  readonly address: string;
  readonly port: number;
}

/** The kernel gives a datagram to the most exact address: of two that overlap, one would take what the other is there for. */
function checkAddresses(listeners: readonly ConfigNode[], problems: ProblemList): void {
  const before: Place[] = [];
  for (const node of listeners) {
    const place = placeOf(node);
    if (place === null) continue;
    const first = before.find((other) => overlap(other, place));
    if (first !== undefined) {
      const { path, keyAt } = first.node;
      const wrong = `${addressText(place)} overlaps ${addressText(first)} of ${pathText(path)} (${positionText(keyAt)})`;
      const at = childOf(node, "port") ?? childOf(node, "address") ?? node;
      problems.add(at.keyAt, node.path, { wrong, expected: "addresses or ports that are apart" });
    }
    before.push(place);
  }
}

/** With its defaults; null when something wrong stands there. */
function placeOf(node: ConfigNode): Place | null {
  if (node.kind !== "map") return null;
  const { address, port } = STANDARD;
  const [addressNode, portNode] = [childOf(node, "address"), childOf(node, "port")];
  const ip = addressNode === null ? address : parseIp(stringOf(addressNode) ?? "").value;
  const number = portNode === null ? port : portNode.kind === "scalar" ? portNode.value : null;
  return ip === undefined || typeof number !== "number" ? null : { node, address: ip, port: number };
}

/** What a listener has that says neither. */
const STANDARD = standardPlace();

function standardPlace(): { readonly address: string; readonly port: number } {
  const { address, port } = CONFIG_SHAPE.properties?.["listen"]?.properties ?? {};
  return { address: String(address?.default), port: Number(port?.default) };
}

const TLS_KEYS = ["cert", "key", "certificates", "client_auth", "refuse_misdirected"];

/** `cert` and `key` both or none, at least one certificate. */
function checkCertificates(tls: ConfigNode | null, problems: ProblemList): void {
  if (tls === null || tls.kind !== "map") return;
  const cert = childOf(tls, "cert");
  const key = childOf(tls, "key");
  const certificates = childOf(tls, "certificates");
  const keys = [...tls.entries.keys()];
  // With a key that nobody knows, the certificate may be there under a mistyped name.
  const hasUnknown = keys.some((name) => !TLS_KEYS.includes(name));
  if (!hasUnknown && isGiven(cert) !== isGiven(key)) {
    const present = isGiven(cert) ? "cert" : "key";
    const missing = isGiven(cert) ? "key" : "cert";
    const at = childOf(tls, present)?.keyAt ?? tls.keyAt;
    problems.add(at, [...tls.path, missing], { wrong: `is missing beside ${present}`, expected: "both or none" });
  }
  const hasList = isGiven(certificates) && !(certificates.kind === "list" && certificates.items.length === 0);
  if (!hasUnknown && !isGiven(cert) && !isGiven(key) && !hasList) {
    problems.add(tls.keyAt, tls.path, { wrong: "has no certificate", expected: "cert with key, or certificates" });
  }
  checkClientAuth(childOf(tls, "client_auth"), problems);
}

/** Clients that are asked are measured by somebody; nobody believes in a requirement that is switched off; no field says two things. */
function checkClientAuth(auth: ConfigNode | null, problems: ProblemList): void {
  if (auth === null || auth.kind !== "map") return;
  const isOn = (key: string): boolean => {
    const node = childOf(auth, key);
    return node?.kind === "scalar" && node.value === true;
  };
  if (isOn("enabled") && !isGiven(childOf(auth, "ca_file")))
    problems.add(auth.keyAt, [...auth.path, "ca_file"], { wrong: "is missing", expected: "the authorities to trust" });
  const required = childOf(auth, "require_client_cert");
  if (required !== null && isOn("require_client_cert") && isOff(childOf(auth, "enabled")))
    problems.add(required.keyAt, required.path, { wrong: "has no effect", expected: "enabled: true beside it" });
  const headers = CLIENT_HEADERS.map((key) => childOf(auth, key));
  reportRepeated(headers, (text) => parseClientHeader(text).value ?? null, "in client_auth", problems);
}

/** What is neither on nor off is complained about elsewhere. */
function isOff(node: ConfigNode | null): boolean {
  return node === null || (node.kind === "scalar" && node.value === false);
}

const CLIENT_HEADERS = ["certificate_header", "chain_header", "subject_header", "fingerprint_header"];
