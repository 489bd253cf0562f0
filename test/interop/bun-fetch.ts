/**
 * Bun's `fetch` over HTTP/3 (lsquic, in this process). What 1.4.5 takes, measured: `protocol: "http3"`, an `https` URL, of
 * `tls` only `rejectUnauthorized`. `ca`, `serverName` and `checkServerIdentity` with verification fail with HTTP3Unsupported;
 * verification uses the system's store and NODE_EXTRA_CA_CERTS as it was at the start of the process, so a verified request
 * needs a process of its own. A name with several addresses is tried at the first alone: use IP literals. A response that is
 * reset without a Content-Length looks complete, so it proves nothing about broken responses: aioquic does.
 */
import { runProcess } from "../support/process.ts";

/** Options of a request over HTTP/3. */
export type Http3Init = Omit<BunFetchRequestInit, "protocol" | "tls">;

/** Sends a request over HTTP/3 without verifying the certificate. The response's body is as sent: nothing is decompressed. */
export function fetchHttp3(url: string, init: Http3Init = {}): Promise<Response> {
  return fetch(url, {
    redirect: "manual",
    ...init,
    decompress: false,
    protocol: "http3",
    tls: { rejectUnauthorized: false },
  });
}

/** What a verified request gave: a status, or the code of the error. */
export interface VerifiedAnswer {
  readonly status: number | null;
  readonly body: string | null;
  readonly error: string | null;
}

/** Sends a GET over HTTP/3 from a process of its own that trusts `caFile`, or without one the system's authorities only. */
export async function fetchHttp3Verified(url: string, caFile: string | null): Promise<VerifiedAnswer> {
  const { code, stdout, stderr } = await runProcess({
    command: [process.execPath, "-e", VERIFIED, url],
    env: { NODE_EXTRA_CA_CERTS: caFile ?? undefined, SSL_CERT_FILE: undefined },
  });
  if (code !== 0) return { status: null, body: null, error: stderr };
  return JSON.parse(stdout);
}

/** Small enough to stand here, so that nothing of the project is loaded in the process that proves it. */
const VERIFIED = `
  const url = process.argv.at(-1);
  const answer = await fetch(url, { protocol: "http3", decompress: false })
    .then(async (response) => ({ status: response.status, body: await response.text(), error: null }))
    .catch((error) => ({ status: null, body: null, error: error.code ?? String(error) }));
  console.log(JSON.stringify(answer));
`;
