/**
 * What the rules of a session cost beside the requests themselves: the counts asked for once per batch of datagrams, the judgement of the
 * batch, and the search for heads that do not become whole. Run: `bun bench/micro/session-rules.ts`.
 */
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { Batch } from "../../src/h3/batch.ts";
import { PeerBudget } from "../../src/h3/peer-budget.ts";
import { Http3Session } from "../../src/h3/session.ts";
import { testCertificate } from "../../test/support/certs.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { connect, drive, get, TestServer } from "../../test/support/quic-pair.ts";
import { STANDARD } from "../../test/support/settings.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS = 200_000;
const { certPem, keyPem } = await testCertificate();
const encoder = new TextEncoder();
const identity = { serverNames: [], chainPem: encoder.encode(certPem), keyPem: encoder.encode(keyPem), label: "bench" };

for (const open of [0, 10, 100]) {
  let begun = 0;
  const handler = { onRequest: () => void (begun += 1), onMalformed: () => undefined };
  const server = new TestServer({ library: openTestLibrary(), identities: [identity], handler });
  const client = server.client();
  connect(server, client);
  for (let i = 0; i < open; i++) client.request(get("/"), true);
  drive(server, [client], () => begun === open);
  const [connection] = server.endpoint.connections;
  const session = must(connection?.driver ?? null, "the client is there");
  if (!(session instanceof Http3Session)) throw new TypeError("a session drives the connection");
  const { engine } = session;
  const name = (what: string): string => `${what}, ${open} streams open`;
  const counts = (): number => {
    engine.refreshCounts();
    return engine.packetsReceived;
  };
  report(name("counts"), nanosecondsPerCall(CALLS, counts));
  const batch = new Batch(engine);
  const budget = new PeerBudget(STANDARD.connections, new Counters(), 0);
  const judged = (call: number): number => {
    batch.begin();
    batch.onEvent();
    batch.close();
    const isFair = budget.onBatch(batch, call);
    batch.forget();
    return isFair ? batch.bytes : 0;
  };
  report(name("counts and judgement"), nanosecondsPerCall(CALLS, judged));
  report(
    name("a search for heads among 100 ids"),
    nanosecondsPerCall(CALLS / 10, () => engine.openStreams(4 * open, 100).length),
  );
  client.close();
  server.close();
}
