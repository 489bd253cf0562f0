/** What `spooky check` and each start warn of. */
import { describe, expect, test } from "bun:test";
import { loadConfig } from "../../../src/config/load.ts";
import { must } from "../../../src/core/assert.ts";
import { warningsOf } from "../../../src/cli/warnings.ts";
import { LEAST } from "../config/sample.ts";

function keysWarnedOf(performance: string): readonly string[] {
  const result = loadConfig(`${LEAST}performance: ${performance}\n`, "c.yaml");
  const snapshot = must("snapshot" in result ? result.snapshot : null, "the configuration is valid");
  return warningsOf(snapshot).map(({ key }) => key);
}

describe("a threshold for Retry that refusals come before", () => {
  const key = "performance.retry_from_handshakes";
  test.each([
    ["the standard one", "{ max_handshakes: 200 }", [key]],
    ["one of the file", "{ retry_from_handshakes: 3000 }", [key]],
    ["not below that many", "{ max_handshakes: 201 }", []],
    ["nor when everybody is asked", "{ retry: always, max_handshakes: 1 }", []],
    ["nor when nobody is", '{ retry: "off", max_handshakes: 1 }', []],
  ])("%s", (_name, performance, keys) => {
    expect(keysWarnedOf(performance)).toEqual(keys);
  });
});
