/** Does the system give what the configuration wants: socket buffers, descriptors, steering? */
import { readFileSync } from "node:fs";
import type { Snapshot } from "../../config/snapshot.ts";
import { ProxyError } from "../../core/error.ts";
import type { Library } from "../../../ffi/library.ts";
import { steeringSupport } from "../../../ffi/steering.ts";
import { openUdpSocket } from "../../../ffi/udp-open.ts";
import type { Findings } from "./finding.ts";

/** Descriptors that a process has before any backend: its libraries, log, sockets, channels, and room for more. */
const DESCRIPTORS_OWN = 128;

/** Looks at what the kernel grants to this user. */
export function checkSystem(snapshot: Snapshot, library: Library, found: Findings): void {
  checkBuffers(snapshot, library, found);
  checkDescriptors(snapshot, found);
  checkWorkers(snapshot, library, found);
}

function checkBuffers({ connections }: Snapshot, library: Library, found: Findings): void {
  const { udpReceiveBufferBytes: receive, udpSendBufferBytes: send } = connections;
  try {
    const options = { ip: "127.0.0.1", port: 0, receiveBufferBytes: receive, sendBufferBytes: send };
    const socket = openUdpSocket(library, options);
    library.libc.close(socket.fd);
    compare("udp_recv_buffer_bytes", "net.core.rmem_max", receive, socket.receiveBufferBytes, found);
    compare("udp_send_buffer_bytes", "net.core.wmem_max", send, socket.sendBufferBytes, found);
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    found.warn("buffers", [], `socket buffers could not be tried: ${thrown.message}`);
  }
}

function compare(key: string, sysctl: string, wantedBytes: number, grantedBytes: number, found: Findings): void {
  if (grantedBytes >= wantedBytes) return found.ok("buffers", `${key}: ${wantedBytes} bytes are granted`);
  const text = `${wantedBytes} bytes are wanted, the kernel grants ${grantedBytes}: bursts are lost sooner`;
  const remedy = `sysctl -w ${sysctl}=${wantedBytes}, and the same in a file of /etc/sysctl.d`;
  found.warn("buffers", ["performance", key], text, remedy);
}

/** The soft limit is raised to the hard one by the runtime when it starts, so the hard one counts. */
function checkDescriptors({ pools }: Snapshot, found: Findings): void {
  const limit = descriptorLimit();
  if (limit === null) return;
  const backends = pools.flatMap((pool) =>
    pool.backends.map(() => Math.min(pool.backendConnectionsMax, pool.backendInFlightMax)),
  );
  const needed = DESCRIPTORS_OWN + backends.reduce((sum, count) => sum + count, 0);
  if (needed <= limit) return found.ok("limits", `${limit} file descriptors, of which backends may need ${needed}`);
  const text = `each process may open ${limit} files, and the connections to all backends may need ${needed}`;
  const remedy = "raise it (LimitNOFILE= of the service, `ulimit -n`), or lower backend_connection_pool_size";
  found.warn("limits", ["backend_connection_pool_size"], text, remedy);
}

/** Infinity for none; null where the system does not tell. */
function descriptorLimit(): number | null {
  try {
    const line = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    if (line === null) return null;
    return line[2] === "unlimited" ? Infinity : Number(line[2]);
  } catch {
    return null;
  }
}

function checkWorkers({ workers }: Snapshot, library: Library, found: Findings): void {
  if (!workers.supervised) return found.ok("workers", "one process, without a supervisor");
  const support = steeringSupport(library);
  if (support.supported) return found.ok("workers", "the kernel steers packets to workers");
  const text = `one process serves, without upgrades and reloads by new workers: ${support.reason}`;
  found.warn("workers", ["workers"], text);
}
