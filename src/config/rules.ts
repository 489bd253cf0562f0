/**
 * Rules over several keys, which a schema cannot say. They read the tree, not the checked value, so that they work while other
 * parts are wrong, and they keep silent about values that were already complained about.
 *
 * Allowed on purpose: one address in two pools; a health check whose timeout is longer than its interval (a backend has one
 * check at a time, and the next one starts when the slow one has ended).
 */
import { must } from "../core/assert.ts";
import { childOf, isGiven, nodeAt, pathText, positionText, stringOf } from "./document.ts";
import type { ConfigNode } from "./document.ts";
import { parseBackendAddress, parseRouteHost } from "./address.ts";
import { parseMethod, parsePathPrefix } from "./forms.ts";
import type { ProblemList } from "./problem.ts";
import { quoted } from "./problem.ts";
import { CONFIG_SHAPE } from "./schema.ts";
import type { BackendProtocol, BackendTransport } from "./snapshot.ts";
import { checkDoors } from "./rules-doors.ts";
import { checkListeners } from "./rules-listen.ts";
import { checkProcesses } from "./rules-process.ts";
import { itemsOf, reportRepeated } from "./rules-repeated.ts";
import { isContradiction, wireOf } from "./wire.ts";

/** Reports every broken rule. */
export function checkRules(root: ConfigNode, problems: ProblemList): void {
  checkListeners(root, problems);
  checkBalancing(root, problems);
  checkWindows(root, problems);
  checkProcesses(root, problems);
  checkDoors(root, problems);
  checkClientCertificate(childOf(root, "upstream_tls"), problems);
  for (const pool of poolsOf(root)) {
    checkBackendIds(pool, problems);
    checkWires(pool, problems);
    checkClientCertificate(childOf(pool, "tls"), problems);
    checkBalancing(pool, problems);
    checkRouteSaysSomething(pool, problems);
    checkHostPolicy(pool, problems);
  }
  checkRoutesDiffer(root, problems);
}

function poolsOf(root: ConfigNode): readonly ConfigNode[] {
  const upstream = childOf(root, "upstream");
  return upstream?.kind === "map" ? [...upstream.entries.values()] : [];
}

/** A certificate without its key, or the other way round, cannot be shown. */
function checkClientCertificate(tls: ConfigNode | null, problems: ProblemList): void {
  if (tls === null || tls.kind !== "map") return;
  const cert = childOf(tls, "client_certificate");
  const key = childOf(tls, "client_key");
  if (isGiven(cert) === isGiven(key)) return;
  const [present, missing] = isGiven(cert)
    ? ["client_certificate", "client_key"]
    : ["client_key", "client_certificate"];
  const at = childOf(tls, present)?.keyAt ?? tls.keyAt;
  problems.add(at, [...tls.path, missing], { wrong: `is missing beside ${present}`, expected: "both or none" });
}

function checkBackendIds(pool: ConfigNode, problems: ProblemList): void {
  const ids = itemsOf(childOf(pool, "backends")).map((backend) => childOf(backend, "id"));
  reportRepeated(ids, (text) => (text === "" ? null : text), "in the pool", problems);
}

const CONSISTENT_HASH_NAMES = ["consistent-hash", "consistent_hash", "ch"];

/** An address says how it is spoken to; keys of its pool that say otherwise contradict it. */
function checkWires(pool: ConfigNode, problems: ProblemList): void {
  const protocol = childOf(pool, "protocol");
  const transport = childOf(pool, "transport");
  const named = namedOf(protocol, PROTOCOL_NAMES);
  const chosen = namedOf(transport, TRANSPORT_NAMES);
  for (const backend of itemsOf(childOf(pool, "backends"))) {
    const address = childOf(backend, "address");
    const text = stringOf(address);
    const scheme = text === null ? undefined : parseBackendAddress(text).value?.scheme;
    if (address === null || text === null || scheme === undefined) continue;
    const wire = wireOf(scheme, named, chosen);
    if (!isContradiction(wire)) continue;
    const { key, expected } = wire;
    const said = quoted((key === "protocol" ? named : chosen) ?? "");
    const wrong = `${quoted(text)} does not go with the ${key} ${said} of its pool`;
    problems.add(address.valueAt, address.path, { wrong, expected });
  }
}

const TRANSPORT_NAMES: ReadonlyMap<string, BackendTransport> = new Map([
  ["fetch", "fetch"],
  ["native", "native"],
]);

/** With the schema's synonyms, which are not yet replaced in the tree. */
const PROTOCOL_NAMES: ReadonlyMap<string, BackendProtocol> = new Map([
  ["http1", "http1"],
  ["http/1.1", "http1"],
  ["h1", "http1"],
  ["h2", "h2"],
  ["http2", "h2"],
  ["h2c", "h2c"],
  ["h3", "h3"],
  ["http3", "h3"],
]);

function namedOf<T>(node: ConfigNode | null, names: ReadonlyMap<string, T>): T | null {
  const text = node === null ? null : stringOf(node);
  return text === null ? null : (names.get(text) ?? null);
}

