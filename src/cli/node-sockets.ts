/** The UDP sockets of a node, all of them together. */
import type { Snapshot } from "../config/snapshot.ts";
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
