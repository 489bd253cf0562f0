import { STANDARD_BACKEND, STANDARD_POOL } from "../../support/settings.ts";
import { describe, expect, test } from "bun:test";
import { Availability } from "../../../src/balance/availability.ts";
import { hashBytesString } from "../../../src/balance/hash-ring.ts";
import { type Balancer, NO_BACKEND, NONE_EXCLUDED } from "../../../src/balance/policy.ts";
import type { PoolSettings } from "../../../src/config/snapshot.ts";
import { must } from "../../../src/core/assert.ts";
import { BufferAccount } from "../../../src/guard/buffer-account.ts";
import { Malformed, readRequestHead, type RequestHead } from "../../../src/h3/head.ts";
import type { Client } from "../../../src/proxy/context.ts";
import { sectionOf } from "../../support/sections.ts";
import { Pool } from "../../../src/proxy/pool.ts";
import { Provenance } from "../../../src/proxy/provenance.ts";

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

const CLIENT: Client = {
  ...{ ip: "192.0.2.1", port: 40_000, connectionIdHex: "00", early: null },
  asked: null,
  provenance: new Provenance("192.0.2.1"),
  buffers: new BufferAccount(Infinity),
};

function headOf(path: string): RequestHead {
  const pseudo = [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "example.com"],
    [":path", path],
  ] as const;
  const head = readRequestHead(sectionOf(pseudo));
  return must(head instanceof Malformed ? null : head, "the head is well formed");
}

const REQUEST = headOf("/a?b");

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
    const availability = new Availability(2);
    const { usable } = availability;
    expect(new Pool({ settings: SETTINGS, balancer, availability }).pick(REQUEST, CLIENT, NONE_EXCLUDED)).toBe(1);
    expect(balancer.asked).toEqual([{ usable, excluded: NONE_EXCLUDED, hash: hashBytesString("/a") }]);
  });

  test("makes no key for a balancer that reads none", () => {
    const balancer = new Noting(false);
    const request: RequestHead = {
      ...REQUEST,
      get path(): string {
        throw new RangeError("nobody asks for the path");
      },
    };
    new Pool({ settings: SETTINGS, balancer, availability: new Availability(2) }).pick(request, CLIENT, 0);
    expect(balancer.asked[0]).toMatchObject({ excluded: 0, hash: 0 });
  });

  test("sees at once what health checks write", () => {
    const balancer = new Noting(false);
    const availability = new Availability(2);
    const pool = new Pool({ settings: SETTINGS, balancer, availability });
    availability.setHealthy(0, false);
    pool.pick(REQUEST, CLIENT, NONE_EXCLUDED);
    expect([...(balancer.asked[0]?.usable ?? [])]).toEqual([0, 1]);
  });

  test("knows its backends by index, and no backend is none", () => {
    const pool = new Pool({ settings: SETTINGS, balancer: new Noting(false), availability: new Availability(2) });
    expect(pool.backend(1)?.id).toBe("b");
    expect(pool.backend(NO_BACKEND)).toBeNull();
    expect(pool.backend(2)).toBeNull();
  });
});
