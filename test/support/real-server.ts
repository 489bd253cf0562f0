/** Servers that nobody here wrote, as processes of their own: what they have in common. */
import type { BackendCounts } from "./backend-state.ts";

/**
 * `go`: golang.org/x/net/http2 and net/http; `nginx` and `haproxy`: as reverse proxies with buffering off before a `node` one;
 * `node` and `bun`: `node:http` and `node:http2` of either; `bun-serve`: `Bun.serve`.
 */
export type RealServerKind = "go" | "nginx" | "haproxy" | "node" | "bun" | "bun-serve";

/** `http1` and `h2c` in clear, `https1` and `h2` over TLS. */
export type RealServerProtocol = "http1" | "https1" | "h2c" | "h2";

/** What a server does beyond the least. `real-servers.test.ts` shows that each is as it says here, present or missing. */
export interface ServerAbilities {
  /** `/trailers` ends with trailers. */
  readonly trailersResponse: boolean;
  /** Trailers of a request reach the route. */
  readonly trailersRequest: boolean;
  /** `/hints` sends its 103. */
  readonly informational: boolean;
  /** `/echo` answers while the request body still comes. */
  readonly fullDuplex: boolean;
  /** `/ignore-body` answers while the request body still comes, though nobody reads it. */
  readonly earlyAnswer: boolean;
  /** `/reset-before` breaks off; else it is a 500 or 502. */
  readonly resetBefore: boolean;
  /** `/reset-mid` breaks off visibly where a length was announced; else the body ends as if it were whole. */
  readonly resetMid: boolean;
  /** Where none was. */
  readonly resetUnannounced: boolean;
  /** `/cut-mid` ends before the announced length; else none is announced. */
  readonly cutMid: boolean;
  /** Sends the Content-Length that the route says. */
  readonly contentLength: boolean;
  /** A request whose body nobody reads does not stop the others of its connection. */
  readonly isolatesUploads: boolean;
  /** `goAway` announces the end of connections (GOAWAY, or the close of idle ones), and others take over. */
  readonly goAway: boolean;
  /** `dropConnections` works. */
  readonly drops: boolean;
}

/** A running server. It stops by itself at the end of the test, group or file that started it. */
export interface RealServer {
  readonly kind: RealServerKind;
  readonly protocol: RealServerProtocol;
  readonly port: number;
  /** `http://`, `https://` or `h2c://`, host and port. */
  readonly address: string;
  readonly abilities: ServerAbilities;
  /** What the routes have seen: of a proxy, those behind it. */
  counts(): Promise<BackendCounts>;
  /** Lets everything go on that waits in `/hold` or `/hold-body`. */
  release(): Promise<void>;
  /** Resolves when `count` requests wait there. */
  holding(count: number): Promise<void>;
  /** Announces the end of every connection, soon after it resolves at the latest; further ones are accepted. */
  goAway(): Promise<void>;
  /** Ends every connection at once. */
  dropConnections(): Promise<void>;
  /** What it has written, for people who look at a failure. */
  log(): string;
  stop(): Promise<void>;
}
