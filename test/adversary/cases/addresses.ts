/** Whose address it is: Retry and its tokens, and resets for connections that are gone. Rows 61 to 64, and 70. */
import { expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { refusalPacket } from "../../../ffi/quiche/refusal.ts";
import { hkdfSha256, tokenCipher } from "../../../src/control/ciphers.ts";
import { makeIdScheme, makeNodeKeys, startSecrets } from "../../../src/control/node-keys.ts";
import { ID_BYTES } from "../../../src/quic/cid.ts";
import { deriveSecrets } from "../../../src/quic/secrets.ts";
import { TokenSealer } from "../../../src/quic/token.ts";
import { startBackend } from "../../support/backends.ts";
import { clusterKeyFile, secretHex } from "../../support/cluster.ts";
import { sealInitial } from "../../support/initial.ts";
import { patternSha256 } from "../../support/pattern.ts";
import { startProxy } from "../../support/proxy.ts";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";
import { firstFlight, runTransport, runTransports, type TransportPlan, type TransportResult } from "../transport.ts";
import { openUdp, type UdpClient } from "../udp-client.ts";

const ALWAYS = { extra: { performance: { retry: "always" } } };
const HANDSHAKE = { do: "handshake" } as const;
const GET = { do: "get", path: "/" } as const;
const SERVED = { connected: true, statuses: [200], closed: null };
const INVALID_TOKEN = { connected: false, closed: { code: 0x0b, application: false } };

/** Number of a cluster's key. */
const TOKEN_KEY = 17;
/** How long such a token lives, and how far ahead another node's clock may be. */
const RETRY_TOKEN_MS = 10_000;
const CLOCK_AHEAD_MS = 5000;
const LOOPBACK = 0x7f000001;

const FLOOD_COUNT = 20_000;
const FLOOD_SOCKETS = 8;
/** So many go out every 10 ms: 20,000 a second. */
const FLOOD_BURST = 200;
const FLOOD_MIB_MAX = 48;
/** `performance.retry_from_handshakes`, by default. */
const RETRY_FROM = 200;
const DOWNLOAD_BYTES = 3_000_000;
const TYPE_RETRY = 0xf0;

/** The rows of this file. */
export const ADDRESS_CASES: readonly Case[] = [
  {
    row: 61,
    name: "always: a client comes back with the token, finds both ids where they belong, and is served",
    needs: ["aioquic"],
    run: async (bed) => {
      const { port } = await bed.start(ALWAYS);
      const plans = [8, 18, 20].map((id_bytes): TransportPlan => ({ port, id_bytes, steps: [HANDSHAKE, GET] }));
      for (const result of await runTransports(plans)) expect(result).toMatchObject({ ...SERVED, retries: 1 });
      bed.expectCounters({ tokens_valid: expect.any(Number), connections_accepted: 4 });
    },
  },
  {
    row: 61,
    name: "auto: from so many handshakes on, and not before",
    needs: ["aioquic"],
    run: async (bed) => {
      const { port } = await bed.start({ extra: { performance: { retry_from_handshakes: 1 } } });
      const plan: TransportPlan = { port, steps: [HANDSHAKE, GET] };
      expect(await runTransport(plan)).toMatchObject({ ...SERVED, retries: 0 });
      const udp = await bed.udp();
      udp.send(...(await firstFlight({ port })));
      await udp.datagrams(1);
      expect(await runTransport(plan)).toMatchObject({ ...SERVED, retries: 1 });
    },
  },
  ...(
    [
      ["a bit of its time is changed", [{ do: "spoil_token", at: 20 }]],
      ["a bit of its tag is changed", [{ do: "spoil_token", at: -1 }]],
      ["its key's number is changed", [{ do: "spoil_token", at: 1 }]],
      ["it comes from another port", [{ do: "move" }]],
      ["it comes from another address", [{ do: "move", host: "127.0.0.5" }]],
    ] as const
  ).map(([name, steps]): Case => ({
    row: 62,
    name: `a token of a Retry ends the connection with 0x0b where ${name}`,
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await play(bed, ALWAYS, { steps: [{ do: "retry" }, ...steps, { do: "closed" }] });
      expect(result).toMatchObject({ ...INVALID_TOKEN, retries: 1 });
      bed.expectCounters({ connections_accepted: 1 });
    },
  })),
  {
    row: 62,
    name: "a token of a Retry ends the connection with 0x0b where it is too old, or of a clock far ahead; a fresh one does not",
    run: async (bed) => {
      const cluster = { key_file: clusterKeyFile({ current: TOKEN_KEY }), node_id: "01" };
      await bed.start({ extra: { ...ALWAYS.extra, cluster } });
      for (const ageMs of [RETRY_TOKEN_MS + 1000, -CLOCK_AHEAD_MS - 1000]) {
        const udp = await bed.udp();
        const { packet, refusal } = sealedBack(udp.port, Date.now() - ageMs);
        udp.send(packet);
        await udp.datagrams(1);
        expect(udp.received).toEqual([refusal]);
      }
      const udp = await bed.udp();
      const { packet, refusal } = sealedBack(udp.port, Date.now() - 1000);
      udp.send(packet);
      await udp.datagrams(1);
      expect(udp.received).not.toEqual([refusal]);
      bed.expectCounters({ "tokens_refused.expired": 2, tokens_valid: expect.any(Number) });
    },
  },
  ...(
    [
      ["of a node with the same keys is taken", TOKEN_KEY, { ...SERVED, retries: 1 }],
      ["of a node with other keys ends the connection with 0x0b", TOKEN_KEY + 1, { ...INVALID_TOKEN, retries: 1 }],
    ] as const
  ).map(([name, key, expected]): Case => ({
    row: 62,
    name: `a token of a Retry ${name}`,
    needs: ["aioquic"],
    run: async (bed) => {
      const node = (current: number, node_id: string) => ({
        extra: { ...ALWAYS.extra, cluster: { key_file: clusterKeyFile({ current }), node_id } },
      });
      const { port } = await bed.start(node(TOKEN_KEY, "01"));
      const pools = [{ prefix: "/", backends: [(await bed.recorder()).address] }];
      const first = await startProxy({ pools, ...node(key, "02") });
      const steps = [{ do: "retry" }, { do: "turn", port }, HANDSHAKE, GET] as const;
      expect(await runTransport({ port: first.port, steps })).toMatchObject(expected);
    },
  })),
  ...(["always", "off"] as const).map((retry): Case => ({
    row: 63,
    name: `a token that is none of a Retry is no token (retry: ${retry})`,
    needs: ["aioquic"],
    run: async (bed) => {
      const { port } = await bed.start({ extra: { performance: { retry } } });
      // Our own kind for NEW_TOKEN, the kind for Retry in a packet whose id answers none, and something of somebody else.
      for (const [first, bytes] of [
        ["d2", 55],
        ["d1", 75],
        ["00", 40],
      ] as const) {
        const token = first + randomBytes(bytes).toString("hex");
        const result = await runTransport({ port, token, steps: [HANDSHAKE, GET] });
        expect(result).toMatchObject({ ...SERVED, retries: retry === "always" ? 1 : 0 });
      }
      bed.expectCounters({ connections_accepted: 4, tokens_ignored: expect.any(Number) });
    },
  })),
  {
    row: 64,
    name: "packets of a connection that is gone get its reset token, in less than they have, and none below 22 bytes",
    needs: ["aioquic"],
    run: async (bed) => {
      const sizes = [19, 20, 21, 22, 23, 42, 43, 60, 1200];
      const performance = { quic_max_idle_timeout_ms: 300 };
      const { resets, statuses } = await play(
        bed,
        { extra: { performance } },
        { steps: [HANDSHAKE, GET, { do: "strays", after_ms: 800, sizes, answers: 6 }] },
      );
      expect(statuses).toEqual([200]);
      expect(resets.slice(0, 4)).toEqual([21, 22, 41, 42]);
      expect(resets.length).toBe(6);
      for (const length of resets.slice(4)) expect(length >= 42 && length <= 57).toBe(true);
      // The seventh is for the client's goodbye.
      bed.expectCounters({ resets_sent: 7, resets_too_short: 3 });
    },
  },
  {
    row: 64,
    name: "packets to ids that are none of ours get nothing",
    run: async (bed) => {
      const udp = await bed.udp();
      for (let i = 0; i < 200; i++) udp.send(Uint8Array.from([0x40, ...randomBytes(60)]));
      await bed.expectAlive();
      expect(udp.received).toEqual([]);
    },
  },
  {
    row: 64,
    name: "a reset that reaches another node is answered by nothing, and so is one that comes back",
    run: async (bed) => {
      const key_file = clusterKeyFile({ current: TOKEN_KEY });
      const node = (node_id: string) => ({ extra: { cluster: { key_file, node_id } } });
      await bed.start(node("01"));
      const pools = [{ prefix: "/", backends: [(await bed.recorder()).address] }];
      const other = await startProxy({ pools, ...node("02") });
      const [one, two] = [await bed.udp(), await openUdp(other.port)];
      // An id as the first node makes them, of a connection that is long gone.
      one.send(Uint8Array.from([0x40, ...idOf(key_file, "01"), ...randomBytes(60)]));
      await one.datagrams(1);
      const [reset = new Uint8Array(0)] = one.received;
      one.send(...Array.from({ length: 20 }, () => reset));
      two.send(...Array.from({ length: 20 }, () => reset));
      // What is answered to a later packet was sent after all that was answered to these.
      const unknownVersion = Uint8Array.from([
        0xc0,
        0xba,
        0xba,
        0xba,
        0xba,
        8,
        ...randomBytes(8),
        0,
        ...randomBytes(1200),
      ]);
      for (const udp of [one, two]) udp.send(unknownVersion);
      await Promise.all([one.datagrams(2), two.datagrams(1)]);
      const isLong = ({ received }: UdpClient) => received.map(([first = 0]) => first >= 0x80);
      expect([isLong(one), isLong(two)]).toEqual([[false, true], [true]]);
      bed.expectCounters({ resets_sent: 1, version_negotiations: 1 });
    },
  },
  {
    row: 70,
    name: "20,000 first packets a second: Retry takes over, a download goes on, and a new client comes in",
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startBackend({ protocol: "http1" });
      const { port } = await bed.start({ pools: [{ prefix: "/", backends: [backend.address] }] });
      const packets = Array.from({ length: FLOOD_COUNT }, firstPacket);
      const sockets: UdpClient[] = [];
      for (let i = 0; i < FLOOD_SOCKETS; i++) sockets.push(await bed.udp());
      const before = bed.residentMib();
      const download = bed.aioquic({
        steps: [{ do: "request", id: "down", path: `/bytes/${DOWNLOAD_BYTES}?seed=down` }],
      });
      const flooding = flood(sockets, packets);
      await retried(sockets);
      const late = await runTransport({ port, steps: [HANDSHAKE, { do: "get", path: "/small" }] });
      expect(late).toMatchObject({ ...SERVED, retries: 1 });
      await flooding;
      const [whole] = (await download).exchanges;
      expect(whole).toMatchObject({ status: 200, ended: true, sha256: patternSha256("down", DOWNLOAD_BYTES) });
      const answers = sockets.flatMap(({ received }) => received);
      const retries = answers.filter(isRetry).length;
      expect(retries).toBeGreaterThan(FLOOD_COUNT / 10);
      expect(answers.length - retries).toBeLessThanOrEqual(RETRY_FROM);
      expect(bed.residentMib() - before).toBeLessThan(FLOOD_MIB_MAX);
    },
  },
];

