/** Connections that are nobody's fault: silent ones, a bad network, new keys, other ciphers, old sessions. Rows 65 to 67, and 90. */
import { expect } from "bun:test";
import { startBackend } from "../../support/backends.ts";
import { patternSha256 } from "../../support/pattern.ts";
import { startUdpRelay } from "../../support/udp-relay.ts";
import { runAioquicOnce } from "../../interop/aioquic.ts";
import type { Case } from "../case.ts";
import { firstFlight, runTransports } from "../transport.ts";

const SIZE_BYTES = 400_000;

/** The rows of this file. */
export const NETWORK_CASES: readonly Case[] = [
  {
    row: 65,
    name: "a connection on which nothing happens is closed without a word after the idle time, and counted",
    needs: ["aioquic"],
    run: async (bed) => {
      const performance = { quic_max_idle_timeout_ms: 400 };
      await bed.start({ extra: { performance, log: { level: "debug", format: "json" } } });
      const connection = await bed.aioquic({ steps: [{ do: "request", path: "/" }, { do: "wait_closed" }] });
      expect(connection.exchanges[0]?.status).toBe(200);
      expect(connection.closed?.by).toBe("timeout");
      await bed.logLine({ msg: "connection closed", by: "idle" });
      bed.expectCounters({ connections_timed_out: 1 });
    },
  },
  ...(
    [
      ["a tenth of all datagrams is lost", { lossPercent: 10 }],
      ["a tenth comes twice", { duplicationPercent: 10 }],
      ["a tenth comes late", { reorderPercent: 10 }],
      ["all of that at once", { lossPercent: 10, duplicationPercent: 10, reorderPercent: 10 }],
    ] as const
  ).map(([name, faults], seed): Case => ({
    row: 66,
    name: `bodies both ways are whole while ${name}`,
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startBackend({ protocol: "http1" });
      const { port } = await bed.start({ pools: [{ prefix: "/", backends: [backend.address] }] });
      const relay = await startUdpRelay(port, { seed, ...faults });
      const { exchanges } = await runAioquicOnce({
        port: relay.port,
        steps: [
          { do: "start", id: "down", path: `/bytes/${SIZE_BYTES}?seed=down` },
          { do: "start", id: "up", path: "/echo", body: { bytes: SIZE_BYTES, seed: "up" } },
          { do: "wait" },
        ],
      });
      expect(exchanges.map(({ id, status, ended, sha256 }) => ({ id, status, ended, sha256 }))).toEqual(
        ["down", "up"].map((id) => ({ id, status: 200, ended: true, sha256: patternSha256(id, SIZE_BYTES) })),
      );
      const { lost, repeated, reordered } = relay.counts;
      expect([lost > 0, repeated > 0, reordered > 0]).toEqual([
        ...["lossPercent" in faults, "duplicationPercent" in faults, "reorderPercent" in faults],
      ]);
    },
  })),
  {
    row: 67,
    name: "keys are updated again and again, ChaCha20 is spoken, and a session is resumed",
    needs: ["aioquic"],
    run: async (bed) => {
      const { port } = await bed.start();
      const handshake = { do: "handshake" } as const;
      const get = { do: "get", path: "/" } as const;
      const update = [{ do: "key_update" } as const, get, get];
      const [updated, chacha, aes, resumed] = await runTransports([
        { port, steps: [handshake, get, ...update, ...update, ...update] },
        { port, cipher: "chacha20", steps: [handshake, get, ...update] },
        { port, cipher: "aes128", steps: [handshake, get] },
        { port, resume: true, steps: [handshake, get] },
      ]);
      expect(updated).toMatchObject({ statuses: Array(7).fill(200), key_phase: 1, closed: null });
      expect(chacha).toMatchObject({ cipher: "CHACHA20_POLY1305_SHA256", statuses: [200, 200, 200], key_phase: 1 });
      expect(aes).toMatchObject({ cipher: "AES_128_GCM_SHA256", statuses: [200], resumed: false });
      expect(resumed).toMatchObject({ resumed: true, statuses: [200] });
    },
  },
  {
    row: 90,
    name: "a client waits while too many handshakes are under way, and comes in when a silent one is given up",
    needs: ["aioquic"],
    run: async (bed) => {
      // Long enough for the client to have come by then.
      const performance = { max_handshakes: 1, handshake_timeout_ms: 3000 };
      const { port } = await bed.start({ extra: { performance } });
      const udp = await bed.udp();
      udp.send(...(await firstFlight({ port })));
      await udp.datagrams(1);
      const connection = await bed.aioquic({ steps: [{ do: "request", path: "/" }] });
      expect(connection.exchanges[0]?.status).toBe(200);
      bed.expectCounters({ handshakes_timed_out: 1, connections_over_handshakes: expect.any(Number) });
    },
  },
];
