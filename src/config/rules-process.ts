/** Rules over the keys of the program as a whole: its processes and its fleet. As in `rules.ts`. */
import { childOf, isGiven, nodeAt, pathText, stringOf } from "./document.ts";
import type { ConfigNode } from "./document.ts";
import type { ProblemList } from "./problem.ts";

/** Reports every broken rule. */
export function checkProcesses(root: ConfigNode, problems: ProblemList): void {
  checkSupervisor(root, problems);
  checkCluster(root, problems);
  checkKeylog(root, problems);
}

/** Secrets are added to the end of their file: a key file would be none any more at the next start. */
function checkKeylog(root: ConfigNode, problems: ProblemList): void {
  const keylog = nodeAt(root, ["debug", "keylog_file"]);
  const file = stringOf(keylog);
  if (keylog === null || file === null) return;
  const other = OTHER_FILES.map((path) => nodeAt(root, path)).find((node) => stringOf(node) === file);
  if (other === undefined || other === null) return;
  const wrong = `is the file of ${pathText(other.path)}, too`;
  problems.add(keylog.valueAt, keylog.path, { wrong, expected: "a file of its own" });
}

const OTHER_FILES = [
  ["cluster", "key_file"],
  ["listen", "tls", "key"],
  ["listen", "tls", "cert"],
];

/** One process alone is one worker. */
function checkSupervisor(root: ConfigNode, problems: ProblemList): void {
  const workers = childOf(root, "workers") ?? underOtherName(root);
  const count = scalarOf(workers, "auto");
  if (workers === null || stringOf(childOf(root, "supervisor")) !== "off") return;
  if (typeof count !== "number" || count <= 1) return;
  const wrong = `${count} cannot be without a supervisor`;
  problems.add(workers.valueAt, workers.path, { wrong, expected: '1, "auto", or no supervisor: off' });
}

function underOtherName(root: ConfigNode): ConfigNode | null {
  const performance = childOf(root, "performance");
  return performance === null ? null : childOf(performance, "worker_threads");
}

/** Nodes that share keys are told apart by their ids, and so are those that load balancers know by connection ids. */
function checkCluster(root: ConfigNode, problems: ProblemList): void {
  const cluster = childOf(root, "cluster");
  if (cluster === null || cluster.kind !== "map") return;
  const [keyFile, nodeId, ids] = CLUSTER_KEYS.map((key) => childOf(cluster, key));
  const forBalancers = stringOf(ids ?? null) === "quic-lb" ? (ids ?? null) : null;
  const needsId = isGiven(keyFile ?? null) ? (keyFile ?? null) : forBalancers;
  if (needsId !== null && !isGiven(nodeId ?? null)) {
    const wrong = `is missing beside ${needsId.path.at(-1)}`;
    problems.add(needsId.keyAt, [...cluster.path, "node_id"], { wrong, expected: NODE_ID_ADVICE });
  }
  if (forBalancers !== null) checkQuicLb(cluster, forBalancers, problems);
}

const CLUSTER_KEYS = ["key_file", "node_id", "connection_ids"];
const NODE_ID_ADVICE = 'hexadecimal digits, such as "01", that no other node of the cluster has';

function checkQuicLb(cluster: ConfigNode, ids: ConfigNode, problems: ProblemList): void {
  const encrypted = scalarOf(childOf(cluster, "quic_lb_encrypted"), true);
  if (encrypted === true && !isGiven(childOf(cluster, "key_file"))) {
    const wrong = "is missing beside connection_ids";
    const expected = "the keys that the load balancer's is one of, or quic_lb_encrypted: false";
    problems.add(ids.keyAt, [...cluster.path, "key_file"], { wrong, expected });
  }
  const nonce = childOf(cluster, "quic_lb_nonce_bytes");
  const nonceBytes = scalarOf(nonce, NONCE_BYTES_STANDARD);
  if (typeof nonceBytes !== "number" || nonceBytes < NONCE_BYTES_MIN || nonceBytes > NONCE_BYTES_MAX) return;
  const at = nonce ?? ids;
  const path = [...cluster.path, "quic_lb_nonce_bytes"];
  if (encrypted === true && nonceBytes < ENCRYPTED_NONCE_BYTES_MIN) {
    const wrong = `${nonceBytes} would be used up after ${2 ** (8 * (nonceBytes - 1))} connection ids of a worker`;
    problems.add(at.valueAt, path, { wrong, expected: `${ENCRYPTED_NONCE_BYTES_MIN} or more with encryption` });
  }
  const idBytes = (stringOf(childOf(cluster, "node_id"))?.length ?? 0) / 2;
  if (idBytes + nonceBytes <= LB_BLOCK_BYTES_MAX) return;
  const wrong = `${nonceBytes} and the ${idBytes} bytes of node_id are more than ${LB_BLOCK_BYTES_MAX} together`;
  problems.add(at.valueAt, path, { wrong, expected: `${LB_BLOCK_BYTES_MAX - idBytes} or less` });
}

/** One byte of the nonce is the worker's, the others count its ids: with 2^40 of them nobody sees the end. */
const ENCRYPTED_NONCE_BYTES_MIN = 6;
const NONCE_BYTES_STANDARD = 8;
/** Outside of these the schema complains. */
const NONCE_BYTES_MIN = 4;
const NONCE_BYTES_MAX = 12;
/** Server id and nonce in our ids (`src/quic/cid-lb.ts`). */
const LB_BLOCK_BYTES_MAX = 13;

/** The value at a node, or what stands for one that is not there; undefined for a node that has none. */
function scalarOf(node: ConfigNode | null, standard: unknown): unknown {
  if (node === null) return standard;
  return node.kind === "scalar" ? node.value : undefined;
}
