/** First flights: with tokens of another kind, in a flood of them, with early data, and played again. Rows 63, 70 and 100. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { hkdfSha256, tokenCipher } from "../../src/control/ciphers.ts";
import { deriveSecrets } from "../../src/quic/secrets.ts";
import { TokenSealer } from "../../src/quic/token.ts";
import { accessLine, logLine } from "../e2e/log-lines.ts";
import { type AioquicStep, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { runQuicGo, startQuicGo } from "../interop/quicgo.ts";
import { clusterKeyFile, secretHex } from "../support/cluster.ts";
import { BEFORE, BEHIND, type NetworkBackend, startNetwork } from "../support/netns.ts";
import { patternSha256 } from "../support/pattern.ts";
import { startProcess } from "../support/process.ts";
import { tempFolder } from "../support/temp.ts";
import { BOTH_MISSING, localOf } from "./both-clients.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

const network = BOTH_MISSING === null ? await startNetwork() : null;
const ONCE = [{ do: "request", path: "/small" }] as const;
const ANSWERED_ONCE = [{ id: "", sent: 1, statuses: { "200": 1 }, failed: 0, errors: [] }];
const TOKEN_KEY = 17;

describe.skipIf(network === null)(BOTH_MISSING ?? "a token of NEW_TOKEN's kind", () => {
  test.each([
    ["always", 1],
    ["off", 0],
  ] as const)("that the server's own keys have sealed is none of a Retry (retry: %s)", async (retry, retries) => {
    const net = must(network, "there is one");
    const cluster = { key_file: clusterKeyFile({ current: TOKEN_KEY }), node_id: "01" };
    const { proxy } = await startPlacedProxy(2, { extra: { cluster, performance: { retry } } }, net);
    const { host, port } = proxy;
    const local_host = must(net.clientHosts[0], "it has addresses");
    const plan = { host, port, token: newTokenOf(local_host) };
    const aioquic = await runAioquicOnce({ ...plan, local_host, steps: ONCE }, net.client);
    expect(aioquic).toMatchObject({ connected: true, retried: retries === 1, closed: null });
    expect(aioquic.exchanges[0]?.status).toBe(200);
    const [quicGo] = await runQuicGo({ ...plan, local_hosts: [local_host], steps: ONCE }, net.client);
    expect(quicGo).toMatchObject({ error: "", closed: "", requests: ANSWERED_ONCE });
    expect(quicGo?.frames["retry_received"] ?? 0).toBe(retries);
    const counted = await stoppedCounts(proxy);
    expect(counted).toMatchObject({ connections_established: 2 });
    expect(Number(counted["tokens_ignored"])).toBeGreaterThanOrEqual(2);
    expect(counted["tokens_valid"] === undefined).toBe(retries === 0);
  });
});

/** A valid one for a client with this address. */
function newTokenOf(clientHost: string): string {
  const secret = { id: TOKEN_KEY, bytes: Uint8Array.fromHex(secretHex(TOKEN_KEY)) };
  const { id, retryToken, newToken } = deriveSecrets(secret, Uint8Array.of(1), hkdfSha256);
  const sealer = new TokenSealer({
    keys: [{ id, retry: tokenCipher(retryToken), newToken: tokenCipher(newToken) }],
    fillRandom: (bytes) => void crypto.getRandomValues(bytes),
    ...{ retryLifetimeMs: 10_000, newTokenLifetimeMs: 3_600_000 },
  });
  const ip = clientHost.split(".").reduce((word, part) => word * 256 + Number(part), 0);
  const client = { words: Uint32Array.from([0, 0, 0xffff, ip]), port: 0 };
  return sealer.sealNewToken(client, Date.now()).toHex();
}

