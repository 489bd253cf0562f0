/**
 * Run on Bun or on Deno: starts the demo's backends, asks each over HTTP/1.1 and the secure one over HTTP/2, prints what came
 * back as one JSON line, stops them, and must then end by itself because nothing is left open.
 */
import { request as requestHttp } from "node:http";
import { connect } from "node:http2";
import { request as requestHttps } from "node:https";
import { createHash } from "node:crypto";
import { connect as connectTls } from "node:tls";
import { makeDevCertificate } from "../../src/control/dev-cert.ts";
import { startDemoBackends } from "../../src/cli/demo-backends.ts";

/** What the probe saw of one answer. */
interface Answer {
  readonly status: number;
  readonly backend: string;
  readonly text: string;
}

const ECHO_BYTES = 3_000_000;
const certificate = await makeDevCertificate();
const backends = await startDemoBackends(certificate);
const plain = await Promise.all(
  backends.plain.map(async ({ address }) => ({
    api: await overHttp1(`${address}/api/users?id=1`),
    fixed: await overHttp1(`${address}/static/a.txt`),
    health: await overHttp1(`${address}/health`),
    echo: await overHttp1(`${address}/echo`, new Uint8Array(ECHO_BYTES).fill(7)),
  })),
);
const secure = {
  http1: await overHttp1(`${backends.secure.address}/api/users?id=1`),
  http2: await overHttp2(backends.secure.address, "/api/users?id=1"),
  echo: await overHttp2(backends.secure.address, "/echo", new Uint8Array(ECHO_BYTES).fill(9)),
};
const lingering = [linger(backends.secure.address, "h2"), linger(backends.secure.address, "http/1.1")];
await Promise.all(lingering.map(({ connected }) => connected));
await backends.stop();
await backends.stop();
await Promise.all(lingering.map(({ closed }) => closed));
console.log(JSON.stringify({ plain, secure, ids: [backends.secure.id, ...backends.plain.map(({ id }) => id)] }));

/** A client that holds its connection: only the server's stop ends it. */
function linger(origin: string, alpn: string): { readonly connected: Promise<void>; readonly closed: Promise<void> } {
  const connected = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const { hostname, port } = new URL(origin);
  const socket = connectTls({ host: hostname, port: Number(port), ca: certificate.caPem, ALPNProtocols: [alpn] });
  socket.once("secureConnect", () => connected.resolve());
  socket.once("error", () => undefined);
  socket.once("close", () => closed.resolve());
  return { connected: connected.promise, closed: closed.promise };
}

function overHttp1(url: string, body?: Uint8Array): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const secured = url.startsWith("https:");
  const options = {
    method: body === undefined ? "GET" : "POST",
    agent: false as const,
    headers: { "x-request-id": "r1" },
  };
  const started = secured ? requestHttps(url, { ...options, ca: certificate.caPem }) : requestHttp(url, options);
  started.on("error", reject);
  started.on("response", (response) => {
    const pieces: Uint8Array[] = [];
    response.on("data", (piece: Uint8Array) => pieces.push(piece));
    response.on("end", () =>
      resolve({
        status: response.statusCode ?? 0,
        backend: String(response.headers["x-backend"]),
        text: shortened(Buffer.concat(pieces)),
      }),
    );
  });
  started.end(body);
  return promise;
}

function overHttp2(origin: string, path: string, body?: Uint8Array): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const session = connect(origin, { ca: certificate.caPem });
  session.on("error", reject);
  const stream = session.request({
    ":path": path,
    ":method": body === undefined ? "GET" : "POST",
    "x-request-id": "r1",
  });
  const pieces: Uint8Array[] = [];
  let status = 0;
  let backend = "";
  stream.on("response", (headers) => {
    status = headers[":status"] ?? 0;
    backend = String(headers["x-backend"]);
  });
  stream.on("error", reject);
  stream.on("data", (piece: Uint8Array) => pieces.push(piece));
  stream.on("end", () => {
    session.close();
    resolve({ status, backend, text: shortened(Buffer.concat(pieces)) });
  });
  stream.end(body);
  return promise;
}

function shortened(body: Buffer): string {
  return body.length < 4096 ? body.toString() : `${body.length} ${createHash("sha256").update(body).digest("hex")}`;
}