/** An id that a node makes which has these keys. */
function idOf(keyFile: string, nodeId: string): Uint8Array {
  const cluster = { keyFile, nodeId, quicLb: null };
  const keys = makeNodeKeys(startSecrets(cluster), cluster);
  return makeIdScheme(keys, keys.ids[0], 0, (bytes) => void bytes.set(randomBytes(bytes.length))).mint(7);
}

/** An Initial with a token of a Retry that was sealed at a time, with the cluster's key, and the answer that says INVALID_TOKEN. */
function sealedBack(port: number, epochMs: number): { readonly packet: Uint8Array; readonly refusal: Uint8Array } {
  const [retryId, scid] = [randomBytes(ID_BYTES), randomBytes(4)];
  const { id, retryToken, newToken } = deriveSecrets(
    { id: TOKEN_KEY, bytes: Uint8Array.fromHex(secretHex(TOKEN_KEY)) },
    Uint8Array.of(1),
    hkdfSha256,
  );
  const sealer = new TokenSealer({
    keys: [{ id, retry: tokenCipher(retryToken), newToken: tokenCipher(newToken) }],
    fillRandom: (bytes) => void bytes.set(randomBytes(bytes.length)),
    ...{ retryLifetimeMs: RETRY_TOKEN_MS, newTokenLifetimeMs: 0 },
  });
  const client = { words: Uint32Array.from([0, 0, 0xffff, LOOPBACK]), port };
  const token = sealer.sealRetry(client, randomBytes(8), retryId, epochMs);
  const payload = new Uint8Array(1100);
  payload[0] = 0x01;
  const packet = sealInitial({ dcid: retryId, scid, token, payload });
  return { packet, refusal: Uint8Array.from(refusalPacket(retryId, scid, INVALID_TOKEN.closed.code)) };
}

