import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { KeptFiles } from "../../../src/cli/kept-files.ts";
import { parseConfiguration } from "../../../src/cli/configuration.ts";
import type { Snapshot } from "../../../src/config/snapshot.ts";
import { certificateFiles, testLeaf } from "../../support/certs.ts";
import { proxyConfig } from "../../support/proxy.ts";

test("files are kept while they go together, and stay what they were when they do not", async () => {
  const [first, second] = [await testLeaf({}), await testLeaf({})];
  const files = certificateFiles(first);
  const { certFile, keyFile } = files;
  const snapshot = parseConfiguration(
    "c.json",
    proxyConfig({ pools: [{ prefix: "/", backends: ["http://127.0.0.1:1"] }] }, files),
  ).snapshot;
  const kept = new KeptFiles();
  expect(kept.of(snapshot)).toBeNull();
  expect(kept.keep(snapshot)).toBeNull();
  writeFileSync(certFile, second.certPem);
  expect(kept.keep(snapshot)).toContain("is not the key of");
  expect(textOf(kept, snapshot, certFile)).toBe(first.certPem);
  writeFileSync(keyFile, second.keyPem);
  expect(kept.keep(snapshot)).toBeNull();
  expect([certFile, keyFile].map((file) => textOf(kept, snapshot, file))).toEqual([second.certPem, second.keyPem]);
  rmSync(certFile);
  expect(kept.keep(snapshot)).toContain("ENOENT");
  expect(textOf(kept, snapshot, certFile)).toBe(second.certPem);
});

test("of a configuration that names other files there is nothing", async () => {
  const kept = new KeptFiles();
  const pools = [{ prefix: "/", backends: ["http://127.0.0.1:1"] }];
  const [one, other] = [certificateFiles(await testLeaf({})), certificateFiles(await testLeaf({}))];
  kept.keep(parseConfiguration("c.json", proxyConfig({ pools }, one)).snapshot);
  expect(kept.of(parseConfiguration("c.json", proxyConfig({ pools }, other)).snapshot)).toBeNull();
});

function textOf(kept: KeptFiles, snapshot: Snapshot, file: string): string {
  return new TextDecoder().decode(kept.of(snapshot)?.get(file));
}
