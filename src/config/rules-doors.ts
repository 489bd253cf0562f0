/**
 * Rules over the doors at which a running program is asked how it is. As in `rules.ts`. What stands at one address and port is one door. Where one
 * address takes in the other, the kernel refuses the second; and to serve both at the wider one would show strangers what was meant for few.
 */
import { childOf, nodeAt, stringOf } from "./document.ts";
import type { ConfigNode } from "./document.ts";
import { isIpv4 } from "./ip.ts";
import type { ProblemList } from "./problem.ts";
import { quoted } from "./problem.ts";

/** Of one door, given or standard; `at` is where a complaint stands. */
interface DoorKeys {
  readonly address: string;
  readonly port: number;
  /** The first of `port` and `address` that is given. */
  readonly at: ConfigNode | null;
}

/** Reports every broken rule. */
export function checkDoors(root: ConfigNode, problems: ProblemList): void {
  const [metrics, health] = ["metrics", "health"].map((name) => nodeAt(root, ["observability", name]));
  const path = (node: ConfigNode | null | undefined, key: string, standard: string) => ({
    at: node == null ? null : childOf(node, key),
    text: (node == null ? null : stringOf(childOf(node, key))) ?? standard,
  });
  const [healthPath, readyPath] = [path(health, "health_path", "/health"), path(health, "ready_path", "/ready")];
  checkDiffer([healthPath, readyPath], problems);
  if (isOff(metrics) || isOff(health)) return;
  const one = keysOf(metrics, "127.0.0.1", 9090);
  const other = keysOf(health, "0.0.0.0", 8080);
  const at = other.at ?? one.at;
  if (one.port !== other.port || one.port === 0 || at === null) return;
  if (one.address === other.address) {
    const metricsPath = path(metrics, "path", "/metrics");
    for (const taken of [healthPath, readyPath]) checkDiffer([metricsPath, taken], problems);
  } else if (takesIn(one.address, other.address) || takesIn(other.address, one.address)) {
    const [mine, theirs] = at === other.at ? [other, one] : [one, other];
    const name = at === other.at ? "metrics" : "health";
    const wrong = `${placeText(mine)} and ${placeText(theirs)} of observability.${name} take in one another`;
    problems.add(at.valueAt, at.path, { wrong, expected: "the same address for both, or another port" });
  }
}

function checkDiffer(
  paths: readonly { readonly at: ConfigNode | null; readonly text: string }[],
  problems: ProblemList,
): void {
  const [first, second] = paths;
  const at = second?.at ?? first?.at ?? null;
  if (at === null || first?.text !== second?.text) return;
  const wrong = `${quoted(first?.text ?? "")} answers something else at the same address`;
  problems.add(at.valueAt, at.path, { wrong, expected: "a path of its own" });
}

function keysOf(door: ConfigNode | null | undefined, standardAddress: string, standardPort: number): DoorKeys {
  const [address, port] = ["address", "port"].map((key) => (door == null ? null : childOf(door, key)));
  const number = port?.kind === "scalar" ? port.value : standardPort;
  return {
    address: stringOf(address ?? null) ?? standardAddress,
    port: typeof number === "number" ? number : 0,
    at: port ?? address ?? null,
  };
}

function isOff(door: ConfigNode | null | undefined): boolean {
  const enabled = door == null ? null : childOf(door, "enabled");
  return enabled?.kind === "scalar" && enabled.value === false;
}

/** `::` has IPv4, too. */
function takesIn(wide: string, narrow: string): boolean {
  return wide === "::" || (wide === "0.0.0.0" && (isIpv4(narrow) || narrow === "::"));
}

function placeText({ address, port }: DoorKeys): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
