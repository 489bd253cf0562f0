/**
 * The backends of `spooky demo`: three small servers on loopback inside the process, on ports the kernel chooses. One speaks
 * HTTP/2 over TLS (and HTTP/1.1 to who does not), two HTTP/1.1. Each says who it is and what it was asked.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import { assert } from "../core/assert.ts";

/** One of them. */
export interface DemoBackend {
  readonly id: string;
  /** As a configuration writes it. */
  readonly address: string;
}

/** All of them, running. */
export interface DemoBackends {
  /** HTTP/2 over TLS, with the certificate they were started with. */
  readonly secure: DemoBackend;
  /** HTTP/1.1. */
  readonly plain: readonly [DemoBackend, DemoBackend];
  /** Ends every connection and frees the ports. May be called twice. */
  stop(): Promise<void>;
}

/** Starts them. The certificate must be good for 127.0.0.1. */
export async function startDemoBackends(certificate: {
  readonly certPem: string;
  readonly keyPem: string;
}): Promise<DemoBackends> {
  const tls = { cert: certificate.certPem, key: certificate.keyPem, allowHTTP1: true };
  const servers = await Promise.all([
    startServer("demo-h2", "https", (answer) => createSecureServer(tls, answer)),
    startServer("demo-h1-a", "http", (answer) => createServer(answer)),
    startServer("demo-h1-b", "http", (answer) => createServer(answer)),
  ]);
  const [secure, first, second] = servers;
  return {
    secure,
    plain: [first, second],
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

type DemoRequest = IncomingMessage | Http2ServerRequest;
type DemoResponse = ServerResponse | Http2ServerResponse;

async function startServer(
  id: string,
  scheme: "http" | "https",
  make: (answer: (request: DemoRequest, response: DemoResponse) => void) => Server | Http2SecureServer,
): Promise<DemoBackend & { stop(): Promise<void> }> {
  const server = make((request, response) => answerDemo(id, request, response));
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    // A peer that resets its connection is no matter for a demo, and no reason to end the process.
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("sessionError", () => undefined);
  const port = await listenOnLoopback(server);
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
    return promise;
  };
  return { id, address: `${scheme}://127.0.0.1:${port}`, stop: () => (stopped ??= stop()) };
}

function listenOnLoopback(server: Server | Http2SecureServer): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    server.off("error", reject);
    const address = server.address();
    assert(address !== null && typeof address === "object", "a listening TCP server has a port");
    resolve(address.port);
  });
  return promise;
}

function answerDemo(id: string, request: DemoRequest, response: DemoResponse): void {
  const path = request.url ?? "/";
  response.setHeader("x-backend", id);
  if (path === "/health") endWith(response, "text/plain", "healthy\n");
  else if (path.startsWith("/static")) endWith(response, "text/plain", `This is ${path}, served by ${id}.\n`);
  else if (path.startsWith("/echo") && request.method !== "GET") echo(request, response);
  else endWith(response, "application/json", `${JSON.stringify(description(id, path, request), null, 2)}\n`);
}

/** Sends the body back as it comes: `pipe` stops reading while the other side does not take what was sent. */
function echo(request: DemoRequest, response: DemoResponse): void {
  const type = request.headers["content-type"];
  if (type !== undefined) response.setHeader("content-type", type);
  request.on("error", () => undefined);
  response.on("error", () => undefined);
  request.pipe(response);
}

function endWith(response: DemoResponse, contentType: string, body: string): void {
  response.setHeader("content-type", contentType);
  response.setHeader("content-length", String(Buffer.byteLength(body)));
  response.end(body);
}

function description(id: string, path: string, request: DemoRequest): object {
  const headers: Record<string, string> = {};
  for (const name of SHOWN_HEADERS) {
    const value = request.headers[name];
    if (value !== undefined) headers[name] = String(value);
  }
  return {
    backend: id,
    method: request.method,
    path,
    protocol: `HTTP/${request.httpVersion}`,
    host: request.headers[":authority"] ?? request.headers.host,
    headers,
  };
}

/** What is worth seeing of what a proxy sends on. */
const SHOWN_HEADERS = [
  "user-agent",
  "accept",
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-real-ip",
  "x-request-id",
  "traceparent",
] as const;
