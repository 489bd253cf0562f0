/**
 * What it costs to send a client away: the packet made by hand, beside what quiche would do for the same (accept, read the first
 * datagrams, close, send, free). Run: `SPOOKY_NATIVE=... bun bench/micro/refusal.ts`. The figures are for comparing two ways on one machine.
 */
import { randomFillSync } from "node:crypto";
import { refusalPacket } from "../../ffi/quiche/refusal.ts";
import { Answerer } from "../../test/support/answerer.ts";
import { testCertificate } from "../../test/support/certs.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { TestServer } from "../../test/support/quic-pair.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS = 2000;
const dcid = new Uint8Array(8);
const scid = new Uint8Array(16);

report(
  "a refusal made by hand",
  nanosecondsPerCall(CALLS, (call) => {
    dcid[0] = call;
    return refusalPacket(dcid, scid, 0x02).length;
  }),
);

const { certPem, keyPem } = await testCertificate();
const encoder = new TextEncoder();
const identity = { serverNames: [], chainPem: encoder.encode(certPem), keyPem: encoder.encode(keyPem), label: "bench" };
const server = new TestServer({ library: openTestLibrary(), identities: [identity], handler: new Answerer() });
const client = server.client();
client.step();
const arrived = waitFor(() => server.socket.receive());
const id = new Uint8Array(18);
// quiche decrypts a datagram where it lies.
const asReceived = server.socket.received.slice();
report(
  "the same through quiche",
  nanosecondsPerCall(200, () => {
    randomFillSync(id);
    const connection = server.engine.accept(0, id, new Uint8Array(16), null);
    if (connection === null) return 0;
    server.socket.received.set(asReceived.subarray(0, 4096));
    for (let slot = 0; slot < arrived; slot++) connection.feed(slot);
    connection.close(false, 0x02, "");
    const length = connection.send(Infinity);
    connection.free();
    server.socket.flush();
    return length;
  }),
);
client.close();
server.close();

function waitFor(receive: () => number): number {
  for (let count = receive(); ; count = receive()) if (count > 0) return count;
}
