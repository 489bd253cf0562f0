/** Native objects have one owner and are freed once; the ledger knows how many live. */
import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../src/core/assert.ts";
import { Handle, HandleLedger } from "../../ffi/handle.ts";

const ADDRESS = 0x7f00_1234_5000;

function makeHandle(): { handle: Handle; ledger: HandleLedger; freed: number[] } {
  const ledger = new HandleLedger();
  const freed: number[] = [];
  const handle = new Handle("connection", ADDRESS, ledger, (address) => void freed.push(address));
  return { handle, ledger, freed };
}

describe("a handle", () => {
  test("gives its address while it lives, and is counted", () => {
    const { handle, ledger, freed } = makeHandle();
    expect(handle.address).toBe(ADDRESS);
    expect(handle.live).toBe(true);
    expect(ledger.live("connection")).toBe(1);
    expect(freed).toEqual([]);
  });

  test("frees its object once; every use afterwards is an assertion that names it", () => {
    const { handle, ledger, freed } = makeHandle();
    handle.free();
    expect(freed).toEqual([ADDRESS]);
    expect(handle.live).toBe(false);
    expect(ledger.live("connection")).toBe(0);
    const message = "a connection is not used after it was freed";
    for (const use of [() => handle.address, () => handle.free(), () => handle.surrender()]) {
      expect(use).toThrow(new AssertionFault(message));
    }
    expect(freed).toEqual([ADDRESS]);
    expect(ledger.total).toBe(0);
  });

  test("given away to C is not freed here, and not used here either", () => {
    const { handle, ledger, freed } = makeHandle();
    expect(handle.surrender()).toBe(ADDRESS);
    expect(handle.live).toBe(false);
    expect(freed).toEqual([]);
    expect(ledger.total).toBe(0);
    expect(() => handle.free()).toThrow(AssertionFault);
    expect(() => handle.address).toThrow(AssertionFault);
  });

  test("is dead already while its object is being freed", () => {
    const ledger = new HandleLedger();
    const handle: Handle = new Handle("tls", 1, ledger, () => {
      expect(handle.live).toBe(false);
      expect(ledger.live("tls")).toBe(0);
    });
    handle.free();
  });

  test("is never made of what C could not make", () => {
    const ledger = new HandleLedger();
    for (const address of [0, -1, NaN]) {
      expect(() => new Handle("waker", address, ledger, () => undefined)).toThrow(/waker that C could not make/);
    }
    expect(ledger.total).toBe(0);
  });
});

describe("a ledger", () => {
  test("counts by kind and in all", () => {
    const ledger = new HandleLedger();
    const make = (kind: "config" | "session"): Handle => new Handle(kind, 8, ledger, () => undefined);
    const [config, session] = [make("config"), make("session"), make("session")];
    expect([ledger.live("config"), ledger.live("session"), ledger.live("tls"), ledger.total]).toEqual([1, 2, 0, 3]);
    session?.free();
    config?.free();
    expect([ledger.live("config"), ledger.live("session"), ledger.total]).toEqual([0, 1, 1]);
  });

  test("takes no more deaths than births", () => {
    const ledger = new HandleLedger();
    ledger.record("tls", 1);
    ledger.record("tls", -1);
    expect(() => ledger.record("tls", -1)).toThrow(/at most once/);
    expect(ledger.total).toBe(0);
  });
});
