/** Upgrades under load, and nobody notices. Row 106. SPOOKY_TEST_UPGRADES=20 asks for so many at the full rate, and prints all counts. */
import { describe, expect, test } from "bun:test";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram } from "../interop/quicgo.ts";
import { NETWORKS_MISSING } from "../support/netns.ts";
import { HANGS_AFTER_MS } from "../support/time-limit.ts";
import { playUpgrades } from "./upgrades.ts";

const UPGRADES = Number(process.env["SPOOKY_TEST_UPGRADES"] ?? 5);
const FULL = { quicGo: { connections: 12, rate: 60 }, aioquic: { connections: 6, rate: 50 } };
const SMALL = { quicGo: { connections: 6, rate: 25 }, aioquic: { connections: 3, rate: 10 } };
const lack =
  NETWORKS_MISSING ?? (aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null);

describe.skipIf(lack !== null)(lack ?? "upgrades in a row", () => {
  test(
    "lose no request of clients that change their ports and have to show their addresses meanwhile",
    async () => {
      const size = process.env["SPOOKY_TEST_UPGRADES"] === undefined ? SMALL : FULL;
      const outcome = await playUpgrades({ workers: 2, upgrades: UPGRADES, ...size });
      if (process.env["SPOOKY_TEST_UPGRADES"] !== undefined) console.log(JSON.stringify(outcome, null, 1));
      const { sent, answered, failed, failures, statelessResets, crewsHighest, generation, replacements } = outcome;
      expect({ failed, failures, statelessResets, answered }).toEqual({
        ...{ failed: 0, failures: [], statelessResets: 0 },
        answered: sent,
      });
      expect(sent).toBeGreaterThan(0);
      expect([outcome.rebinds > 0, outcome.retries > 0]).toEqual([true, true]);
      expect({ crewsHighest, generation }).toEqual({ crewsHighest: 2, generation: UPGRADES + 1 });
      expect(replacements).toBe(UPGRADES);
    },
    HANGS_AFTER_MS,
  );
});
