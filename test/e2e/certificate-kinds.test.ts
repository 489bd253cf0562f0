/** Two certificates for one name, with an ECDSA and an RSA key: each client is shown the one that it can verify. */
import { describe, expect, test } from "bun:test";
import { AIOQUIC_MISSING, type AioquicPlan, aioquicPython, runAioquic } from "../interop/aioquic.ts";
import { quicGoProgram, runQuicGo } from "../interop/quicgo.ts";
import { startBackend } from "../support/backends.ts";
import { certificateFiles, rsaLeaf, RSA_MISSING, testLeaf } from "../support/certs.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { logLine } from "./log-lines.ts";
import { changeConfig, startWorkers } from "./worker-proxies.ts";

const LACK = RSA_MISSING ?? (aioquicPython === null ? AIOQUIC_MISSING : null);
const HANGS_AFTER_MS = 60_000;
const WORKERS = 2;
const CONNECTIONS = 8;
const HANDSHAKE_FAILURE = 0x100 + 40;
const EC = ["ECDSA_SECP256R1_SHA256"] as const;
const RSA = ["RSA_PSS_RSAE_SHA256"] as const;

/** What clients with these signatures are shown, all alike: the kind of key, or the code that their handshake ends with. */
async function shown(
  { port, certificate: { caFile: ca_file } }: RunningProxy,
  signature_algorithms: AioquicPlan["signature_algorithms"] = [...EC, ...RSA],
): Promise<string | number | null> {
  const steps = [{ do: "request", path: "/small" }] as const;
  const plan = { port, ca_file, connections: CONNECTIONS, events: false, signature_algorithms, steps };
  const all = (await runAioquic(plan)).map(({ exchanges, certificate_key, closed }) =>
    exchanges[0]?.status === 200 ? certificate_key : (closed?.code ?? null),
  );
  expect(new Set(all).size).toBe(1);
  return all[0] ?? null;
}

describe.skipIf(LACK !== null)(LACK ?? "an ECDSA and an RSA certificate for one name", () => {
  test.each(["ECDSA first", "RSA first"])(
    "are shown to whoever can verify the one or the other, and ECDSA to whoever can both (%s)",
    async (order) => {
      const leaves = [await testLeaf({}), await rsaLeaf(["localhost", "127.0.0.1"])];
      const files = leaves.map((leaf) => certificateFiles(leaf));
      const certificates = files.map(({ certFile: cert, keyFile: key }) => ({ cert, key }));
      if (order === "RSA first") certificates.reverse();
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startWorkers(WORKERS, backend.address, {
        extra: { workers: WORKERS, listen: { address: "127.0.0.1", port: 0, tls: { certificates } } },
      });
      expect([await shown(proxy, EC), await shown(proxy, RSA), await shown(proxy)]).toEqual(["ec", "rsa", "ec"]);
      if (quicGoProgram !== null) {
        const steps = [{ do: "request", path: "/small" }] as const;
        const [connection] = await runQuicGo({ port: proxy.port, steps });
        expect(connection?.requests[0]?.statuses).toEqual({ 200: 1 });
      }
      changeConfig(proxy, (text) => {
        const document: { listen: { tls: { certificates: object[] } } } = JSON.parse(text);
        document.listen.tls.certificates = certificates.filter(({ cert }) => cert === files[0]?.certFile);
        return JSON.stringify(document);
      });
      proxy.process.signal("SIGHUP");
      await logLine(proxy, { msg: "reload done", how: "in_place" });
      expect([await shown(proxy, EC), await shown(proxy, RSA)]).toEqual(["ec", HANDSHAKE_FAILURE]);
      expect((await proxy.stop()).code).toBe(0);
    },
    HANGS_AFTER_MS,
  );
});
