import { describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClusterSettings } from "../../../src/config/snapshot.ts";
import {
  fixedClusterKeys,
  makeIdScheme,
  makeNodeKeys,
  type NodeKeys,
  renewSecrets,
  rotateSecrets,
  startSecrets,
  steeringKeys,
} from "../../../src/control/node-keys.ts";
import { readMark } from "../../../src/quic/id-mark.ts";
import { tempFolder } from "../../support/temp.ts";

const folder = tempFolder("node-keys");
const LONE: ClusterSettings = { keyFile: null, keyRotationMs: 1000, nodeId: null, quicLb: null };

describe("secrets", () => {
  test("without a file are random, and stay what they are", () => {
    const [one, other] = [startSecrets(LONE), startSecrets(LONE)];
    expect(one.shared[0].bytes).not.toEqual(other.shared[0].bytes);
    // Those of ids live as long as the program, and nothing that changes shall be known by them.
    expect(one.shared.map(({ bytes }) => bytes)).not.toContainEqual(one.ids[0].bytes);
    expect(renewSecrets(one, LONE)).toBe(one);
  });

  test("without a file are followed by those that everybody knows already, and taken once more", () => {
    const started = startSecrets(LONE);
    const once = rotateSecrets(started);
    expect(started.shared.map(({ id }) => id)).toEqual([0, 1]);
    expect(once.shared.map(({ id }) => id)).toEqual([1, 0, 2]);
    expect(once.shared.slice(0, 2)).toEqual(started.shared.toReversed());
    let later = once;
    for (let i = 0; i < 255; i++) later = rotateSecrets(later);
    expect(later.shared.map(({ id }) => id)).toEqual([0, 255, 1]);
    expect(later.shared[0].bytes).not.toEqual(started.shared[0].bytes);
    expect(later.ids).toBe(started.ids);
    // Of a file that is no longer named: what it had as the next one comes next.
    const ofFile = startSecrets(clusterOf(keyFile({ previous: 6, current: 7, next: 8 })));
    expect(rotateSecrets(ofFile).shared.map(({ id }) => id)).toEqual([8, 7, 9]);
  });

  test("of a file are for tokens and ids when a program starts", () => {
    const { shared, ids } = startSecrets(clusterOf(keyFile({ previous: 6, current: 7, next: 8 })));
    expect([shared, ids].map((list) => list.map(({ id }) => id))).toEqual([
      [7, 6, 8],
      [7, 6, 8],
    ]);
  });

  test("of a changed file are for new tokens; ids are made as before, and answered by those of all keys", () => {
    const started = startSecrets(clusterOf(keyFile({ current: 6, next: 7 })));
    const once = renewSecrets(started, clusterOf(keyFile({ previous: 6, current: 7 })));
    expect([once.shared, once.ids].map((list) => list.map(({ id }) => id))).toEqual([
      [7, 6],
      [6, 7],
    ]);
    const twice = renewSecrets(once, clusterOf(keyFile({ previous: 7, current: 8, next: 9 })));
    expect(twice.shared.map(({ id }) => id)).toEqual([8, 7, 9]);
    expect(twice.ids.map(({ id }) => id)).toEqual([6, 7, 8, 9]);
    // 10 has the rotation of 6: an id that says so is one of 6, as long as this supervisor runs.
    const later = renewSecrets(twice, clusterOf(keyFile({ current: 10, next: 11 })));
    expect(later.ids.map(({ id }) => id)).toEqual([6, 7, 8, 9]);
  });
});

