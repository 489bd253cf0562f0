/** Who we say we are to backends, and whom we ask for: the same on every transport. */
import { afterAll, describe, expect, test } from "bun:test";
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { BackendTransport, UpstreamTlsSettings } from "../../src/config/snapshot.ts";
import type { DevCertificate } from "../../src/control/dev-cert.ts";
import { Counters } from "../../src/core/counters.ts";
import { Random } from "../../src/core/random.ts";
import { connectBunStream } from "../../src/runtime/bun-streams.ts";
import { systemTimers } from "../../src/runtime/timers.ts";
import { Transports } from "../../src/upstream/transports.ts";
import { listen } from "../support/backend-tcp.ts";
import { certificateFiles, testAuthority, testCertificate, testLeaf } from "../support/certs.ts";
import { hereFetch } from "../support/fetch-upstream.ts";
import { backendOf, exchange, PATIENT, poolOf, requestTo } from "../support/upstream-calls.ts";

/** Answers with the subject of the client's certificate and the name that was asked for. Speaks both versions of HTTP. */
async function startServer(certificate: DevCertificate, asksForClient: boolean): Promise<number> {
  const { certPem: ca } = await testAuthority();
  const { certPem: cert, keyPem: key } = certificate;
  const options = { cert, key, ca, requestCert: asksForClient, rejectUnauthorized: asksForClient, allowHTTP1: true };
  const server = createSecureServer(options, (request: Http2ServerRequest, response: Http2ServerResponse) => {
    // Over HTTP/1.1 Bun's socket knows the version and the name, and not the certificate (1.4.5).
    const socket = request.socket as TLSSocket & { servername?: string | false };
    response.end(`${request.httpVersion} ${String(socket.authorized)} ${String(socket.servername)}`);
  });
  afterAll(() => void server.close());
  return listen(server, { host: "127.0.0.1", port: 0 });
}

async function ask(
  port: number,
  transport: BackendTransport,
  protocol: "http1" | "h2",
  tls: Partial<UpstreamTlsSettings>,
) {
  const { caFile } = certificateFiles(await testCertificate());
  const pool = poolOf([{ ...backendOf(`https://127.0.0.1:${port}`), transport, protocol }], { caFile, ...tls });
  const request = requestTo(pool);
  const snapshot = { pools: [pool], timeouts: PATIENT };
  const transports = new Transports({
    ...{ snapshot, fetch: hereFetch(), connect: connectBunStream, timers: systemTimers, counters: new Counters() },
    ...{ random: Random.fromEntropy([1]), onLearned: () => undefined },
  });
  const outcome = await exchange(transports.of(request.backend), request);
  transports.close();
  return outcome;
}

describe.each<[BackendTransport, "http1" | "h2", string]>([
  ["fetch", "http1", "1.1"],
  ["fetch", "h2", "2.0"],
  ["native", "http1", "1.1"],
  ["native", "h2", "2.0"],
])("%s with %s", (transport, protocol, version) => {
  test("shows its certificate to a backend that asks who we are", async () => {
    const port = await startServer(await testCertificate(), true);
    const { certFile, keyFile } = certificateFiles(await testLeaf({ names: ["us.example"], usage: "client" }));
    const good = await ask(port, transport, protocol, { clientCertificate: { certFile, keyFile } });
    expect(good.text).toStartWith(`${version} true`);
    const none = await ask(port, transport, protocol, {});
    expect([none.status, none.failure?.source]).toEqual([0, "upstream"]);
  });

  test("asks for the name it is told to, and takes no certificate for another", async () => {
    const port = await startServer(await testLeaf({ names: ["other.example"] }), false);
    const named = await ask(port, transport, protocol, { serverName: "other.example" });
    expect(named.text).toEndWith("other.example");
    const address = await ask(port, transport, protocol, {});
    expect(address.failure).toMatchObject({ code: "UPSTREAM_TLS", processed: "no" });
    const wrong = await ask(port, transport, protocol, { serverName: "third.example" });
    expect(wrong.failure).toMatchObject({ code: "UPSTREAM_TLS", processed: "no" });
  });
});
