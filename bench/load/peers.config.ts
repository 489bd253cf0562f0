/** Configurations of the proxies that `peers.ts` compares, and of the backend behind all of them: as like one another as they can be written. */
import { join } from "node:path";

/** How a proxy speaks to the backend: HTTP/1.1 in the clear, HTTP/2 over TLS, HTTP/2 in the clear. nginx has no client for the last. */
export const KINDS = ["h1", "h2", "h2c"] as const;
export type Kind = (typeof KINDS)[number];

/** Where files and ports are. The folder holds cert.pem, key.pem, bundle.pem (both) and ca.pem. */
export interface Place {
  readonly folder: string;
  readonly workers: number;
  /** Ports of the backend. */
  readonly ports: Readonly<Record<Kind, number>>;
}

/** nginx as the backend: `/small` answers with 512 bytes. Its connections are never closed, so that nobody pays for new ones. */
export function backendConfig({ folder, ports }: Place): string {
  const server = (listen: string): string => `server { listen 127.0.0.1:${listen} backlog=4096;
    location = /small { default_type text/plain; return 200 "${"x".repeat(512)}"; } }`;
  return `${nginxHead(folder, "backend", 1)}
  keepalive_requests 1000000000; keepalive_timeout 3600s; keepalive_time 24h; http2_max_concurrent_streams 1024;
  ${server(`${ports.h1}`)}
  ${server(`${ports.h2} ssl`).replace("location", "http2 on; location")}
  ${server(`${ports.h2c}`).replace("location", "http2 on; location")}
}
`;
}

/** nginx before it. */
export function nginxConfig({ folder, workers, ports }: Place, kind: Kind, port: number): string {
  const scheme = kind === "h1" ? "http" : "https";
  const tls = kind === "h1" ? "" : "proxy_ssl_verify off; proxy_ssl_server_name on; proxy_ssl_name localhost;";
  return `${nginxHead(folder, `nginx-${kind}`, workers)}
  keepalive_requests 1000000000; keepalive_timeout 300s; keepalive_time 24h; http3_max_concurrent_streams 1024; quic_gso on;
  proxy_http_version ${kind === "h1" ? "1.1" : "2"}; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr; ${tls}
  upstream backend { server 127.0.0.1:${ports[kind]}; keepalive 512; keepalive_requests 1000000000; keepalive_time 24h;
    keepalive_timeout 300s; }
  server { listen 127.0.0.1:${port} quic reuseport; listen 127.0.0.1:${port} ssl; location / { proxy_pass ${scheme}://backend; } }
}
`;
}

function nginxHead(folder: string, name: string, workers: number): string {
  const at = (file: string): string => join(folder, file);
  return `user root; daemon off; worker_processes ${workers}; pid ${at(`${name}.pid`)}; error_log ${at(`${name}.err`)} warn;
worker_rlimit_nofile 20000;
events { worker_connections 9000; }
http {
  access_log off; server_tokens off; tcp_nodelay on;
  client_body_temp_path ${at(`${name}-body`)}; proxy_temp_path ${at(`${name}-proxy`)}; fastcgi_temp_path ${at(`${name}-fastcgi`)};
  uwsgi_temp_path ${at(`${name}-uwsgi`)}; scgi_temp_path ${at(`${name}-scgi`)};
  ssl_certificate ${at("cert.pem")}; ssl_certificate_key ${at("key.pem")}; ssl_protocols TLSv1.3;`;
}

/** HAProxy before it. */
export function haproxyConfig({ folder, workers, ports }: Place, kind: Kind, port: number): string {
  const tls = " ssl verify none alpn h2 sni str(localhost)";
  const protocol = { h1: "", h2: tls, h2c: " proto h2" }[kind];
  return `global
    nbthread ${workers}
    maxconn 9000
    tune.quic.frontend.max-streams-bidi 1024
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
    option http-keep-alive
    http-reuse always
    option forwardfor
frontend f
    bind quic4@127.0.0.1:${port} ssl crt ${join(folder, "bundle.pem")} alpn h3
    bind 127.0.0.1:${port} ssl crt ${join(folder, "bundle.pem")} alpn h2,http/1.1
    default_backend b
backend b
    server s1 127.0.0.1:${ports[kind]}${protocol} pool-max-conn -1 pool-purge-delay 300s
`;
}

/** Spooky before it. `extra` is a JSON object that is merged into the file's top level, where null takes a key out; empty for nothing. */
export function spookyConfig({ folder, workers, ports }: Place, kind: Kind, port: number, extra: string): string {
  const scheme = { h1: "http", h2: "https", h2c: "h2c" }[kind];
  const added: unknown = extra === "" ? {} : JSON.parse(extra);
  if (typeof added !== "object") throw new TypeError(`${extra} is not a JSON object`);
  const tls = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const backends = [{ id: "b", address: `${scheme}://127.0.0.1:${ports[kind]}` }];
  const file: Record<string, unknown> = {
    listen: { address: "127.0.0.1", port, tls },
    upstream_tls: { ca_file: join(folder, "ca.pem") },
    upstream: { a: { transport: "native", route: { path_prefix: "/" }, backends } },
    workers,
    control: { socket: "off" },
    // Several proxies run beside one another, and would have the same port for it.
    observability: { health: { enabled: false } },
    log: { level: "warn" },
    ...added,
  };
  return JSON.stringify(Object.fromEntries(Object.entries(file).filter(([, value]) => value !== null)));
}