async function play(
  bed: Bed,
  options: Parameters<Bed["start"]>[0],
  plan: Omit<TransportPlan, "port">,
): Promise<TransportResult> {
  const { port } = await bed.start(options);
  return runTransport({ port, ...plan });
}

/** A valid Initial of a client of its own that says nothing but that it is there: a handshake that would stay unfinished. */
function firstPacket(): Uint8Array {
  const payload = new Uint8Array(1160);
  payload[0] = 0x01;
  return sealInitial({ dcid: randomBytes(8), scid: randomBytes(4), payload });
}

async function flood(sockets: readonly UdpClient[], packets: readonly Uint8Array[]): Promise<void> {
  for (let at = 0; at < packets.length; at += FLOOD_BURST) {
    packets.slice(at, at + FLOOD_BURST).forEach((packet, i) => sockets[i % sockets.length]?.send(packet));
    await Bun.sleep(10);
  }
}

function isRetry(datagram: Uint8Array): boolean {
  return ((datagram[0] ?? 0) & 0xf0) === TYPE_RETRY;
}

/** Resolves when the flood is answered with Retries. */
async function retried(sockets: readonly UdpClient[]): Promise<void> {
  const [first] = sockets;
  for (let count = 1; first !== undefined && !first.received.some(isRetry); count++) await first.datagrams(count);
}
