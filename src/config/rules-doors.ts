/**
 * Rules over the doors at which a running program is asked how it is. As in `rules.ts`. What stands at one address and port is one door. Where one
 * address takes in the other, the kernel refuses the second; and to serve both at the wider one would show strangers what was meant for few.
 */
import { childOf, nodeAt, stringOf } from "./document.ts";
import type { ConfigNode } from "./document.ts";
import { addressText, overlap } from "./listeners.ts";
import type { ProblemList } from "./problem.ts";
import { quoted } from "./problem.ts";
import { CONFIG_SHAPE } from "./schema.ts";

/** What is asked for at a door. */
type DoorName = "metrics" | "health";

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
  const path = (node: ConfigNode | null | undefined, door: DoorName, key: string) => ({
    at: node == null ? null : childOf(node, key),
    text: (node == null ? null : stringOf(childOf(node, key))) ?? String(standardOf(door, key)),
  });
  const [healthPath, readyPath] = [path(health, "health", "health_path"), path(health, "health", "ready_path")];
  checkDiffer([healthPath, readyPath], problems);
  if (isOff(metrics) || isOff(health)) return;
  const one = keysOf(metrics, "metrics");
  const other = keysOf(health, "health");
  const at = other.at ?? one.at;
  if (one.port !== other.port || one.port === 0 || at === null) return;
  if (one.address === other.address) {
    const metricsPath = path(metrics, "metrics", "path");
    for (const taken of [healthPath, readyPath]) checkDiffer([metricsPath, taken], problems);
  } else if (overlap(one, other)) {
    const [mine, theirs] = at === other.at ? [other, one] : [one, other];
    const name = at === other.at ? "metrics" : "health";
    const wrong = `${addressText(mine)} and ${addressText(theirs)} of observability.${name} take in one another`;
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

function keysOf(door: ConfigNode | null | undefined, name: DoorName): DoorKeys {
  const [address, port] = ["address", "port"].map((key) => (door == null ? null : childOf(door, key)));
  const number = port?.kind === "scalar" ? port.value : standardOf(name, "port");
  return {
    address: stringOf(address ?? null) ?? String(standardOf(name, "address")),
    port: typeof number === "number" ? number : 0,
    at: port ?? address ?? null,
  };
}

/** What a door has of which nothing is said. */
function standardOf(door: DoorName, key: string): unknown {
  return CONFIG_SHAPE.properties?.["observability"]?.properties?.[door]?.properties?.[key]?.default;
}

function isOff(door: ConfigNode | null | undefined): boolean {
  const enabled = door == null ? null : childOf(door, "enabled");
  return enabled?.kind === "scalar" && enabled.value === false;
}
