/** The UDP sockets of a node, all of them together. */
import type { Snapshot } from "../config/snapshot.ts";
import { claimNode, type NodeClaim } from "../control/node-claim.ts";
import type { NodeKeys } from "../control/node-keys.ts";
import { messageOf } from "../core/error.ts";
import type { Logger } from "../observe/log.ts";
import type { Library } from "../../ffi/library.ts";
import type { BoundSocket, UdpOptions } from "../../ffi/udp-open.ts";

/** What they are opened with. */
export function socketOptions({ listen, connections }: Snapshot): UdpOptions {
  return {
    ip: listen.address,
    port: listen.port,
    receiveBufferBytes: connections.udpReceiveBufferBytes,
    sendBufferBytes: connections.udpSendBufferBytes,
  };
}

/** Closes all. */
export function closeSockets({ libc }: Library, sockets: readonly BoundSocket[]): void {
  for (const { fd } of sockets) libc.close(fd);
}

/**
 * Claims the node for this process. Throws `NODE_IN_USE` with nothing left open. A program that goes on in place of another has workers that
 * serve: it does not end for that.
 */
export function claimOrClose(
  { library, log }: { readonly library: Library; readonly log: Logger },
  keys: NodeKeys,
  { sockets, goesOn }: { readonly sockets: readonly BoundSocket[]; readonly goesOn: boolean },
): NodeClaim {
  try {
    return claimNode(library, keys);
  } catch (thrown) {
    if (!goesOn) {
      closeSockets(library, sockets);
      throw thrown;
    }
    log.error("two processes are one node of the cluster", { reason: messageOf(thrown) });
    return { release: () => undefined };
  }
}
