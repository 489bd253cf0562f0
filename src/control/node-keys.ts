/**
 * The secrets of a node, from where it is started to where its workers use them. A supervisor has two lists: tokens and session tickets
 * follow the key file from one renewal to the next, or change by themselves where there is none, while ids are made by one secret for as long as the
 * supervisor lives, since the kernel's program finds the workers of both generations by one mark.
 */
import { randomBytes } from "node:crypto";
import type { ClusterSettings } from "../config/snapshot.ts";
import { must } from "../core/assert.ts";
import { type FillRandom, IdCodec, type IdScheme } from "../quic/cid.ts";
import { LbIdCodec } from "../quic/cid-lb.ts";
import { ROTATIONS } from "../quic/id-mark.ts";
import { type ClusterSecret, deriveSecrets, type NodeSecrets, parseNodeId, SECRET_BYTES } from "../quic/secrets.ts";
import { aes128, hkdfSha256 } from "./ciphers.ts";
import { type ClusterSecrets, loadClusterSecrets } from "./cluster-keys.ts";

/** What a node's keys are derived from. What is new is made with the first of each list; what the others made is taken, too. */
export interface NodeSecretLists {
  /** For tokens and session tickets. */
  readonly shared: ClusterSecrets;
  /** For connection ids and their reset tokens; no two have the same rotation. */
  readonly ids: ClusterSecrets;
}

/** The keys of a node and how its ids look; the same for all its workers. */
export interface NodeKeys {
  /** For tokens and session tickets. */
  readonly shared: readonly [NodeSecrets, ...NodeSecrets[]];
  /** For connection ids and their reset tokens. */
  readonly ids: readonly [NodeSecrets, ...NodeSecrets[]];
  readonly nodeId: Uint8Array;
  readonly quicLb: ClusterSettings["quicLb"];
}

/** A node without others needs no number of its own. */
const LONE_NODE = "00";
/** Configurations of load balancers have numbers below this; the seventh says that an id cannot be read. */
const LB_CONFIGS = 7;

/** The secrets that a program starts with: the key file's, else random ones. Throws what `loadClusterSecrets` throws. */
export function startSecrets({ keyFile }: Pick<ClusterSettings, "keyFile">): NodeSecretLists {
  if (keyFile === null) return { shared: [freshSecret(0), freshSecret(1)], ids: [freshSecret(0)] };
  const secrets = loadClusterSecrets(keyFile);
  return { shared: secrets, ids: secrets };
}

/**
 * The next secrets of a node whose own are random. What comes next is known everywhere for a whole period before it is used, so that it does
 * not matter which worker hears of it first; what was used last is taken for one more.
 */
export function rotateSecrets({ shared, ids }: NodeSecretLists): NodeSecretLists {
  const [current, ...others] = shared;
  const nextOf = ({ id }: ClusterSecret): number => (id + 1) % SECRET_NUMBERS;
  const next = others.find(({ id }) => id === nextOf(current)) ?? freshSecret(nextOf(current));
  return { shared: [next, current, freshSecret(nextOf(next))], ids };
}

/** How long secrets are used before others are; null: until their file changes. */
export function rotationMs({
  keyFile,
  keyRotationMs,
}: Pick<ClusterSettings, "keyFile" | "keyRotationMs">): number | null {
  return keyFile === null ? keyRotationMs : null;
}

/** A secret's number has a byte in tokens. */
const SECRET_NUMBERS = 256;

/** The secrets of a supervisor's next workers. Throws what `loadClusterSecrets` throws. */
export function renewSecrets(before: NodeSecretLists, { keyFile }: Pick<ClusterSettings, "keyFile">): NodeSecretLists {
  if (keyFile === null) return before;
  const shared = loadClusterSecrets(keyFile);
  const [first, ...others] = before.ids;
  const byRotation = new Map<number, ClusterSecret>();
  // What made ids first keeps its place: a rotation stands for one secret.
  for (const secret of [first, ...others, ...shared]) {
    const rotation = secret.id % ROTATIONS;
    if (!byRotation.has(rotation)) byRotation.set(rotation, secret);
  }
  byRotation.delete(first.id % ROTATIONS);
  return { shared, ids: [first, ...byRotation.values()] };
}

/** Keys of the configuration that a running supervisor cannot change, since the ids of its connections would not be found any more. */
export function fixedClusterKeys(before: ClusterSettings, after: ClusterSettings): readonly string[] {
  const wrong: string[] = [];
  if (before.nodeId !== after.nodeId) wrong.push("cluster.node_id");
  if ((before.quicLb === null) !== (after.quicLb === null)) wrong.push("cluster.connection_ids");
  if (before.quicLb === null || after.quicLb === null) return wrong;
  if (before.quicLb.encrypted !== after.quicLb.encrypted) wrong.push("cluster.quic_lb_encrypted");
  if (before.quicLb.nonceBytes !== after.quicLb.nonceBytes) wrong.push("cluster.quic_lb_nonce_bytes");
  return wrong;
}

/** Derives all keys. */
export function makeNodeKeys(
  secrets: NodeSecretLists,
  { nodeId, quicLb }: Pick<ClusterSettings, "nodeId" | "quicLb">,
): NodeKeys {
  const node = must(parseNodeId(nodeId ?? LONE_NODE), "the configuration's check knows a node's id");
  const derive = ([first, ...others]: ClusterSecrets): NodeKeys["shared"] => {
    const one = (secret: ClusterSecret): NodeSecrets => deriveSecrets(secret, node, hkdfSha256);
    return [one(first), ...others.map(one)];
  };
  return { shared: derive(secrets.shared), ids: derive(secrets.ids), nodeId: node, quicLb };
}

/** Ids of the node's worker in `slot`, made with one of its keys. */
export function makeIdScheme(keys: NodeKeys, secrets: NodeSecrets, slot: number, fillRandom: FillRandom): IdScheme {
  const { ids, id, loadBalancer } = secrets;
  const { quicLb, nodeId } = keys;
  if (quicLb === null) return new IdCodec({ slot, ...ids }, fillRandom);
  const config = {
    configId: id % LB_CONFIGS,
    serverIdBytes: nodeId.length,
    nonceBytes: quicLb.nonceBytes,
    cipher: quicLb.encrypted ? aes128(loadBalancer) : null,
  };
  return new LbIdCodec({ slot, ...ids, config, serverId: nodeId, encodesLength: false }, fillRandom);
}

/** What steers datagrams to the workers of a node with these keys. */
export function steeringKeys(keys: NodeKeys): Pick<IdScheme, "mark"> & { readonly multiplier: number } {
  const [first] = keys.ids;
  const { mark } = makeIdScheme(keys, first, 0, () => undefined);
  return { mark, multiplier: first.ids.multiplier };
}

function freshSecret(id: number): ClusterSecret {
  return { id, bytes: new Uint8Array(randomBytes(SECRET_BYTES)) };
}
