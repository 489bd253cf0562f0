/**
 * What it costs to ask a client for a token, and to judge one. Run: `SPOOKY_NATIVE=... bun bench/micro/retry.ts`. The figures are for comparing
 * ways on one machine.
 */
import { Answerer } from "../../test/support/answerer.ts";
import { testCertificate } from "../../test/support/certs.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { makeTokens, TestServer } from "../../test/support/quic-pair.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS = 5000;
const NOW_MS = 1_800_000_000_000;
const CLIENT = { words: Uint32Array.of(0, 0, 0xffff, 0xc000_0201), port: 50_000 };
const originalId = new Uint8Array(8).fill(1);
const retryId = new Uint8Array(18).fill(2);
const tokens = makeTokens();
const token = tokens.sealRetry(CLIENT, originalId, retryId, NOW_MS);

report(
  "a token sealed",
  nanosecondsPerCall(CALLS, () => tokens.sealRetry(CLIENT, originalId, retryId, NOW_MS).length),
);
report(
  "a token opened",
  nanosecondsPerCall(CALLS, () => tokens.openRetry(token, CLIENT, retryId, NOW_MS).verdict.length),
);

const { certPem, keyPem } = await testCertificate();
const encoder = new TextEncoder();
const identity = { serverNames: [], chainPem: encoder.encode(certPem), keyPem: encoder.encode(keyPem), label: "bench" };
const server = new TestServer({ library: openTestLibrary(), identities: [identity], handler: new Answerer() });
const client = server.client();
client.step();
while (server.socket.receive() === 0);
const ids = { dcidAt: 6, dcidLength: 16, scidAt: 23, scidLength: 16 };
report(
  "a Retry packet, sent",
  nanosecondsPerCall(CALLS, () => {
    const sent = server.engine.sendRetry(0, ids, retryId, token);
    server.socket.flush();
    return sent ? 1 : 0;
  }),
);
client.close();
server.close();
