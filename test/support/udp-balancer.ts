/** nginx as a plain layer-4 balancer for UDP: each client port is a session, sessions go to the nodes in turn, and ids mean nothing to it. */
import { afterAll } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { openUdpSocket } from "../../ffi/udp-open.ts";
import { openTestLibrary } from "./native.ts";
import type { NetworkPlace } from "./netns.ts";
import { type ProcessOptions, RunningProcess } from "./process.ts";
import { tempFolder, writeTemp } from "./temp.ts";

/** What to balance. */
export interface UdpBalancerOptions {
  /** `ip:port` of the nodes. */
  readonly nodes: readonly string[];
  /** `ip:port` that nginx sends to all nodes from, so that these see one client under one address whichever of them it is sent to. */
  readonly from?: string;
  /** Another network to stand in, and where it listens there: ports of it are nobody else's. Default: 127.0.0.1, the kernel chooses. */
  readonly at?: { readonly place: NetworkPlace; readonly host: string; readonly port: number };
}

/** A running balancer. It stops at the end of the test, group or file that started it. */
export interface UdpBalancer {
  readonly port: number;
}

const NGINX = process.env["SPOOKY_TEST_NGINX"] || null;
/** What makes nginx know streams: a file to include. */
const STREAM = process.env["SPOOKY_TEST_NGINX_STREAM"] || null;

/** Why it cannot be had here; null when it can. */
export const UDP_BALANCER_LACK =
  NGINX !== null && STREAM !== null
    ? null
    : "nginx: SPOOKY_TEST_NGINX and SPOOKY_TEST_NGINX_STREAM name no nginx that balances UDP (./scripts/test sets it up)";

/** Starts one. */
export async function startUdpBalancer(options: UdpBalancerOptions): Promise<UdpBalancer> {
  const { at } = options;
  if (at !== undefined) {
    await startNginx(options, `${at.host}:${at.port}`, {}, at.place);
    return { port: at.port };
  }
  const library = openTestLibrary();
  const buffers = { receiveBufferBytes: 1 << 20, sendBufferBytes: 1 << 20 };
  // Bound here and handed over, so that nobody can take the port in between.
  const socket = openUdpSocket(library, { ip: "127.0.0.1", port: 0, ...buffers });
  const { port } = socket.local;
  const inherited = { env: { NGINX: `${INHERITED};` }, descriptors: [socket.fd] };
  await startNginx(options, `127.0.0.1:${port}`, inherited).finally(() => library.libc.close(socket.fd));
  return { port };
}

async function startNginx(
  options: UdpBalancerOptions,
  listens: string,
  inherited: Pick<ProcessOptions, "env" | "descriptors">,
  place?: NetworkPlace,
): Promise<void> {
  const folder = tempFolder("balancer");
  const config = writeTemp(folder, "nginx.conf", balancerConfig(options, folder, listens));
  const command = [must(NGINX, UDP_BALANCER_LACK ?? ""), "-p", folder, "-c", config, "-e", "stderr"];
  // Not by `startProcess`: nginx's workers outlive a master that is killed.
  const bound = DIES_WITH_US === null ? command : [DIES_WITH_US, "--pdeathsig", "TERM", ...command];
  const child = new RunningProcess({ command: place?.command(bound) ?? bound, ...inherited });
  afterAll(async () => void (await child.stop()));
  await child.waitForLine((line) => line.includes("start worker process "));
}

function balancerConfig({ nodes, from }: UdpBalancerOptions, folder: string, listens: string): string {
  const user = process.getuid?.() === 0 ? "user root;" : "";
  return `
include ${must(STREAM, UDP_BALANCER_LACK ?? "")};
daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr notice; ${user}
events { worker_connections 4096; }
stream {
  upstream nodes { ${nodes.map((node) => `server ${node} max_fails=0;`).join(" ")} }
  server {
    listen ${listens} udp;
    proxy_pass nodes;
    proxy_timeout 600s;
    ${from === undefined ? "" : `proxy_bind ${from};`}
  }
}
`;
}

/** Where a process finds the descriptor it was given. */
const INHERITED = 3;
/** util-linux has it nearly everywhere; without it a killed test run leaves servers behind. */
const DIES_WITH_US = Bun.which("setpriv");
