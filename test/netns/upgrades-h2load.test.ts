/** Upgrades under load from h2load, whose connections end by GOAWAY alone. Row 106, beside `upgrades.test.ts`. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { logLine } from "../e2e/log-lines.ts";
import { H2LOAD_MISSING, type H2loadCounts, h2loadProgram, runH2load } from "../interop/h2load.ts";
import { NETWORKS_MISSING } from "../support/netns.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, runnerCommand } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

const UPGRADES = 3;
const lack = NETWORKS_MISSING ?? (h2loadProgram === null ? H2LOAD_MISSING : null);

describe.skipIf(lack !== null)(lack ?? "upgrades under load from h2load", () => {
  test("answer all that it has sent, whichever program it was sent to", async () => {
    const socket = join(tempFolder("control"), "control.sock");
    const performance = { goaway_spread_ms: 300, shutdown_drain_timeout_ms: 20_000 };
    const options = { supervisor: "auto", extra: { control: { socket }, performance } } as const;
    const { network, proxy } = await startPlacedProxy(2, options);
    const url = `${proxy.url}/small`;
    const plan = { url, connections: 6, streams: 2, requests: 900, rate: 50 };
    let goesOn = true;
    const runs: H2loadCounts[] = [];
    const load = (async () => {
      // A run ends when all its connections have been sent away; the next one meets the next program.
      while (goesOn) runs.push(await runH2load(plan, network.client));
    })();
    for (let generation = 2; generation <= UPGRADES + 1; generation++) {
      const before = proxy.logs().filter(({ msg }) => msg === "request").length;
      await proxy.process.waitForLine(
        () => proxy.logs().filter(({ msg }) => msg === "request").length > before + plan.connections * 10,
      );
      const command = [...runnerCommand(defaultRunner()), "upgrade", "--control", socket];
      expect(await runProcess({ command })).toMatchObject({ code: 0 });
      await logLine(proxy, { msg: "crew is gone", generation: generation - 1 });
    }
    goesOn = false;
    await load;
    const sum = (of: (counts: H2loadCounts) => number): number => runs.reduce((total, one) => total + of(one), 0);
    const [started, succeeded] = [sum((one) => one.started), sum((one) => one.succeeded)];
    console.log(`h2load: ${runs.length} runs over ${UPGRADES} upgrades, ${started} sent, ${succeeded} answered`);
    expect(started).toBeGreaterThan(UPGRADES * 50);
    expect(succeeded).toBe(started);
    const counted = await stoppedCounts(proxy);
    expect(counted).toMatchObject({ requests: started, renewals: UPGRADES });
    expect(counted).not.toHaveProperty("resets_sent");
  });
});
