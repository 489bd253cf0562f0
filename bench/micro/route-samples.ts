/** Made-up route tables and request targets for the routing benchmarks; the same on every run. */
import { Random } from "../../src/core/random.ts";

const WORDS = "api v1 v2 users orders static img admin internal search health cart items svc".split(" ");

/** `count` different path prefixes of one to four segments, `/` first. */
export function samplePrefixes(count: number): string[] {
  const random = Random.fromEntropy([count]);
  const prefixes = new Set(["/"]);
  while (prefixes.size < count) {
    let prefix = "";
    for (let depth = random.nextBelow(4); depth >= 0; depth--) {
      prefix += `/${WORDS[random.nextBelow(WORDS.length)]}${random.nextBelow(3) === 0 ? random.nextBelow(50) : ""}`;
    }
    prefixes.add(prefix);
  }
  return [...prefixes];
}

/** `count` paths below the prefixes, every fourth with a query. */
export function samplePaths(prefixes: readonly string[], count: number): string[] {
  const random = Random.fromEntropy([count, prefixes.length]);
  return Array.from({ length: count }, (_, i) => {
    const prefix = prefixes[random.nextBelow(prefixes.length)] ?? "/";
    const path = `${prefix === "/" ? "" : prefix}/${random.nextBelow(100_000)}/profile`;
    return asReceived(i % 4 === 0 ? `${path}?a=b&c=/d/e` : path);
  });
}

/** `count` paths that only `/` takes. */
export function sampleMisses(count: number): string[] {
  return Array.from({ length: count }, (_, i) => asReceived(`/zzz/${i}/api/v1/users/orders/static?x=1`));
}

/** A flat string of its own, as made from received bytes; not a rope and with no hash computed yet. */
export function asReceived(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
