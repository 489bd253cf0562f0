/** Certificates that a reload brings: all processes show them, or none does. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { AIOQUIC_MISSING, aioquicPython, runAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { certificateFiles, leafThatMayNotSign, testCertificate } from "../support/certs.ts";
import { startProxy } from "../support/proxy.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { TIMES } from "./renewal-loads.ts";
import { reload } from "./reloads.ts";
import { workersOf } from "./worker-proxies.ts";

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "certificates of a reload", () => {
  test.each([
    ["two workers", { workers: 2 }],
    ["one process", { supervisor: "off" }],
  ])("a certificate that only TLS finds wrong changes nothing anywhere: %p", async (_, extra) => {
    const [backend, certificate] = [
      await startBackend({ protocol: "http1" }),
      certificateFiles(await testCertificate()),
    ];
    const proxy = await startProxy({
      ...{ pools: [{ prefix: "/old", backends: [backend.address] }], certificate },
      extra: { performance: TIMES, ...extra },
    });
    const [before, good] = [workersOf(proxy), await testCertificate()];
    const bad = await leafThatMayNotSign();
    writeFileSync(certificate.certFile, bad.certPem);
    writeFileSync(certificate.keyFile, bad.keyPem);
    writeFileSync(proxy.configFile, readFileSync(proxy.configFile, "utf8").replaceAll("/old", "/new"));
    proxy.process.signal("SIGHUP");
    const { reason } = await logLine(proxy, { msg: "renewal failed: all stays as it is" });
    expect(String(reason)).toContain(certificate.certFile);
    expect(workersOf(proxy)).toEqual(before);
    // Enough that each of two workers is asked: that one is not happens once in 500 runs, and then this has only seen less.
    const steps = ["/old/small", "/new/small"].map((path) => ({ do: "request", path }) as const);
    const oldAndNew = async (): Promise<Set<string>> => {
      const connections = await runAioquic({ port: proxy.port, connections: 10, events: false, steps });
      return new Set(connections.map(({ exchanges }) => exchanges.map(({ status }) => status).join()));
    };
    expect([...(await oldAndNew())]).toEqual(["200,404"]);
    writeFileSync(certificate.certFile, good.certPem);
    writeFileSync(certificate.keyFile, good.keyPem);
    expect(await reload(proxy)).toMatchObject({ how: "in_place", generation: 2 });
    expect([...(await oldAndNew())]).toEqual(["404,200"]);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });
});