/** A key to hash means nothing to a policy that does not hash. */
function checkBalancing(parent: ConfigNode, problems: ProblemList): void {
  const balancing = childOf(parent, "load_balancing");
  const key = balancing === null ? null : childOf(balancing, "key");
  if (balancing === null || balancing.kind !== "map" || key === null || stringOf(key) === null) return;
  const type = childOf(balancing, "type");
  const typeName = type === null ? "round-robin" : stringOf(type);
  const otherPolicies = ["round-robin", "round_robin", "rr", "random"];
  if (typeName === null || CONSISTENT_HASH_NAMES.includes(typeName) || !otherPolicies.includes(typeName)) return;
  if (type === null && [...balancing.entries.keys()].some((name) => name !== "key")) return;
  const wrong = `has no meaning with the type ${quoted(typeName)}${type === null ? ", the default" : ""}`;
  problems.add(key.keyAt, key.path, { wrong, expected: 'key only with type "consistent-hash"' });
}

/** A stream's window larger than its connection's could never be used. */
function checkWindows(root: ConfigNode, problems: ProblemList): void {
  const [data, dataBytes] = numberAt(root, "quic_initial_max_data");
  const [stream, streamBytes] = numberAt(root, "quic_initial_max_stream_data");
  const blamed = stream ?? data;
  if (blamed === null || dataBytes === null || streamBytes === null || streamBytes <= dataBytes) return;
  const wrong = `makes the window of a stream (${streamBytes}) larger than that of its connection (${dataBytes})`;
  problems.add(blamed.valueAt, blamed.path, {
    wrong,
    expected: "quic_initial_max_stream_data <= quic_initial_max_data",
  });
}

/** A number under `performance` with its node, or its default; no number when something wrong stands there. */
function numberAt(root: ConfigNode, key: string): readonly [ConfigNode | null, number | null] {
  const shape = must(CONFIG_SHAPE.properties?.["performance"]?.properties?.[key], "the schema has the key");
  const { minimum = -Infinity, maximum = Infinity, default: standard } = shape;
  const node = nodeAt(root, ["performance", key]);
  const value = node === null ? standard : node.kind === "scalar" ? node.value : null;
  const isFit = typeof value === "number" && value >= minimum && value <= maximum;
  return [node, isFit ? value : null];
}

const ROUTE_KEYS = ["host", "path_prefix", "method"];

/** A route with neither would take everything, which is more likely forgotten than meant. */
function checkRouteSaysSomething(pool: ConfigNode, problems: ProblemList): void {
  const route = childOf(pool, "route");
  if (route === null || route.kind !== "map") return;
  if (isGiven(childOf(route, "host")) || childOf(route, "path_prefix") !== null) return;
  if ([...route.entries.keys()].some((name) => !ROUTE_KEYS.includes(name))) return;
  problems.add(route.keyAt, route.path, {
    wrong: "has neither host nor path_prefix",
    expected: 'at least one of them; path_prefix "/" takes every path',
  });
}

const OTHER_HOST_MODES = ["pass-through", "pass_through", "passthrough", "upstream"];

/** `host` belongs to `rewrite` and to nothing else. */
function checkHostPolicy(pool: ConfigNode, problems: ProblemList): void {
  const policy = childOf(pool, "host_policy");
  if (policy === null || policy.kind !== "map") return;
  const mode = childOf(policy, "mode");
  const host = childOf(policy, "host");
  const modeName = mode === null ? "pass-through" : stringOf(mode);
  const rewrites = modeName === "rewrite";
  if (rewrites && !isGiven(host)) {
    const expected = "the host that backends are to be asked for";
    problems.add(policy.keyAt, [...policy.path, "host"], { wrong: 'is missing beside mode "rewrite"', expected });
  } else if (modeName !== null && OTHER_HOST_MODES.includes(modeName) && host !== null && isGiven(host)) {
    problems.add(host.keyAt, host.path, {
      wrong: "has no meaning with this mode",
      expected: 'host only with mode "rewrite"',
    });
  }
}

/** Two pools with the same route: the second would never see a request. */
function checkRoutesDiffer(root: ConfigNode, problems: ProblemList): void {
  const firsts = new Map<string, ConfigNode>();
  for (const pool of poolsOf(root)) {
    const route = childOf(pool, "route");
    const name = route === null ? null : routeName(route);
    if (route === null || name === null) continue;
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, route);
    else {
      const wrong = `takes the same requests as ${pathText(first.path)} (${positionText(first.keyAt)}): ${name}`;
      problems.add(route.keyAt, route.path, { wrong, expected: "another host, path_prefix or method" });
    }
  }
}

/** The route in one normal form, for people too; null when a part of it is wrong or it says nothing. */
function routeName(route: ConfigNode): string | null {
  const [hostNode, prefixNode, methodNode] = ROUTE_KEYS.map((key) => childOf(route, key));
  if (route.kind !== "map" || [...route.entries.keys()].some((name) => !ROUTE_KEYS.includes(name))) return null;
  if (!isGiven(hostNode ?? null) && !isGiven(prefixNode ?? null)) return null;
  const host = partName(hostNode, "any", (text) => parseRouteHost(text).value);
  const prefix = partName(prefixNode, "/", (text) => parsePathPrefix(text).value);
  const method = partName(methodNode, "any", (text) => parseMethod(text).value);
  if (host === null || prefix === null || method === null) return null;
  return `host ${host}, path_prefix ${prefix}, method ${method}`;
}

function partName(
  node: ConfigNode | null | undefined,
  absent: string,
  parse: (text: string) => string | undefined,
): string | null {
  if (node === null || node === undefined || !isGiven(node)) return absent;
  const text = stringOf(node);
  return text === null ? null : (parse(text) ?? null);
}
