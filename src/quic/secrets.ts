/**
 * All keys of the QUIC side from one secret, which the nodes of a cluster may share. HKDF-SHA256, with a label for each use; what belongs to a
 * node alone has the node's id in it.
 */
import { assert } from "../core/assert.ts";
import { ROTATIONS, type Veil } from "./id-mark.ts";

/** HKDF-SHA256 (RFC 5869) without a salt: `length` bytes from a secret and an info. */
export type Hkdf = (secret: Uint8Array, info: Uint8Array, length: number) => Uint8Array;

/** A numbered secret. */
export interface ClusterSecret {
  /** 0 to 255; the next secret of a cluster has the next number. */
  readonly id: number;
  /** 32 random bytes. */
  readonly bytes: Uint8Array;
}

/** What connection ids of a node are made with; its workers add their slots. */
export interface IdSecrets {
  readonly rotation: number;
  readonly checkByte: number;
  readonly mask: number;
  readonly veil: Omit<Veil, "wordAt">;
  /** For ids of clients (`steer.ts`). */
  readonly multiplier: number;
}

/** What is derived from one secret. */
export interface NodeSecrets {
  readonly id: number;
  /** Shared by all nodes: a token of one is good for every other. 32 bytes each. */
  readonly retryToken: Uint8Array;
  readonly newToken: Uint8Array;
  /** Shared by all nodes: sessions resume anywhere. 48 bytes: name, HMAC key and AES key. */
  readonly ticket: Uint8Array;
  /** Shared by all nodes and their load balancers, AES-128. */
  readonly loadBalancer: Uint8Array;
  /**
   * The node's own, 32 bytes. No other node can be made to say the reset token of a connection that lives here (RFC 9000 21.11), and one
   * that resets by mistake is not believed.
   */
  readonly reset: Uint8Array;
  /** The node's own, so that ids of others are not taken for its own. */
  readonly ids: IdSecrets;
}

/** Bytes of a cluster's secret. */
export const SECRET_BYTES = 32;
/** Bytes of a node's id at most: it is the server id that load balancers read. */
const NODE_ID_BYTES_MAX = 8;
const KEY_BYTES = 32;
const TICKET_KEY_BYTES = 48;
const AES_128_KEY_BYTES = 16;
const IDS_BYTES = 21;
const LABEL = "spooky 1 ";

/** Derives everything. */
export function deriveSecrets(secret: ClusterSecret, nodeId: Uint8Array, hkdf: Hkdf): NodeSecrets {
  assert(secret.bytes.length === SECRET_BYTES, "a cluster's secret has 32 bytes");
  assert(nodeId.length >= 1 && nodeId.length <= NODE_ID_BYTES_MAX, "a node's id has 1 to 8 bytes");
  const none = new Uint8Array(0);
  const derive = (label: string, node: Uint8Array, length: number): Uint8Array =>
    hkdf(secret.bytes, infoOf(label, node), length);
  return {
    id: secret.id,
    retryToken: derive("retry token", none, KEY_BYTES),
    newToken: derive("new token", none, KEY_BYTES),
    ticket: derive("session ticket", none, TICKET_KEY_BYTES),
    loadBalancer: derive("load balancer", none, AES_128_KEY_BYTES),
    reset: derive("stateless reset", nodeId, KEY_BYTES),
    ids: idSecretsFrom(derive("connection ids", nodeId, IDS_BYTES), secret.id),
  };
}

/** Hexadecimal digits, two for a byte, 1 to 8 bytes; null when it is something else. */
export function parseNodeId(text: string): Uint8Array | null {
  if (!/^([0-9a-f]{2}){1,8}$/i.test(text)) return null;
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

/** Label, a zero, the node's id: no label has a zero, so no two differ in where one ends. */
function infoOf(label: string, nodeId: Uint8Array): Uint8Array {
  const text = LABEL + label;
  const info = new Uint8Array(text.length + 1 + nodeId.length);
  for (let i = 0; i < text.length; i++) info[i] = text.charCodeAt(i);
  info.set(nodeId, text.length + 1);
  return info;
}

function idSecretsFrom(bytes: Uint8Array, id: number): IdSecrets {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const odd = (at: number): number => (view.getUint32(at) | 1) >>> 0;
  return {
    rotation: id % ROTATIONS,
    checkByte: view.getUint8(0),
    mask: view.getUint32(1),
    veil: { xor: view.getUint32(5), first: odd(9), second: odd(13) },
    multiplier: odd(17),
  };
}
