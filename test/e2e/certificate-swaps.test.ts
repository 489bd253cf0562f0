/**
 * Certificates that change under load: new handshakes get the new one, connections that are there go on, and no request fails, however they
 * are renewed and whoever asks for it. Row 103.
 */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, type AioquicRun, runAioquic, startAioquic } from "../interop/aioquic.ts";
import { startAioquicLoad } from "../interop/aioquic-load.ts";
import { QUICGO_MISSING, quicGoProgram, runQuicGo, startQuicGo } from "../interop/quicgo.ts";
import { startBackend } from "../support/backends.ts";
import { testLeaf } from "../support/certs.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, type RunningProxy, runnerCommand } from "../support/proxy.ts";
import { type RenewedCertificate, type Renewer, renewedCertificate } from "../support/renewed-certificates.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine } from "./log-lines.ts";
import { expectNoLoss, TIMES, USERS } from "./renewal-loads.ts";
import { servesAnew, startWorkers, workersOf } from "./worker-proxies.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null;
const HANGS_AFTER_MS = 120_000;
const WORKERS = 2;
const SWAPS = 2;
/** Requests a second of quic-go, and after how many of them it makes another handshake. */
const RATE = 60;
const RENEW_EVERY = 3;
/** So many fresh connections that both workers are asked: that one is not happens once in 4,000 runs. */
const PROBES = 12;
const WATCH_MS = 100;

interface Bed {
  readonly proxy: RunningProxy;
  readonly certificate: RenewedCertificate;
  readonly socket: string;
}

/** The certificate of each renewal has a name of its own, so that whoever verifies that name knows which one it was shown. */
const nameOf = (swap: number): string => `swap-${swap}.test`;
const leafOf = (swap: number) => testLeaf({ names: ["localhost", "127.0.0.1", nameOf(swap)] });

async function startBed(renewer: Renewer, watch: "off" | "certificates", workers = WORKERS): Promise<Bed> {
  const backend = await startBackend({ protocol: "http1" });
  const certificate = renewedCertificate(renewer, await leafOf(0));
  const socket = join(tempFolder("control"), "control.sock");
  const proxy = await startWorkers(workers, backend.address, {
    certificate: certificate.files,
    extra: { workers, performance: TIMES, control: { socket, watch, watch_interval_ms: WATCH_MS } },
  });
  return { proxy, certificate, socket };
}

const reloadBy = {
  command: async ({ socket }: Bed): Promise<void> => {
    const command = [...runnerCommand(defaultRunner()), "reload", "--control", socket];
    expect((await runProcess({ command })).code).toBe(0);
  },
  signal: ({ proxy }: Bed): Promise<void> => Promise.resolve(proxy.process.signal("SIGHUP")),
  watch: (): Promise<void> => Promise.resolve(),
};

/** Clients that verify are shown that certificate by every worker, and nobody is shown another one any more. */
async function expectShown({ proxy: { port }, certificate }: Bed, swap: number): Promise<void> {
  const ca_file = certificate.files.caFile;
  const steps = [{ do: "request", path: "/small" }] as const;
  const plan = { port, ca_file, connections: PROBES, server_name: nameOf(swap), steps };
  const [shown, asked] = await Promise.all([runAioquic({ ...plan, events: false }), runQuicGo(plan)]);
  expect(shown.map(({ exchanges }) => exchanges[0]?.status)).toEqual(shown.map(() => 200));
  expect(asked.map(({ requests }) => requests[0]?.statuses)).toEqual(asked.map(() => ({ 200: 1 })));
  if (swap === 0) return;
  const former = await runAioquic({ ...plan, events: false, server_name: nameOf(swap - 1) });
  expect(former.map(({ connected, closed }) => [connected, closed?.by])).toEqual(former.map(() => [false, "client"]));
}

/** A client that stays on one connection: a request before each cue. */
async function startStaying(port: number): Promise<{ run: AioquicRun; ask: () => Promise<void> }> {
  const steps = Array.from({ length: SWAPS + 1 }, (_, i) => [
    { do: "request", id: `r${i}`, path: "/small" } as const,
    { do: "say", text: `s${i}` } as const,
    { do: "cue" } as const,
  ]);
  const run = startAioquic({ port, steps: steps.flat() });
  let asked = 0;
  await run.event("said", { text: "s0" });
  return {
    run,
    ask: async () => {
      run.cue();
      asked += 1;
      if (asked <= SWAPS) await run.event("said", { text: `s${asked}` });
    },
  };
}

