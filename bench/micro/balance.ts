/** What one pick costs, and one key hash. Run: `bun bench/micro/balance.ts`. */
import { Counters } from "../../src/core/counters.ts";
import { Random } from "../../src/core/random.ts";
import { ConsistentHash } from "../../src/balance/consistent-hash.ts";
import { HashRing, hashBytesString } from "../../src/balance/hash-ring.ts";
import type { Balancer, WeightedBackend } from "../../src/balance/policy.ts";
import { WeightedRandom } from "../../src/balance/random.ts";
import { RoundRobin } from "../../src/balance/round-robin.ts";
import { nanosecondsPerCall, report } from "./measure.ts";
import { asReceived } from "./route-samples.ts";

const hashes = Array.from({ length: 4096 }, (_, i) => hashBytesString(`key-${i}`));

for (const count of [3, 20, 1024]) {
  const backends = Array.from({ length: count }, (_, i) => ({ id: `backend-${i}`, weight: 100 }));
  const allUsable = new Uint8Array(count).fill(1);
  const oneUsable = new Uint8Array(count).fill(1, count - 1);
  for (const [name, balancer] of balancers(backends)) {
    for (const [state, usable] of [
      ["all usable", allUsable],
      ["one usable", oneUsable],
    ] as const) {
      const pick = (call: number): number => balancer.pick(usable, -1, hashes[call & 4095] ?? 0);
      report(`${name}, ${count} backends, ${state}`, nanosecondsPerCall(50_000, pick));
    }
  }
  report(
    `building a ring, ${count} backends`,
    nanosecondsPerCall(1, () => new HashRing(backends).points.length),
  );
}

for (const length of [8, 15, 40, 200]) {
  const keys = Array.from({ length: 4096 }, (_, i) => asReceived(`${i}-`.padEnd(length, "x")));
  report(
    `hash of ${length} bytes`,
    nanosecondsPerCall(200_000, (call) => hashBytesString(keys[call & 4095] ?? "")),
  );
}

function balancers(backends: readonly WeightedBackend[]): readonly (readonly [string, Balancer])[] {
  return [
    ["round-robin", new RoundRobin(backends)],
    ["random", new WeightedRandom(backends, Random.fromEntropy([1]))],
    ["consistent-hash", new ConsistentHash(backends, new Counters())],
  ];
}