describe("keys", () => {
  const file = keyFile({ current: 7, previous: 6 });
  const keysOf = (nodeId: string, quicLb: ClusterSettings["quicLb"] = null): NodeKeys => {
    const cluster = { keyFile: file, nodeId, quicLb };
    return makeNodeKeys(startSecrets(cluster), cluster);
  };

  test("are the same on every node where they must be, and nowhere else", () => {
    const [one, other, again] = [keysOf("01"), keysOf("02"), keysOf("01")];
    expect(one).toEqual(again);
    for (const name of ["retryToken", "newToken", "ticket", "loadBalancer"] as const)
      expect(one.shared[0][name]).toEqual(other.shared[0][name]);
    expect(one.ids[0].reset).not.toEqual(other.ids[0].reset);
    expect(one.ids[0].ids.mask).not.toEqual(other.ids[0].ids.mask);
  });

  const forms = [
    ["plain", null, 18],
    ["quic-lb", { encrypted: true, nonceBytes: 8 }, 16],
    ["quic-lb, in the open", { encrypted: false, nonceBytes: 4 }, 12],
  ] as const;
  test.each(forms)("make ids that the kernel's program can read, whichever worker's: %s", (_, quicLb, bytes) => {
    const keys = keysOf("01", quicLb);
    const { mark, multiplier } = steeringKeys(keys);
    expect(multiplier % 2).toBe(1);
    for (const slot of [0, 1, 33]) {
      const id = makeIdScheme(keys, keys.ids[0], slot, fillRandom).mint(5);
      expect(id.length).toBe(bytes);
      expect(readMark(mark, id, 0) & 0x3f).toBe(slot);
    }
  });

  test.each(forms)("know the ids of every worker, not those of other keys and other nodes: %s", (_, quicLb) => {
    const keys = keysOf("01", quicLb);
    const [current, previous = current] = keys.ids;
    const scheme = makeIdScheme(keys, current, 0, fillRandom);
    expect(scheme.isOurs(makeIdScheme(keys, current, 9, fillRandom).mint(5), 0, 100)).toBe(true);
    const other = keysOf("02", quicLb);
    // By chance one in 256 * 4 passes the mark, and of those one in 2^32 / 100 the index.
    for (let i = 0; i < 100; i++) {
      expect(scheme.isOurs(makeIdScheme(keys, previous, 0, fillRandom).mint(5), 0, 100)).toBe(false);
      expect(scheme.isOurs(makeIdScheme(other, other.ids[0], 0, fillRandom).mint(5), 0, 100)).toBe(false);
    }
  });

  test("for load balancers are what anybody makes of the secret with OpenSSL, as the manual says", () => {
    const label = Buffer.from("spooky 1 load balancer\0").toString("hex");
    const options = ["digest:SHA256", `hexkey:${hexOf(7)}`, `hexinfo:${label}`].flatMap((text) => ["-kdfopt", text]);
    const { stdout, exitCode } = Bun.spawnSync(["openssl", "kdf", "-keylen", "16", ...options, "HKDF"]);
    expect(exitCode).toBe(0);
    const said = stdout.toString().trim().replaceAll(":", "").toLowerCase();
    expect(said).toBe(keysOf("01").shared[0].loadBalancer.toHex());
  });
});

test("what a running supervisor cannot change is named", () => {
  const before: ClusterSettings = { ...LONE, keyFile: "a", nodeId: "01", quicLb: { encrypted: true, nonceBytes: 8 } };
  const after = (changes: Partial<ClusterSettings>): readonly string[] =>
    fixedClusterKeys(before, { ...before, ...changes });
  expect(after({ keyFile: "b" })).toEqual([]);
  expect(after({ nodeId: "02" })).toEqual(["cluster.node_id"]);
  expect(after({ quicLb: null })).toEqual(["cluster.connection_ids"]);
  const quicLb = { encrypted: false, nonceBytes: 9 };
  expect(after({ quicLb })).toEqual(["cluster.quic_lb_encrypted", "cluster.quic_lb_nonce_bytes"]);
  expect(fixedClusterKeys(LONE, LONE)).toEqual([]);
});

function clusterOf(file: string): ClusterSettings {
  return { ...LONE, keyFile: file, nodeId: "01" };
}

/** A file with these keys; the number of a key says what its secret is. */
function keyFile(keys: Readonly<Record<string, number>>): string {
  const path = join(folder, `${Object.values(keys).join("-")}`);
  writeFileSync(
    path,
    Object.entries(keys)
      .map(([role, id]) => `${role} ${id} ${hexOf(id)}\n`)
      .join(""),
  );
  chmodSync(path, 0o600);
  return path;
}

function hexOf(id: number): string {
  return id.toString(16).padStart(2, "0").repeat(32);
}

function fillRandom(bytes: Uint8Array): void {
  crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
}
