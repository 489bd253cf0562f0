/** Whose address it is: Retry and its tokens, and resets for connections that are gone. Rows 61 to 64, and 70. */
import { expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { startBackend } from "../../support/backends.ts";
import { sealInitial } from "../../support/initial.ts";
import { patternSha256 } from "../../support/pattern.ts";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";
import { firstFlight, runTransport, runTransports, type TransportPlan, type TransportResult } from "../transport.ts";
import type { UdpClient } from "../udp-client.ts";

const ALWAYS = { extra: { performance: { retry: "always" } } };
const HANDSHAKE = { do: "handshake" } as const;
const GET = { do: "get", path: "/" } as const;
const SERVED = { connected: true, statuses: [200], closed: null };
const INVALID_TOKEN = { connected: false, closed: { code: 0x0b, application: false } };

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
      bed.expectCounters({ resets_sent: 7, resets_too_short: 3, connections_timed_out: 1 });
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
