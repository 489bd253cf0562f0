/**
 * One process of a machine for each node of a cluster. Two nodes with one id and one key say the reset tokens of each other's connections to
 * anybody who asks (RFC 9000 21.11), and take each other's packets for their own. Other machines cannot be seen; a configuration that was
 * copied on this one can.
 */
import { createHash } from "node:crypto";
import { ProxyError } from "../core/error.ts";
import type { Library } from "../../ffi/library.ts";
import { takeMachineName } from "../../ffi/machine-name.ts";
import type { NodeKeys } from "./node-keys.ts";

/** What a node's process holds. */
export interface NodeClaim {
  release(): void;
}

/**
 * Claims the node for this process, under each of the keys that its ids may be of. Throws `NODE_IN_USE`, with nothing held. A system without
 * such names has no claims.
 */
export function claimNode(library: Library, keys: NodeKeys): NodeClaim {
  const held: number[] = [];
  const release = (): void => {
    for (const fd of held.splice(0)) library.libc.close(fd);
  };
  for (const { reset } of keys.ids) {
    // The name is open to everybody here, and says nothing of the key.
    const digest = createHash("sha256").update("claim\0").update(reset).digest("hex");
    const name = takeMachineName(library, `spooky-node-${digest}`);
    if (name === "impossible") break;
    if (name !== "taken") {
      held.push(name.fd);
      continue;
    }
    release();
    throw new ProxyError(
      "NODE_IN_USE",
      `another process on this machine is node ${keys.nodeId.toHex()} of the cluster`,
      {
        remedy: "stop that process, or give this one a cluster.node_id of its own",
      },
    );
  }
  return { release };
}