describe.skipIf(network === null)(BOTH_MISSING ?? "a flood of first packets", () => {
  const COUNT = 20_000;
  const BODY_BYTES = 3_000_000;
  /** `performance.retry_from_handshakes`, by default, of each of two workers. */
  const UNASKED_MAX = 400;
  /** Keeps responses from being over before the flood is. */
  const WINDOW = 100_000;

  test("is answered by Retry; transfers go on, and new clients of both kinds come in", async () => {
    const net = must(network, "there is one");
    const { proxy } = await startPlacedProxy(2, {}, net);
    const { host, port } = proxy;
    const path = `/bytes/${BODY_BYTES}?seed=down`;
    const local = localOf(host, net);
    const steps: readonly AioquicStep[] = [
      ...[{ do: "start", id: "down", path } as const, { do: "wait_bytes", id: "down", bytes: 1000 } as const],
      ...[{ do: "say", text: "begun" } as const, { do: "wait" } as const],
    ];
    const windows = { max_stream_data: WINDOW, max_data: WINDOW };
    const aioquic = startAioquic({ host, port, ...local, ...windows, steps }, net.client);
    const begun = { do: "request", path: "/small", count: 5 } as const;
    const download = { do: "download", path, bytes: BODY_BYTES } as const;
    const quicGo = await startQuicGo(
      { host, port, connections: 3, window: WINDOW, steps: [begun, { do: "say", text: "begun" }, download] },
      net.client,
    );
    await aioquic.event("said");
    for (let connection = 0; connection < 3; connection++) await quicGo.said("begun", connection);
    const child = [process.execPath, join(import.meta.dir, "initials.child.ts"), host, `${port}`, `${COUNT}`];
    const flood = startProcess({ command: net.client.command(child) });
    await flood.waitForLine((line) => line.includes("retried"));
    const late = await runAioquicOnce({ host, port, ...local, steps: ONCE }, net.client);
    expect([late.retried, late.exchanges[0]?.status]).toEqual([true, 200]);
    const [lateGo] = await runQuicGo({ host, port, steps: ONCE }, net.client);
    expect(lateGo).toMatchObject({ error: "", closed: "", requests: ANSWERED_ONCE });
    const [connection] = await aioquic.connections;
    const whole = { status: 200, ended: true, sha256: patternSha256("down", BODY_BYTES) };
    expect(connection?.exchanges[0]).toMatchObject(whole);
    for (const { error, closed, requests, downloads } of await quicGo.connections) {
      expect([error, closed, requests[0]?.sent, requests[0]?.statuses]).toEqual(["", "", 5, { "200": 5 }]);
      expect(downloads[0]).toMatchObject({ status: 200, sha256: whole.sha256, error: "" });
    }
    await flood.ended;
    const { sent, retries, others } = JSON.parse(await flood.waitForLine((line) => line.includes("others")));
    console.log(`flood: ${sent} first packets, ${retries} Retries, ${others} other answers`);
    expect(sent).toBeGreaterThan(COUNT / 2);
    expect(retries).toBeGreaterThan(COUNT / 10);
    // Each may be answered by several datagrams.
    const counted = await stoppedCounts(proxy);
    expect(Number(counted["connections_accepted"])).toBeLessThanOrEqual(UNASKED_MAX + 6);
    expect(counted).toMatchObject({ requests: 3 * 5 + 3 + 1 + 2 });
  });
});

/** Early data. Handshakes whose clients never end them are given up soon. */
function early(isOn: boolean): { readonly address: string; readonly extra: Readonly<Record<string, unknown>> } {
  return {
    address: BEHIND,
    extra: {
      log: { level: "debug", format: "json" },
      performance: { handshake_timeout_ms: 400 },
      ...(isOn ? { resilience: { protocol: { allow_0rtt: true } } } : {}),
    },
  };
}

/** Method, path and Early-Data of what the backend got, but for the requests that brought tickets. */
async function seenBy(backend: NetworkBackend): Promise<unknown[]> {
  const requests = (await backend.seen()).filter(({ target }) => target !== "/first");
  return requests.map(({ method, target, fields }) => [
    ...[method, target],
    ...fields.filter(([name]) => name.toLowerCase() === "early-data").map(([, value]) => value),
  ]);
}

/** What may be done twice and what may not, and the end of the handshake. */
const FIRST: readonly AioquicStep[] = [
  { do: "start", id: "p", method: "POST", path: "/post" },
  { do: "start", id: "g", path: "/get" },
];
const LATER: readonly AioquicStep[] = [{ do: "handshake" }, { do: "wait" }];

/** A file with a ticket that a client got there. */
async function ticketOf(host: string, port: number): Promise<string> {
  const ticket_to = join(tempFolder("ticket"), "ticket");
  const steps = [
    { do: "request", path: "/first" },
    { do: "wait_tickets", count: 2 },
  ] as const;
  const net = must(network, "there is one");
  const connection = await runAioquicOnce({ host, port, local_host: BEFORE, ticket_to, steps }, net.client);
  expect(connection.exchanges[0]?.status).toBe(200);
  return ticket_to;
}

