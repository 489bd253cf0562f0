/**
 * What one route match costs, in tables of several shapes. Run: `bun bench/micro/route.ts`. The figures are for comparing two
 * versions on one machine.
 */
import type { RoutedPool } from "../../src/route/table.ts";
import { compileRoutes } from "../../src/route/table.ts";
import { matchRoute } from "../../src/route/match.ts";
import { nanosecondsPerCall, report } from "./measure.ts";
import { asReceived, sampleMisses, samplePaths, samplePrefixes } from "./route-samples.ts";

const SAMPLES = 4096;
const CALLS = 300_000;

for (const count of [3, 20, 1000]) {
  const prefixes = samplePrefixes(count);
  const pools = prefixes.map((pathPrefix) => pool(null, pathPrefix));
  measure(`${count} prefixes without host, hit`, pools, [], samplePaths(prefixes, SAMPLES));
  measure(`${count} prefixes without host, miss`, pools, [], sampleMisses(SAMPLES));
}

const hosts = Array.from({ length: 1000 }, (_, i) => `service-${i}.example.org`);
const paths = samplePaths(["/", "/api"], SAMPLES);
measure(
  "1000 exact hosts, hit",
  hosts.map((host) => pool(host, "/")),
  hosts,
  paths,
);
measure(
  "1000 exact hosts, mixed case and port, hit",
  hosts.map((host) => pool(host, "/")),
  hosts.map(shouted),
  paths,
);
const wildcards = hosts.map((host) => pool(`*.${host}`, "/"));
measure(
  "1000 wildcard hosts, hit",
  wildcards,
  hosts.map((host) => `a.b.${host}`),
  paths,
);
measure(
  "1000 wildcard hosts, miss",
  [...wildcards, pool(null, "/")],
  hosts.map((host) => `${host}.net`),
  paths,
);

const prefixes = samplePrefixes(100);
const mixed = hosts.slice(0, 10).flatMap((host) => prefixes.map((prefix) => pool(host, prefix)));
measure("10 hosts of 100 prefixes, hit", mixed, hosts.slice(0, 10), samplePaths(prefixes, SAMPLES));

function measure(name: string, pools: readonly RoutedPool[], hosts: readonly string[], paths: readonly string[]): void {
  const table = compileRoutes(pools);
  const authorities = Array.from({ length: SAMPLES }, (_, i) =>
    asReceived(hosts[i % hosts.length] ?? "localhost:8443"),
  );
  const nanoseconds = nanosecondsPerCall(CALLS, (call) => {
    const sample = call % SAMPLES;
    return matchRoute(table, authorities[sample] ?? "", paths[sample] ?? "", "GET");
  });
  report(name, nanoseconds);
}

function pool(host: string | null, pathPrefix: string): RoutedPool {
  return { route: { host, pathPrefix, method: null } };
}

function shouted(host: string): string {
  return `${host.toUpperCase()}:443`;
}
