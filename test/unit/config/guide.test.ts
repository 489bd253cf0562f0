import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { snapshotOf } from "./sample.ts";

const GUIDE = readFileSync(join(import.meta.dirname, "../../golden/guide-config.yaml"), "utf8");

const UNSET_TLS = {
  ...{ verifyCertificates: true, caFile: null, caDir: null },
  ...{ clientCertificate: null, serverName: null },
};

function backend(id: string, address: string, path: string, intervalMs: number, timeoutMs: number) {
  const [host, port] = address.split(":");
  return {
    ...{ id, address, scheme: "auto", host, port: Number(port), weight: 100 },
    ...{ protocol: "auto", transport: "native", transportIsChosen: false },
    healthCheck: { path, intervalMs, timeoutMs, failureThreshold: 3, successThreshold: 2, cooldownMs: 5000 },
  };
}

function accessIn(format: "plain" | "json") {
  return { file: null, format, successPerMillion: 1_000_000, query: "keep" as const, headers: [] };
}

function pool(name: string, pathPrefix: string, balancing: string, backends: readonly unknown[]) {
  return {
    ...{ name, route: { host: null, pathPrefix, method: null }, balancing, hashKey: { kind: "client_ip" } },
    ...{ backends, tls: UNSET_TLS, backendConnectionsMax: 100, hostPolicy: { mode: "pass-through" } },
    ...{ accessLog: "on", required: true },
    forwarding: { mode: "overwrite", trustedProxies: [], sendsForwarded: true },
    ...{ requestBodyBytesMax: Infinity, inFlightMax: 65_536, backendInFlightMax: 16_384 },
  };
}

test("the guide's configuration means what the guide says", () => {
  const expected = {
    listen: {
      ...{ path: ["listen"], address: "0.0.0.0", port: 443 },
      certificates: [
        { serverNames: [], certFile: "/etc/spooky/certs/fullchain.pem", keyFile: "/etc/spooky/certs/privkey.pem" },
      ],
      clientAuth: {
        ...{ caFile: null, required: false },
        fields: { certificate: "client-cert", chain: null, subject: null, fingerprint: null },
      },
      refusesMisdirected: true,
    },
    pools: [
      pool("api_pool", "/api", "consistent-hash", [
        backend("api-01", "10.0.10.10:8080", "/health", 5000, 2000),
        backend("api-02", "10.0.10.11:8080", "/health", 5000, 2000),
      ]),
      pool("static_pool", "/static", "round-robin", [
        backend("static-01", "10.0.20.10:8080", "/", 10000, 1000),
        backend("static-02", "10.0.20.11:8080", "/", 10000, 1000),
      ]),
      pool("default_pool", "/", "random", [backend("web-01", "10.0.30.10:8080", "/health", 5000, 1000)]),
    ],
    log: { level: "info", format: "plain", file: null, access: accessIn("plain") },
  };
  const { listeners, pools, log } = snapshotOf(GUIDE);
  const [listen] = listeners;
  expect<unknown>({ listen, pools, log }).toEqual(expected);
});

test("the guide's commented keys work when they are uncommented", () => {
  const text = GUIDE.replace("# max_concurrent_connections: 10000", "max_concurrent_connections: 2500").replace(
    "# backend_connection_pool_size: 100",
    "backend_connection_pool_size: 25",
  );
  const snapshot = snapshotOf(text);
  expect(snapshot.connections.connectionsMax).toBe(2500);
  expect(snapshot.pools.map((pool) => pool.backendConnectionsMax)).toEqual([25, 25, 25]);
});

test("the guide's JSON logging works", () => {
  const text = GUIDE.replace("  level: info", "  format: json # If supported\n  level: warn");
  expect(snapshotOf(text).log).toEqual({ level: "warn", format: "json", file: null, access: accessIn("json") });
});