describe.skipIf(network === null)(BOTH_MISSING ?? "early data", () => {
  test("is off by default: both clients resume and are served after the handshake", async () => {
    const net = must(network, "there is one");
    const { proxy, backend } = await startPlacedProxy(2, early(false), net);
    const { host, port } = await net.translator(proxy.port, { seed: 100 });
    const ticket_from = await ticketOf(host, port);
    const plan = { host, port, early: true };
    const steps = [...FIRST, ...LATER];
    const aioquic = await runAioquicOnce({ ...plan, local_host: BEFORE, ticket_from, steps }, net.client);
    expect(aioquic).toMatchObject({ resumed: true, early_taken: false });
    expect(aioquic.exchanges.map(({ status }) => status)).toEqual([200, 200]);
    const [quicGo] = await runQuicGo({ ...plan, ticket_path: "/first", steps: ONCE }, net.client);
    expect(quicGo).toMatchObject({ error: "", resumed: true, early_taken: false, requests: ANSWERED_ONCE });
    expect((await seenBy(backend)).toSorted()).toEqual([
      ["GET", "/get"],
      ["GET", "/small"],
      ["POST", "/post"],
    ]);
    expect((await stoppedCounts(proxy))["early_requests"]).toBeUndefined();
  });

  test("that is on: GET is marked, POST waits, 425 is followed by another try; both clients' is taken", async () => {
    const net = must(network, "there is one");
    const { proxy, backend } = await startPlacedProxy(2, early(true), net);
    const { host, port } = await net.translator(proxy.port, { seed: 100 });
    const request = (method: string, path: string) => ({ do: "request", method, path }) as const;
    const steps = [{ do: "request", path: "/get" } as const, request("POST", "/upload"), request("GET", "/too-early")];
    const [quicGo] = await runQuicGo({ host, port, early: true, ticket_path: "/first", steps }, net.client);
    expect(quicGo).toMatchObject({ error: "", resumed: true, early_taken: true });
    expect(quicGo?.requests.map(({ sent, statuses }) => [sent, statuses])).toEqual(Array(3).fill([1, { "200": 1 }]));
    const ticket_from = await ticketOf(host, port);
    const again = [...FIRST, { do: "start", id: "e", path: "/too-early" }, ...LATER] as const;
    const aioquic = await runAioquicOnce(
      { host, port, local_host: BEFORE, early: true, ticket_from, steps: again },
      net.client,
    );
    expect(aioquic).toMatchObject({ resumed: true, early_taken: true });
    expect(aioquic.exchanges.map(({ status }) => status)).toEqual([200, 200, 200]);
    const marked = (await seenBy(backend)).map(String);
    expect(marked.filter((one) => one === "GET,/get,1")).toEqual(Array(2).fill("GET,/get,1"));
    expect(marked).toContain("GET,/too-early,1");
    expect(marked.filter((one) => one.startsWith("POST"))).toEqual(["POST,/upload", "POST,/post"]);
    expect(await stoppedCounts(proxy)).toMatchObject({ early_connections: 2, early_requests_repeated: 1 });
  });
});

describe.skipIf(network === null)(BOTH_MISSING ?? "early data", () => {
  test("that is recorded on its way and played again is done once, and POST not before the handshake", async () => {
    const net = must(network, "there is one");
    const { proxy, backend } = await startPlacedProxy(2, early(true), net);
    const straight = await net.translator(proxy.port, { seed: 100 });
    const ticket_from = await ticketOf(straight.host, straight.port);
    const relay = await net.flightRelay(proxy.port);
    const plan = { host: relay.host, port: relay.port, local_host: BEFORE, early: true, ticket_from };
    const client = startAioquic({ ...plan, steps: [...FIRST, ...LATER] }, net.client);
    await accessLine(proxy, "/get");
    expect(await seenBy(backend)).toEqual([["GET", "/get", "1"]]);
    await relay.replay();
    await relay.release();
    const connection = must((await client.connections)[0], "there is one");
    expect([exchangeOf(connection, "p").status, exchangeOf(connection, "g").status]).toEqual([200, 200]);
    await logLine(proxy, { msg: "connection closed", client: relay.far });
    for (let i = 0; i < 3; i++) {
      const from = await relay.replay();
      await logLine(proxy, { msg: "connection closed", client: from });
    }
    expect(await seenBy(backend)).toEqual([
      ["GET", "/get", "1"],
      ["POST", "/post"],
    ]);
    expect(await stoppedCounts(proxy)).toMatchObject({ early_requests: 1 });
  });
});
