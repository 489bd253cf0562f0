/**
 * The runtime's `fetch`, as the upstream transport needs it: one lane (a connection pool with its trust) per backend, and what
 * the runtime can and cannot do. The two runtimes differ only here.
 */

/** The HTTP version that is asked for. */
export type FetchWire = "http1" | "http2" | "http3";

/** Whom a pool trusts, and who it says it is. */
export interface TrustMaterial {
  /** False: any certificate is taken. */
  readonly verify: boolean;
  /** One PEM certificate each, trusted instead of the runtime's own roots; null is the runtime's own. */
  readonly roots: readonly string[] | null;
  /** What we show to backends that ask who we are; null is nothing. */
  readonly client: { readonly chainPem: string; readonly keyPem: string } | null;
  /** Name in SNI that the certificate must be for; null is the host of the backend's address. */
  readonly serverName: string | null;
}

/** The runtime's own roots, no certificate of ours, names as in the addresses. */
export const PLAIN_TRUST: TrustMaterial = { verify: true, roots: null, client: null, serverName: null };

/** What one lane is made of. */
export interface LaneSettings {
  readonly trust: TrustMaterial;
  /** Idle HTTP/1.1 connections kept at most. */
  readonly idleConnectionsMax: number;
  readonly idleMs: number;
}

/** A request, as every runtime takes it. Names and values hold one byte per character. */
export interface FetchInit {
  readonly method: string;
  readonly headers: [string, string][];
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly signal: AbortSignal;
  /** False: over HTTP/1.1 the connection is not used again (Bun; Deno has no such choice). */
  readonly keepsConnection: boolean;
}

/** A way to one backend. */
export interface FetchLane {
  /** Resolves with the response head; may also throw. Never follows redirects, decompresses, or goes through a proxy. */
  send(url: string, wire: FetchWire, init: FetchInit): Promise<Response>;
  /** Closes idle connections; requests under way finish. */
  close(): void;
}

/** What a runtime's `fetch` is like. */
export interface RuntimeFetch {
  /** False: asking for `http2` fails where the backend has none (`mayLackHttp2`). True: ALPN decides. */
  readonly negotiates: boolean;
  /** A request body of declared length goes out with Content-Length, not in chunks. */
  readonly keepsContentLength: boolean;
  /** The response may begin and flow while the request body still does. */
  readonly fullDuplex: boolean;
  /** Goes out in place of the client's Accept-Encoding; null leaves it alone. */
  readonly acceptEncoding: string | null;
  /** What stands in the way of this wire with this trust, for people; null when nothing does. */
  gap(wire: FetchWire, trust: TrustMaterial): string | null;
  open(settings: LaneSettings): FetchLane;
}

/**
 * Whether an error with this code may mean that a backend has no HTTP/2 (Bun 1.4.5). It comes before anything is sent: after a TLS
 * handshake that chose no protocol, or, from servers that insist on one of theirs (RFC 7301 3.2: node, Go), in place of a
 * handshake. The latter looks like any handshake that failed, so only a try at HTTP/1.1 can tell.
 */
export function mayLackHttp2(code: string): boolean {
  return code === "HTTP2Unsupported" || code === "EPROTO";
}

/** What is used of the `Bun` namespace. */
interface BunFetchApi {
  readonly FetchSession: new (init: BunSessionInit) => BunFetchSession;
}

/** What is used of the `Deno` namespace, and its `fetch`. */
interface DenoFetchApi {
  createHttpClient(options: DenoClientOptions): DenoHttpClient;
}

/** The `fetch` of the runtime that this process runs on. `scope` is `globalThis`. */
export function runtimeFetch(scope: object): RuntimeFetch | null {
  const bun: unknown = Reflect.get(scope, "Bun");
  const call: unknown = Reflect.get(scope, "fetch");
  if (isBunApi(bun)) return bunFetch(bun, call);
  const deno: unknown = Reflect.get(scope, "Deno");
  return isDenoApi(deno) && isDenoCall(call) ? denoFetch(deno, call) : null;
}

/**
 * Bun (seen with 1.4.5). A session parses its TLS options once: given with each request, they cost 5 us for one certificate
 * authority and 50 to 90 us for 119 of them. A session also bounds its idle connections, which plain `fetch` cannot.
 */
function bunFetch(bun: BunFetchApi, call: unknown): RuntimeFetch {
  let isStarted = false;
  return {
    negotiates: false,
    keepsContentLength: true,
    fullDuplex: true,
    acceptEncoding: null,
    gap(wire, { roots, client, serverName }) {
      if (wire !== "http3") return null;
      if (roots !== null) return "HTTP/3 with fetch knows only the runtime's own certificate authorities";
      return client === null && serverName === null
        ? null
        : "HTTP/3 with fetch has no client certificate and no other name";
    },
    open: (settings) => {
      if (!isStarted) startFetchThread(call);
      isStarted = true;
      return new BunLane(bun, settings);
    },
  };
}

/**
 * Bun starts the thread of its fetch with the first request, and ends the whole process when there is no descriptor for it at that
 * moment (Bun 1.4.5). So it gets a request to nowhere as long as there are some; it takes 0.4 ms.
 */
