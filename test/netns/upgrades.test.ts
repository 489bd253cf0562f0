/** Upgrades under load, and nobody notices. Row 106. SPOOKY_TEST_UPGRADES=20 asks for so many at the full rate, and prints all counts. */
import { describe, expect, test } from "bun:test";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram } from "../interop/quicgo.ts";
import { NETWORKS_MISSING } from "../support/netns.ts";
import { defaultRunner, hasRunner } from "../support/proxy.ts";
import { HANGS_AFTER_MS } from "../support/time-limit.ts";
import { playUpgrades } from "./upgrades.ts";

const UPGRADES = Number(process.env["SPOOKY_TEST_UPGRADES"] ?? 5);
const FULL = { quicGo: { connections: 12, rate: 60 }, aioquic: { connections: 6, rate: 50 } };
const SMALL = { quicGo: { connections: 6, rate: 25 }, aioquic: { connections: 3, rate: 10 } };
const lack =
  NETWORKS_MISSING ?? (aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null);

/** As the other tests run it, and a few with the executable. */
const LEGS = [
  ["program", defaultRunner(), UPGRADES],
  ["executable (dist/spooky, ./scripts/build makes it)", "binary", 2],
] as const;

describe.skipIf(lack !== null)(lack ?? "upgrades in a row", () => {
  describe.each(LEGS)("of the %s", (_, runner, upgrades) => {
    test.skipIf(!hasRunner(runner))(
      "lose no request of clients that change their ports and have to show their addresses meanwhile",
      async () => {
        const size = process.env["SPOOKY_TEST_UPGRADES"] === undefined ? SMALL : FULL;
        const outcome = await playUpgrades({ workers: 2, upgrades, runner, ...size });
        if (process.env["SPOOKY_TEST_UPGRADES"] !== undefined) console.log(JSON.stringify(outcome, null, 1));
        const { sent, answered, failed, failures, statelessResets, crewsHighest, generation, replacements } = outcome;
        expect({ failed, failures, statelessResets, answered }).toEqual({
          ...{ failed: 0, failures: [], statelessResets: 0 },
          answered: sent,
        });
        expect(sent).toBeGreaterThan(0);
        expect([outcome.rebinds > 0, outcome.retries > 0]).toEqual([true, true]);
        expect({ crewsHighest, generation }).toEqual({ crewsHighest: 2, generation: upgrades + 1 });
        expect(replacements).toBe(upgrades);
      },
      HANGS_AFTER_MS,
    );
  });
});
