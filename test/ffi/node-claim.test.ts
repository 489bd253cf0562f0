/** A node of a cluster is one process of a machine: who holds it, and until when. */
import { expect, test } from "bun:test";
import { makeNodeKeys, type NodeKeys, startSecrets } from "../../src/control/node-keys.ts";
import { claimNode } from "../../src/control/node-claim.ts";
import { clusterKeyFile, type KeyRole } from "../support/cluster.ts";
import { openTestLibrary } from "../support/native.ts";

const library = openTestLibrary();

test("a node is claimed once, and free again when its holder lets go", () => {
  const keys = keysOf({ current: 21 }, "01");
  const claim = claimNode(library, keys);
  expect(() => claimNode(library, keys)).toThrow("another process on this machine is node 01 of the cluster");
  claim.release();
  claimNode(library, keys).release();
});

test("nodes with other ids, and nodes of other clusters, are others", () => {
  const claims = [keysOf({ current: 22 }, "01"), keysOf({ current: 22 }, "02"), keysOf({ current: 23 }, "01")].map(
    (keys) => claimNode(library, keys),
  );
  for (const claim of claims) claim.release();
});

test("it is the same node while its keys change; one that is refused holds nothing", () => {
  const before = claimNode(library, keysOf({ current: 24, next: 25 }, "01"));
  const after = keysOf({ previous: 24, current: 25, next: 26 }, "01");
  expect(() => claimNode(library, after)).toThrow("node 01");
  claimNode(library, keysOf({ current: 26 }, "01")).release();
  before.release();
  claimNode(library, after).release();
});

function keysOf(keys: Partial<Readonly<Record<KeyRole, number>>>, nodeId: string): NodeKeys {
  const cluster = { keyFile: clusterKeyFile(keys), nodeId, quicLb: null };
  return makeNodeKeys(startSecrets(cluster), cluster);
}
