/** nginx and HAProxy as servers under test: reverse proxies without buffering before a backend that answers. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { RunningProcess } from "./process.ts";
import { listeningSocket } from "./listening-socket.ts";
import type { RealServerProtocol } from "./real-server.ts";
import { tempFolder, writeTemp, type AtEnd } from "./temp.ts";

/** What is needed to start one. */
export interface FrontOptions {
  readonly program: string;
  readonly protocol: RealServerProtocol;
  readonly certFile: string;
  readonly keyFile: string;
  /** Ports of the backend behind: HTTP/1.1, and HTTP/2 in clear. */
  readonly http1Port: number;
  readonly h2cPort: number;
  readonly atEnd: AtEnd;
}

/** What runs. */
export interface Front {
  readonly port: number;
  /** New processes take further connections, and do once this resolves; the old ones announce their end. */
  reload(): Promise<void>;
  log(): string;
  stop(): Promise<void>;
}

/** Starts nginx. */
export async function startNginx(options: FrontOptions): Promise<Front> {
  const folder = tempFolder("nginx", options.atEnd);
  const socket = listeningSocket();
  const config = writeTemp(folder, "nginx.conf", nginxConfig(options, folder, socket.port));
  const child = startBound([options.program, "-p", folder, "-c", config, "-e", "stderr"], socket.descriptor, {
    NGINX: `${INHERITED};`,
  });
  options.atEnd(() => stopFront(child));
  return startFront(child, socket, (line) => line.includes("start worker process "), "SIGHUP");
}

/** Starts HAProxy. */
export async function startHaproxy(options: FrontOptions): Promise<Front> {
  const folder = tempFolder("haproxy", options.atEnd);
  const socket = listeningSocket();
  const config = writeTemp(folder, "haproxy.cfg", haproxyConfig(options, folder));
  const child = startBound([options.program, "-W", "-db", "-f", config], socket.descriptor, {});
  options.atEnd(() => stopFront(child));
  return startFront(child, socket, (line) => line.includes("Loading success"), "SIGUSR2");
}

/** Not by `startProcess`: nginx's workers outlive a master that is killed. */
function startBound(
  command: readonly string[],
  descriptor: number,
  env: Readonly<Record<string, string>>,
): RunningProcess {
  const bound = DIES_WITH_US === null ? command : [DIES_WITH_US, "--pdeathsig", "TERM", ...command];
  return new RunningProcess({ command: bound, env, descriptors: [descriptor] });
}

async function startFront(
  child: RunningProcess,
  socket: ReturnType<typeof listeningSocket>,
  isReady: (line: string) => boolean,
  reloadSignal: NodeJS.Signals,
): Promise<Front> {
  await child.waitForLine(isReady).finally(() => socket.close());
  return {
    port: socket.port,
    reload: async () => {
      const timesReady = child.stderr.filter(isReady).length;
      const isReloaded = child.waitForLine(() => child.stderr.filter(isReady).length > timesReady).then(() => true);
      // HAProxy 2.6 sleeps over a signal now and then; another wakes it.
      do child.signal(reloadSignal);
      while (!(await Promise.race([isReloaded, sleep(SIGNAL_AGAIN_MS, false)])));
    },
    log: () => child.stderr.join("\n"),
    stop: () => stopFront(child),
  };
}

async function stopFront(child: RunningProcess): Promise<void> {
  await child.stop();
}

function nginxConfig(options: FrontOptions, folder: string, port: number): string {
  const isSecure = options.protocol === "https1" || options.protocol === "h2";
  const isHttp2 = options.protocol === "h2" || options.protocol === "h2c";
  const user = process.getuid?.() === 0 ? "user root;" : "";
  return `
daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr notice; ${user}
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  keepalive_timeout 600s; keepalive_requests 1000000; client_header_timeout 600s; client_body_timeout 600s; send_timeout 600s;
  client_max_body_size 0; large_client_header_buffers 4 128k; http2_max_concurrent_streams 1000;
  proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; proxy_buffer_size 128k;
  proxy_buffers 8 128k; proxy_busy_buffers_size 256k;
  proxy_connect_timeout 600s; proxy_send_timeout 600s; proxy_read_timeout 600s;
  proxy_set_header Host $http_host; proxy_set_header Connection "";
  grpc_buffer_size 128k; grpc_connect_timeout 600s; grpc_send_timeout 600s; grpc_read_timeout 600s; grpc_set_header Host $http_host;
  proxy_hide_header x-connection; grpc_hide_header x-connection; add_header x-connection $connection always;
  # nginx keeps this field of its backends to itself unless it is told.
  proxy_pass_header X-Pad;
  upstream answers { server 127.0.0.1:${options.http1Port}; keepalive 64; }
  upstream answers2 { server 127.0.0.1:${options.h2cPort}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} ${isSecure ? "ssl" : ""} ${isHttp2 ? "http2" : ""};
    ${isSecure ? `ssl_certificate ${options.certFile}; ssl_certificate_key ${options.keyFile};` : ""}
    location / { proxy_pass http://answers; }
    # The proxy module sends no request body once the answer has begun, and drops trailers; this one does neither.
    location = /echo { grpc_pass grpc://answers2; }
    location = /trailers { grpc_pass grpc://answers2; }
    location = /reset-before { return 444; }
    # nginx 1.22 takes a 103 of its backend for the final head.
    location = /hints { return 501; }
  }
}
`;
}

function haproxyConfig(options: FrontOptions, folder: string): string {
  const isSecure = options.protocol === "https1" || options.protocol === "h2";
  const alpn = options.protocol === "h2" ? "h2,http/1.1" : "http/1.1";
  const pair = writeTemp(
    folder,
    "pair.pem",
    readFileSync(options.certFile, "utf8") + readFileSync(options.keyFile, "utf8"),
  );
  const layer = isSecure ? `ssl crt ${pair} alpn ${alpn}` : options.protocol === "h2c" ? "proto h2" : "";
  return `
global
  nbthread 1
  tune.bufsize 131072
  tune.h2.max-concurrent-streams 1000
defaults
  mode http
  timeout connect 600s
  timeout client 600s
  timeout server 600s
  timeout http-request 600s
  timeout http-keep-alive 600s
  option abortonclose
  option http-no-delay
  retries 0
frontend front
  bind fd@${INHERITED} ${layer}
  http-request reject if { path /reset-before }
  http-response set-header x-connection %[src_port]
  default_backend answers
backend answers
  server one 127.0.0.1:${options.http1Port}
`;
}

const SIGNAL_AGAIN_MS = 300;
/** Where a process finds the descriptor it was given. */
const INHERITED = 3;
/** util-linux has it nearly everywhere; without it a killed test run leaves servers behind. */
const DIES_WITH_US = Bun.which("setpriv");
