/** Backends for tests, one server each, on a port the kernel chooses, with counters and levers. */
import { afterAll } from "bun:test";
import { testCertificate } from "./certs.ts";
import { BackendState } from "./backend-state.ts";
import { startHttp1 } from "./backend-http1.ts";
import { startHttp2 } from "./backend-http2.ts";
import { startQuic } from "./backend-h3.ts";
import { startServe } from "./backend-serve.ts";
import type { BackendCounts, SeenRequest } from "./backend-state.ts";
import type { BackendServer } from "./exchange.ts";
import type { BackendListen } from "./backend-tcp.ts";

/**
 * `http1` and `https1`: HTTP/1.1 in clear and over TLS; `h2`: HTTP/2 over TLS; `h2c`: in clear; `h3`: HTTP/3 by `Bun.serve`, fast;
 * `h3-quic`: HTTP/3 by `node:quic`, which can reset, send trailers and interim responses (see `backend-h3.ts`).
 */
export type BackendProtocol = "http1" | "https1" | "h2" | "h2c" | "h3" | "h3-quic";

/** What to start. */
export interface BackendOptions {
  readonly protocol: BackendProtocol;
  /** Shown in every answer (`x-backend`). Default: the protocol. */
  readonly id?: string;
  /** Default 127.0.0.1; an IP literal. */
  readonly host?: string;
  /** Default 0, the kernel's choice; another for a backend that comes back where one was. */
  readonly port?: number;
  /** Default: the run's leaf (`testCertificate`). */
  readonly certificate?: { readonly certPem: string; readonly keyPem: string };
}

/** A running backend. It stops by itself at the end of the test, group or file that started it. */
export interface TestBackend {
  readonly id: string;
  readonly protocol: BackendProtocol;
  readonly host: string;
  readonly port: number;
  /** As a configuration writes it: `http://`, `https://`, `h2c://` or `h3://`, host and port. */
  readonly address: string;
  /** `host:port`, the guide's form. */
  readonly bareAddress: string;
  readonly counts: BackendCounts;
  /** The first requests, at most `SEEN_REQUESTS_MAX`. */
  readonly seen: readonly SeenRequest[];
  /** Errors of the backend itself; a test that wants to be sure asserts that it is empty. */
  readonly faults: readonly unknown[];
  /** Status that `/health` answers; 200 at first. */
  health: number;
  /** Lets everything go on that waits in `/hold` or `/hold-body`. */
  release(): void;
  /** Resolves when `count` requests are waiting in `/hold` or `/hold-body`. */
  holding(count: number): Promise<void>;
  /** Ends every connection at once; nothing on `h3`. */
  dropConnections(): void;
  /**
   * Asks clients to go elsewhere and finishes what runs. `h2`, `h2c`: GOAWAY; `h3`: GOAWAY, and no new connections; HTTP/1.1: the end
   * of idle connections; `h3-quic`: nothing.
   */
  goAway(): void;
  stop(): Promise<void>;
}

/** Starts a backend. */
export async function startBackend(options: BackendOptions): Promise<TestBackend> {
  const id = options.id ?? options.protocol;
  const host = options.host ?? "127.0.0.1";
  const state = new BackendState(id, options.protocol);
  const secure = options.protocol !== "http1" && options.protocol !== "h2c";
  const server = await STARTERS[options.protocol]({
    host,
    port: options.port ?? 0,
    tls: secure ? (options.certificate ?? (await testCertificate())) : null,
    onConnection: () => state.counts.connections++,
    onExchange: (exchange) => void state.serve(exchange),
  });
  let stopped: Promise<void> | null = null;
  const stop = () => {
    state.release();
    return (stopped ??= server.stop());
  };
  afterAll(stop);
  const bareAddress = `${host.includes(":") ? `[${host}]` : host}:${server.port}`;
  return Object.assign(state, {
    protocol: options.protocol,
    host,
    port: server.port,
    bareAddress,
    address: `${SCHEMES[options.protocol]}://${bareAddress}`,
    dropConnections: () => server.dropConnections(),
    goAway: () => server.goAway(),
    stop,
  });
}

const STARTERS: Readonly<Record<BackendProtocol, (options: BackendListen) => Promise<BackendServer>>> = {
  http1: startHttp1,
  https1: startHttp1,
  h2: startHttp2,
  h2c: startHttp2,
  h3: (options) => startServe("h3", options),
  "h3-quic": startQuic,
};

const SCHEMES: Readonly<Record<BackendProtocol, string>> = {
  http1: "http",
  https1: "https",
  h2: "https",
  h2c: "h2c",
  h3: "h3",
  "h3-quic": "h3",
};
