/** Certificates of clients are asked for by what the configuration says now: in every worker, after each reload and upgrade, whatever tickets clients have. */
import { describe, expect, test } from "bun:test";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeDevAuthority, makeDevCertificate } from "../../src/control/dev-cert.ts";
import {
  AIOQUIC_MISSING,
  type AioquicConnection,
  type AioquicPlan,
  aioquicPython,
  runAioquic,
  startAioquic,
} from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import {
  type CertificateFiles,
  certificateFiles,
  testAuthority,
  testCertificateFiles,
  testLeaf,
} from "../support/certs.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine } from "./log-lines.ts";
import { changeConfig, renewed, startWorkers } from "./worker-proxies.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;
const HANGS_AFTER_MS = 90_000;
const WORKERS = 2;
/** Both workers are asked: that one is not happens once in 500 runs. */
const CONNECTIONS = 10;
const CLIENT = { names: ["client.test"], usage: "client" } as const;
/** TLS alerts as QUIC closes with them (RFC 9001 4.8). */
const ALERT = { certificateRequired: 0x100 + 116, unknownCa: 0x100 + 48 };
const SERVED = { resumed: false, status: 200, code: null };

type Policy = "required" | "off";

class Bed {
  readonly proxy: RunningProxy;
  readonly caFile: string;
  #generation = 1;

  constructor(proxy: RunningProxy, caFile: string) {
    this.proxy = proxy;
    this.caFile = caFile;
  }

  /** What all clients with that plan come to, who are served alike. */
  async come(
    plan: Omit<AioquicPlan, "port" | "steps">,
  ): Promise<{ resumed: boolean; status: number | null; code: number | null }> {
    const steps = [{ do: "request", path: "/small" }, { do: "wait_tickets" }] as const;
    const all = await runAioquic({ port: this.proxy.port, connections: CONNECTIONS, events: false, ...plan, steps });
    const [first, ...others] = all.map(outcomeOf);
    expect(others).toEqual(others.map(() => first ?? SERVED));
    return first ?? SERVED;
  }

  /** In place. */
  async ask(policy: Policy): Promise<void> {
    changeConfig(this.proxy, (text) => {
      const document: { listen: { tls: { client_auth: object } } } = JSON.parse(text);
      document.listen.tls.client_auth = authOf(policy, this.caFile);
      return JSON.stringify(document);
    });
    await this.reload();
  }

  async reload(): Promise<void> {
    this.#generation += 1;
    this.proxy.process.signal("SIGHUP");
    await logLine(this.proxy, { msg: "reload done", generation: this.#generation, how: "in_place" });
  }
}

function outcomeOf({ resumed, exchanges, closed }: AioquicConnection): Awaited<ReturnType<Bed["come"]>> {
  return { resumed, status: exchanges[0]?.status ?? null, code: closed?.code ?? null };
}

function authOf(policy: Policy, ca_file: string): object {
  return { enabled: policy === "required", require_client_cert: policy === "required", ca_file };
}

function showing({ certFile, keyFile }: CertificateFiles): Pick<AioquicPlan, "client_cert" | "client_key"> {
  return { client_cert: certFile, client_key: keyFile };
}

async function startBed(): Promise<Bed> {
  const { certFile: cert, keyFile: key } = await testCertificateFiles();
  const caFile = join(tempFolder("clients"), "ca.pem");
  writeFileSync(caFile, (await testAuthority()).certPem);
  const backend = await startBackend({ protocol: "http1" });
  const tls = { cert, key, client_auth: authOf("required", caFile) };
  const proxy = await startWorkers(WORKERS, backend.address, {
    extra: { workers: WORKERS, listen: { address: "127.0.0.1", port: 0, tls } },
  });
  return new Bed(proxy, caFile);
}

const refusedBy = (code: number) => ({ resumed: false, status: null, code });
const newTicket = (): string => join(tempFolder("tickets"), "ticket");

describe.skipIf(LACK !== null)(LACK ?? "certificates of clients", () => {
  test(
    "are asked for as the configuration says now, and no ticket of another time gets anybody in",
    async () => {
      const bed = await startBed();
      const client = showing(certificateFiles(await testLeaf(CLIENT)));
      const [withCertificate, without] = [newTicket(), newTicket()];
      expect(await bed.come({})).toEqual(refusedBy(ALERT.certificateRequired));
      expect(await bed.come({ ...client, ticket_to: withCertificate })).toEqual(SERVED);
      await bed.ask("off");
      expect(await bed.come({ ticket_to: without })).toEqual(SERVED);
      expect(await bed.come({ ticket_from: withCertificate })).toEqual(SERVED);
      await bed.ask("required");
      expect(await bed.come({ ticket_from: without })).toEqual(refusedBy(ALERT.certificateRequired));
      expect(await bed.come({ ticket_from: withCertificate })).toEqual({ ...SERVED, resumed: true });
      // Other workers, with the same keys of tickets.
      await renewed(bed.proxy, "SIGUSR2");
      expect(await bed.come({})).toEqual(refusedBy(ALERT.certificateRequired));
      expect(await bed.come({ ticket_from: without })).toEqual(refusedBy(ALERT.certificateRequired));
      expect(await bed.come({ ticket_from: withCertificate })).toEqual({ ...SERVED, resumed: true });
      expect((await bed.proxy.stop()).code).toBe(0);
    },
    HANGS_AFTER_MS,
  );

  test(
    "are verified by the authority that is there now; who was let in before goes on",
    async () => {
      const bed = await startBed();
      const former = showing(certificateFiles(await testLeaf(CLIENT)));
      const authority = await makeDevAuthority();
      const latter = showing(certificateFiles(await makeDevCertificate({ ...CLIENT, ca: authority })));
      const ticket = newTicket();
      expect(await bed.come({ ...former, ticket_to: ticket })).toEqual(SERVED);
      expect(await bed.come(latter)).toEqual(refusedBy(ALERT.unknownCa));
      const steps = [
        ...([
          { do: "request", path: "/small" },
          { do: "say", text: "in" },
        ] as const),
        ...([{ do: "cue" }, { do: "request", path: "/small" }] as const),
      ] as const;
      const staying = startAioquic({ port: bed.proxy.port, ...former, steps });
      await staying.event("said", { text: "in" });
      writeFileSync(`${bed.caFile}.new`, authority.certPem);
      renameSync(`${bed.caFile}.new`, bed.caFile);
      await bed.reload();
      expect(await bed.come(latter)).toEqual(SERVED);
      expect(await bed.come(former)).toEqual(refusedBy(ALERT.unknownCa));
      expect(await bed.come({ ticket_from: ticket })).toEqual(refusedBy(ALERT.certificateRequired));
      staying.cue();
      const [stayed] = await staying.connections;
      expect(stayed?.exchanges.map(({ status }) => status)).toEqual([200, 200]);
      expect((await bed.proxy.stop()).code).toBe(0);
    },
    HANGS_AFTER_MS,
  );
});