const renewals = [
  ["certbot", "command"],
  ["files", "signal"],
  ["kubernetes", "watch"],
  ["certbot", "watch"],
] as const;

describe.skipIf(LACK !== null)(LACK ?? "certificates that change under load", () => {
  test.each(renewals)(
    "are shown to new clients and lose nobody (renewed as by %s, told by %s)",
    async (renewer, how) => {
      const bed = await startBed(renewer, how === "watch" ? "certificates" : "off");
      const { proxy, certificate } = bed;
      const staying = await startStaying(proxy.port);
      const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS, requests_per_connection: 10 });
      const steps = [{ do: "load", path: "/small", rate: RATE, renew_every: RENEW_EVERY }] as const;
      const goLoad = await startQuicGo({ port: proxy.port, ca_file: certificate.files.caFile, steps });
      await load.more(100);
      await expectShown(bed, 0);
      for (let swap = 1; swap <= SWAPS; swap++) {
        certificate.renew(await leafOf(swap));
        await reloadBy[how](bed);
        await logLine(proxy, { msg: "reload done", generation: swap + 1, how: "in_place" });
        await load.more(100);
        await expectShown(bed, swap);
        await staying.ask();
      }
      await staying.ask();
      const [stayed] = await staying.run.connections;
      expect([stayed?.closed, stayed?.goaways, stayed?.local_ports.length]).toEqual([null, [], 1]);
      expect(stayed?.exchanges.map(({ status }) => status)).toEqual(Array.from({ length: SWAPS + 1 }, () => 200));
      const [ended] = (await goLoad.finish()).flatMap(({ loads }) => loads);
      expect(ended).toMatchObject({ failed: 0, errors: [], stateless_resets: 0 });
      expect(ended?.connections).toBeGreaterThan(SWAPS);
      await expectNoLoss(load, proxy);
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf(LACK !== null)(LACK ?? "a certificate", () => {
  test(
    "whose key has not come yet changes nothing, and is shown once it has",
    async () => {
      const bed = await startBed("files", "certificates");
      const { proxy, certificate, socket } = bed;
      const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS, requests_per_connection: 10 });
      await load.more(100);
      const next = await leafOf(1);
      writeFileSync(certificate.files.certFile, next.certPem);
      await logLine(proxy, { msg: "files have changed and do not go together yet: what was read before stays" });
      const command = [...runnerCommand(defaultRunner()), "reload", "--control", socket];
      const refused = await runProcess({ command });
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("is not the key of")]);
      await expectShown(bed, 0);
      await load.more(100);
      writeFileSync(certificate.files.keyFile, next.keyPem);
      await logLine(proxy, { msg: "reload done", generation: 2, how: "in_place" });
      await expectShown(bed, 1);
      await expectNoLoss(load, proxy);
    },
    HANGS_AFTER_MS,
  );

  test(
    "is shown by a worker that is started again, the newest one",
    async () => {
      const bed = await startBed("kubernetes", "off");
      const { proxy, certificate } = bed;
      certificate.renew(await leafOf(1));
      await reloadBy.command(bed);
      await killOne(proxy);
      await expectShown(bed, 1);
      // When the files are halfway to the next one, it has what all the others have; and once they are not, the next one.
      const next = await leafOf(2);
      writeFileSync(certificate.files.certFile, next.certPem);
      await killOne(proxy);
      await expectShown(bed, 1);
      writeFileSync(certificate.files.keyFile, next.keyPem);
      await reloadBy.command(bed);
      await expectShown(bed, 2);
      expect((await proxy.stop()).code).toBe(0);
    },
    HANGS_AFTER_MS,
  );
});

/** A worker is killed; resolves when another one serves in its place. */
async function killOne(proxy: RunningProxy): Promise<void> {
  const [name, pid] = must(Object.entries(workersOf(proxy))[0], "there are workers");
  process.kill(pid, "SIGKILL");
  await servesAnew(proxy, Number(name.at(-1)), pid);
}
