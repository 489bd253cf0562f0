/** What the tests of the configuration share: a least file, and its loading with the mistakes as printed lines. */
import { formatProblem, loadConfig } from "../../../src/config/load.ts";
import { must } from "../../../src/core/assert.ts";
import type { BackendSettings, PoolSettings, Snapshot } from "../../../src/config/snapshot.ts";

/** Lines 1 to 4: the listener, complete. */
export const LISTEN = `listen:
  tls:
    cert: cert.pem
    key: key.pem
`;

/** Lines 5 to 11 after `LISTEN`: one pool, complete. */
export const UPSTREAM = `upstream:
  web:
    route:
      path_prefix: /
    backends:
      - id: a
        address: 127.0.0.1:8080
`;

/** The least file that is valid; further text begins at line 12. */
export const LEAST = LISTEN + UPSTREAM;

/** The mistakes of a text as they are printed; none when it is valid. */
export function printed(text: string, file = "c.yaml"): readonly string[] {
  const result = loadConfig(text, file);
  return "problems" in result ? result.problems.map(formatProblem) : [];
}

/** The snapshot of a valid text. */
export function snapshotOf(text: string): Snapshot {
  const result = loadConfig(text, "c.yaml");
  if ("snapshot" in result) return result.snapshot;
  throw new TypeError(result.problems.map(formatProblem).join("\n"));
}

/** The first pool of a valid text. */
export function poolOf(text: string): PoolSettings {
  return must(snapshotOf(text).pools[0], "there is a pool");
}

/** The backend of the least file with a line added to it. */
export function backendWith(line: string): BackendSettings {
  return must(poolOf(`${LEAST}        ${line}\n`).backends[0], "there is a backend");
}

/** A file with one pool named `web`, whose inner lines are given without indentation. */
export function withPool(...lines: readonly string[]): string {
  return `${LISTEN}upstream:\n  web:\n${lines.map((line) => `    ${line}\n`).join("")}`;
}
