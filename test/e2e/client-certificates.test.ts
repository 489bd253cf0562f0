/** Certificates of clients: who is let in, what backends are told, what of strangers' claims is left, and who may resume. */
import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { makeDevAuthority, makeDevCertificate } from "../../src/control/dev-cert.ts";
import { AIOQUIC_MISSING, type AioquicPlan, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import { startBackend, type TestBackend } from "../support/backends.ts";
import { type CertificateFiles, certificateFiles, testCertificateFiles, testLeaf } from "../support/certs.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine } from "./log-lines.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;
const HANGS_AFTER_MS = 60_000;
const FIELDS = { chain_header: "Client-Cert-Chain", subject_header: "X-Subject", fingerprint_header: "X-Print" };
const CLAIMS = [
  ["client-cert", ":AAAA:"],
  ["client-cert-chain", ":AAAA:"],
  ["client_cert", ":AAAA:"],
  ["x-subject", "CN=root"],
  ["x_subject", "CN=root"],
  ["x-print", "00"],
] as const;

describe.skipIf(LACK !== null)(LACK ?? "certificates of clients", () => {
  test(
    "are asked for, verified and passed on, and claims of them are not",
    async () => {
      const bed = await startAsking({ require_client_cert: false });
      const client = await clientFiles();
      const shown = await ask(bed, { ...showing(client), steps: [{ do: "request", path: "/small", headers: CLAIMS }] });
      const certificate = new X509Certificate(readFileSync(client.certFile));
      const base64 = Buffer.from(certificate.raw).toString("base64");
      const subject = certificate.subject;
      expect(shown.told).toEqual([
        `client-cert: :${base64}:`,
        `x-print: ${certificate.fingerprint256.replaceAll(":", "").toLowerCase()}`,
        `x-subject: ${subject}`,
      ]);
      const without = await ask(bed, { steps: [{ do: "request", path: "/small", headers: CLAIMS }] });
      expect([without.status, without.told]).toEqual([200, []]);
      expect(await logLine(bed.proxy, { msg: "request", client_subject: subject })).toMatchObject({ status: 200 });
      expect((await bed.proxy.stop()).code).toBe(0);
    },
    HANGS_AFTER_MS,
  );

  test(
    "are not looked for without client_auth, and claims of them are removed all the same",
    async () => {
      const bed = await startAsking({ enabled: false, require_client_cert: false });
      const steps = [{ do: "request", path: "/small", headers: CLAIMS }] as const;
      const { status, told: fields } = await ask(bed, { ...showing(await clientFiles()), steps });
      expect([status, fields]).toEqual([200, []]);
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf(LACK !== null)(LACK ?? "certificates of clients", () => {
  test(
    "that are missing, expired, for servers, or from somebody else end the handshake, counted by reason",
    async () => {
      const bed = await startAsking({ require_client_cert: true });
      const stranger = await makeDevCertificate({
        names: ["client.test"],
        usage: "client",
        ca: await makeDevAuthority(),
      });
      const expired = await testLeaf({ ...CLIENT, nowMs: Date.now() - 2 * 86_400_000, validDays: 1 });
      const bad = {
        "unknown-ca": stranger,
        "certificate-expired": expired,
        "unsupported-certificate": await testLeaf({}),
      };
      const steps = [{ do: "request", path: "/small" }] as const;
      const lone = await runAioquicOnce({ port: bed.proxy.port, steps });
      expect(lone.closed).toMatchObject({ by: "peer", code: 0x100 + 116 });
      for (const leaf of Object.values(bad)) {
        const { closed, exchanges } = await runAioquicOnce({
          port: bed.proxy.port,
          ...showing(certificateFiles(leaf)),
          steps,
        });
        expect(exchanges.map(({ status }) => status)).toEqual([null]);
        expect(closed?.by).toBe("peer");
      }
      expect((await ask(bed, { ...showing(await clientFiles()), steps })).status).toBe(200);
      await bed.proxy.stop();
      const counted = await logLine(bed.proxy, { msg: "counted" });
      for (const reason of ["certificate-required", ...Object.keys(bad)])
        expect(counted).toMatchObject({ [`tls_alerts_sent.${reason}`]: 1 });
    },
    HANGS_AFTER_MS,
  );

  test(
    "stay with sessions that are resumed, which are not under another policy",
    async () => {
      const cluster = { key_file: join(tempFolder("keys"), "keys"), node_id: "01" };
      await Bun.write(cluster.key_file, `current 1 ${"5a".repeat(32)}\n`);
      Bun.spawnSync(["chmod", "600", cluster.key_file]);
      const [required, optional] = [
        await startAsking({ require_client_cert: true }, { cluster }),
        await startAsking({ require_client_cert: false }, { cluster: { ...cluster, node_id: "02" } }),
      ];
      const ticket = join(tempFolder("tickets"), "ticket");
      const steps = [
        { do: "request", path: "/small" },
        { do: "wait_tickets", count: 2 },
      ] as const;
      await ask(required, { ...showing(await clientFiles()), steps, ticket_to: ticket });
      const again = [{ do: "request", path: "/small" }] as const;
      const resumed = await ask(required, { steps: again, ticket_from: ticket });
      expect([resumed.resumed, resumed.status, resumed.told.length]).toEqual([true, 200, 3]);
      const elsewhere = await ask(optional, { steps: again, ticket_from: ticket });
      expect([elsewhere.resumed, elsewhere.status, elsewhere.told]).toEqual([false, 200, []]);
      const unasked = join(tempFolder("tickets"), "ticket");
      await ask(optional, { steps, ticket_to: unasked });
      const refused = await runAioquicOnce({ port: required.proxy.port, steps: again, ticket_from: unasked });
      expect([refused.resumed, refused.closed?.code]).toEqual([false, 0x100 + 116]);
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf(LACK !== null)(LACK ?? "a connection with the certificate of one host", () => {
  test(
    "is told 421 when it is asked for a host of another, and serves hosts of no certificate",
    async () => {
      const files = await Promise.all(
        ["a.test", "b.test"].map(async (name) => certificateFiles(await testLeaf({ names: [name] }))),
      );
      const certificates = files.map(({ certFile: cert, keyFile: key }) => ({ cert, key }));
      const statuses = async (tls: object): Promise<readonly (number | null)[]> => {
        const { proxy } = await startEcho({ listen: { address: "127.0.0.1", port: 0, tls } });
        const steps = ["a.test", "b.test", "unknown.test", "a.test:8443"].map((authority) => ({
          ...({ do: "request", path: "/small" } as const),
          authority,
        }));
        const { exchanges } = await runAioquicOnce({ port: proxy.port, server_name: "a.test", steps });
        return exchanges.map(({ status }) => status);
      };
      expect(await statuses({ certificates })).toEqual([200, 421, 200, 200]);
      expect(await statuses({ certificates, refuse_misdirected: false })).toEqual([200, 200, 200, 200]);
      const { caFile } = await testCertificateFiles();
      const client_auth = { enabled: true, ca_file: caFile };
      expect(await statuses({ certificates, refuse_misdirected: false, client_auth })).toEqual([200, 421, 421, 200]);
    },
    HANGS_AFTER_MS,
  );
});

const CLIENT = { names: ["client.test"], usage: "client" } as const;

async function clientFiles(): Promise<CertificateFiles> {
  return certificateFiles(await testLeaf(CLIENT));
}

function showing({ certFile, keyFile }: CertificateFiles): Pick<AioquicPlan, "client_cert" | "client_key"> {
  return { client_cert: certFile, client_key: keyFile };
}

async function startAsking(auth: object, extra: object = {}): Promise<Bed> {
  const { certFile: cert, keyFile: key, caFile: ca_file } = await testCertificateFiles();
  const tls = { cert, key, client_auth: { enabled: true, ca_file, ...FIELDS, ...auth } };
  return startEcho({ listen: { address: "127.0.0.1", port: 0, tls }, ...extra });
}

/** Behind it is a backend that keeps what it sees. */
async function startEcho(extra: Record<string, unknown>): Promise<Bed> {
  const backend = await startBackend({ protocol: "http1" });
  const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }], extra });
  return { proxy, backend };
}

async function ask({ proxy, backend }: Bed, plan: Omit<AioquicPlan, "port">) {
  const { exchanges, resumed } = await runAioquicOnce({ port: proxy.port, ...plan });
  return { status: exchanges[0]?.status ?? null, told: told(backend.seen.at(-1)), resumed };
}

interface Bed {
  readonly proxy: RunningProxy;
  readonly backend: TestBackend;
}

/** What a backend was told of certificates, in the order of names. */
function told(seen: TestBackend["seen"][number] | undefined): readonly string[] {
  return (seen?.fields ?? [])
    .filter(([name]) => /^(client.cert|x.subject|x.print)/i.test(name))
    .map(([name, value]) => `${name}: ${value}`)
    .toSorted();
}
