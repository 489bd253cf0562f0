import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { demoConfigText, demoSnapshot, writeDemoCertificate } from "../../../src/cli/demo-config.ts";

const backends = {
  secure: { id: "demo-h2", address: "https://127.0.0.1:1001" },
  plain: [
    { id: "demo-h1-a", address: "http://127.0.0.1:1002" },
    { id: "demo-h1-b", address: "http://127.0.0.1:1003" },
  ],
} as const;
const files = { certFile: "/c/cert.pem", keyFile: '/c/a "quoted" key.pem', caFile: "/c/ca.pem" };
const settings = { address: "::1", port: 0, files, backends };

describe("the demo's configuration", () => {
  test("has the three pools of the guide with their balancing and backends", () => {
    const { pools } = demoSnapshot(settings);
    const summary = pools.map((pool) => [
      pool.name,
      pool.route.pathPrefix,
      pool.balancing,
      pool.backends.map(({ id }) => id),
    ]);
    expect(summary).toEqual([
      ["api_pool", "/api", "consistent-hash", ["demo-h2", "demo-h1-a", "demo-h1-b"]],
      ["static_pool", "/static", "round-robin", ["demo-h1-a", "demo-h1-b"]],
      ["default_pool", "/", "random", ["demo-h2", "demo-h1-a", "demo-h1-b"]],
    ]);
  });

  test("listens where it was told, with the given certificate", () => {
    const [listen] = demoSnapshot(settings).listeners;
    expect([listen.address, listen.port]).toEqual(["::1", 0]);
    expect(listen.certificates[0]).toMatchObject({ certFile: files.certFile, keyFile: files.keyFile });
  });

  test("verifies its secure backend against its own certificate and checks every backend's health", () => {
    const { pools } = demoSnapshot(settings);
    for (const pool of pools) {
      expect(pool.tls).toMatchObject({ verifyCertificates: true, caFile: files.caFile });
      for (const backend of pool.backends)
        expect(backend.healthCheck).toMatchObject({ path: "/health", intervalMs: 5000 });
    }
  });

  test("is a file that a user could have written", () => {
    expect(demoConfigText(settings)).toContain('  api_pool:\n    load_balancing:\n      type: "consistent-hash"\n');
  });
});

describe("the demo's certificate", () => {
  test("lies in a folder of this user alone until it is removed", () => {
    const written = writeDemoCertificate({ certPem: "cert", keyPem: "key", caPem: "ca" });
    const folder = dirname(written.certFile);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(written.keyFile).mode & 0o777).toBe(0o600);
    expect([written.certFile, written.keyFile, written.caFile].map((path) => readFileSync(path, "utf8"))).toEqual([
      "cert",
      "key",
      "ca",
    ]);
    written.remove();
    written.remove();
    expect(existsSync(folder)).toBe(false);
  });
});
