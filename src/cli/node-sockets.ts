/** Which process of a machine is the node. */
import { claimNode, type NodeClaim } from "../control/node-claim.ts";
import type { NodeKeys } from "../control/node-keys.ts";
import { messageOf } from "../core/error.ts";
import type { Logger } from "../observe/log.ts";
import type { Library } from "../../ffi/library.ts";
import type { ListenerSockets } from "./listener-sockets.ts";

/**
 * Claims the node for this process. Throws `NODE_IN_USE` with nothing left open. A program that goes on in place of another has workers that
 * serve: it does not end for that.
 */
export function claimOrClose(
  { library, log }: { readonly library: Library; readonly log: Logger },
  keys: NodeKeys,
  { sockets, goesOn }: { readonly sockets: ListenerSockets; readonly goesOn: boolean },
): NodeClaim {
  try {
    return claimNode(library, keys);
  } catch (thrown) {
    if (!goesOn) {
      sockets.close();
      throw thrown;
    }
    log.error("two processes are one node of the cluster", { reason: messageOf(thrown) });
    return { release: () => undefined };
  }
}
