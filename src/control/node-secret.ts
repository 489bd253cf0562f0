/** The secret of a node that is alone: made at the start, the same for all its workers, gone with them. */
import { randomBytes } from "node:crypto";
import { type ClusterSecret, deriveSecrets, type NodeSecrets, SECRET_BYTES } from "../quic/secrets.ts";
import { hkdfSha256 } from "./ciphers.ts";

/** A node without others needs no number of its own. */
const LONE_NODE = new Uint8Array(1);

/** A secret that nobody has had before. */
export function freshSecret(): ClusterSecret {
  return { id: 0, bytes: new Uint8Array(randomBytes(SECRET_BYTES)) };
}

/** All keys of the node. */
export function loneNodeSecrets(secret: ClusterSecret): NodeSecrets {
  return deriveSecrets(secret, LONE_NODE, hkdfSha256);
}
