import { STANDARD_BACKEND, STANDARD_POOL } from "../../support/settings.ts";
import { describe, expect, test } from "bun:test";
import type { HashKeyRequest } from "../../../src/balance/hash-key.ts";
import { hashBytesString } from "../../../src/balance/hash-ring.ts";
import { type Balancer, NO_BACKEND, NONE_EXCLUDED } from "../../../src/balance/policy.ts";
import type { PoolSettings } from "../../../src/config/snapshot.ts";
import { Pool } from "../../../src/proxy/pool.ts";

const SETTINGS: PoolSettings = {
  ...STANDARD_POOL,
  name: "main",
  balancing: "consistent-hash",
  hashKey: { kind: "path" },
  backends: ["a", "b"].map((id) => ({
    ...{ ...STANDARD_BACKEND, id, address: id, scheme: "http", host: id, port: 80, weight: 1 },
    ...{ protocol: "http1", transport: "native" },
  })),
  backendConnectionsMax: 1,
};

const REQUEST: HashKeyRequest = {
  ...{ clientIp: "192.0.2.1", connectionIdHex: "00", authority: "example.com", path: "/a?b", method: "GET" },
  header: () => null,
};

/** A balancer that notes what it is asked. */
class Noting implements Balancer {
  readonly needsHash: boolean;
  readonly asked: { readonly usable: Uint8Array; readonly excluded: number; readonly hash: number }[] = [];
  answer = 1;

  constructor(needsHash: boolean) {
    this.needsHash = needsHash;
  }

  pick(usable: Uint8Array, excluded: number, hash: number): number {
    this.asked.push({ usable, excluded, hash });
    return this.answer;
  }
}

describe("a pool", () => {
  test("asks its balancer with the hash of the request's key", () => {
    const balancer = new Noting(true);
    const usable = Uint8Array.of(1, 1);
    expect(new Pool({ settings: SETTINGS, balancer, usable }).pick(REQUEST, NONE_EXCLUDED)).toBe(1);
    expect(balancer.asked).toEqual([{ usable, excluded: NONE_EXCLUDED, hash: hashBytesString("/a") }]);
  });

  test("makes no key for a balancer that reads none", () => {
    const balancer = new Noting(false);
    const request: HashKeyRequest = {
      ...REQUEST,
      get path(): string {
        throw new RangeError("nobody asks for the path");
      },
    };
    new Pool({ settings: SETTINGS, balancer, usable: Uint8Array.of(1, 1) }).pick(request, 0);
    expect(balancer.asked[0]).toMatchObject({ excluded: 0, hash: 0 });
  });

  test("sees at once what health checks write", () => {
    const balancer = new Noting(false);
    const usable = Uint8Array.of(1, 1);
    const pool = new Pool({ settings: SETTINGS, balancer, usable });
    usable[0] = 0;
    pool.pick(REQUEST, NONE_EXCLUDED);
    expect([...(balancer.asked[0]?.usable ?? [])]).toEqual([0, 1]);
  });

  test("knows its backends by index, and no backend is none", () => {
    const pool = new Pool({ settings: SETTINGS, balancer: new Noting(false), usable: Uint8Array.of(1, 1) });
    expect(pool.backend(1)?.id).toBe("b");
    expect(pool.backend(NO_BACKEND)).toBeNull();
    expect(pool.backend(2)).toBeNull();
  });
});