function startFetchThread(call: unknown): void {
  if (typeof call !== "function") return;
  const answer: unknown = call("http://localhost/", { unix: "/dev/null/nobody" });
  if (answer instanceof Promise) answer.catch(() => undefined);
}

class BunLane implements FetchLane {
  readonly #session: BunFetchSession;

  constructor(bun: BunFetchApi, { trust, idleConnectionsMax, idleMs }: LaneSettings) {
    const { verify, roots, client, serverName } = trust;
    this.#session = new bun.FetchSession({
      tls: {
        rejectUnauthorized: verify,
        ...(roots === null ? {} : { ca: [...roots] }),
        ...(client === null ? {} : { cert: client.chainPem, key: client.keyPem }),
        ...(serverName === null ? {} : { serverName }),
      },
      keepAlive: { maxIdleSockets: idleConnectionsMax, idleTimeout: Math.ceil(idleMs / 1000) },
    });
  }

  send(url: string, wire: FetchWire, { method, headers, body, signal, keepsConnection }: FetchInit): Promise<Response> {
    return this.#session.fetch(url, {
      method,
      headers,
      body,
      signal,
      keepalive: keepsConnection || wire !== "http1",
      protocol: wire === "http1" ? "http1.1" : wire,
      redirect: "manual",
      decompress: false,
      // Without this the proxy variables of the environment would send requests astray.
      proxy: false,
      // The transport has deadlines of its own.
      timeout: false,
    });
  }

  close(): void {
    this.#session.close();
  }
}

/**
 * Deno (seen with 2.9.6). It decodes what it finds compressed and leaves Content-Encoding and Content-Length as they were,
 * unless `identity` was asked for. Certificate authorities are trusted beside the runtime's, not instead of them. Over
 * HTTP/2 `:authority` is always the URL's, the wanted one goes out as Host.
 */
function denoFetch(deno: DenoFetchApi, call: DenoFetchCall): RuntimeFetch {
  return {
    negotiates: true,
    keepsContentLength: false,
    fullDuplex: false,
    acceptEncoding: "identity",
    gap(wire, { verify, serverName }) {
      if (wire === "http3") return "fetch has no HTTP/3 on Deno";
      if (serverName !== null) return "fetch on Deno takes the name for TLS from the address";
      return verify ? null : "on Deno certificates of backends are always verified";
    },
    open: (settings) => new DenoLane(deno, call, settings),
  };
}

class DenoLane implements FetchLane {
  readonly #call: DenoFetchCall;
  readonly #client: DenoHttpClient;

  constructor(deno: DenoFetchApi, call: DenoFetchCall, { trust, idleConnectionsMax, idleMs }: LaneSettings) {
    this.#call = call;
    this.#client = deno.createHttpClient({
      ...(trust.roots === null ? {} : { caCerts: [...trust.roots] }),
      ...(trust.client === null ? {} : { cert: trust.client.chainPem, key: trust.client.keyPem }),
      http1: true,
      http2: true,
      poolMaxIdlePerHost: idleConnectionsMax,
      poolIdleTimeout: idleMs,
      // Without this a Host that differs from the URL's is replaced.
      allowHost: true,
    });
  }

  send(url: string, _wire: FetchWire, { method, headers, body, signal }: FetchInit): Promise<Response> {
    return this.#call(url, { method, headers, body, signal, redirect: "manual", client: this.#client });
  }

  /** A closed client also ends its running requests, so it is left to the garbage collector. */
  close(): void {}
}

interface BunSessionInit {
  readonly tls: {
    readonly rejectUnauthorized: boolean;
    readonly ca?: string[];
    readonly cert?: string;
    readonly key?: string;
    readonly serverName?: string;
  };
  readonly keepAlive: { readonly maxIdleSockets: number; readonly idleTimeout: number };
}

interface BunFetchSession {
  fetch(url: string, init: BunRequestInit): Promise<Response>;
  close(): void;
}

interface BunRequestInit extends Omit<FetchInit, "keepsConnection"> {
  readonly keepalive: boolean;
  readonly protocol: "http1.1" | "http2" | "http3";
  readonly redirect: "manual";
  readonly decompress: false;
  readonly proxy: false;
  readonly timeout: false;
}

interface DenoClientOptions {
  readonly caCerts?: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly http1: boolean;
  readonly http2: boolean;
  readonly poolMaxIdlePerHost: number;
  readonly poolIdleTimeout: number;
  readonly allowHost: boolean;
}

interface DenoHttpClient {
  close(): void;
}

/** Deno's `fetch`. */
type DenoFetchCall = (url: string, init: DenoRequestInit) => Promise<Response>;

interface DenoRequestInit extends Omit<FetchInit, "keepsConnection"> {
  readonly redirect: "manual";
  readonly client: DenoHttpClient;
}

function isBunApi(found: unknown): found is BunFetchApi {
  return typeof found === "object" && found !== null && typeof Reflect.get(found, "FetchSession") === "function";
}

function isDenoApi(found: unknown): found is DenoFetchApi {
  return typeof found === "object" && found !== null && typeof Reflect.get(found, "createHttpClient") === "function";
}

function isDenoCall(found: unknown): found is DenoFetchCall {
  return typeof found === "function";
}
