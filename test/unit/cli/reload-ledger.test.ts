import { describe, expect, test } from "bun:test";
import { readLedger, type ReloadLedger } from "../../../src/cli/reload-ledger.ts";

const LEDGER: ReloadLedger = {
  ...{ sinceEpochMs: 1_700_000_000_000, lastSuccessEpochMs: null, lastFailureEpochMs: 5, lastSuccessful: false },
  reloads: { in_place: 3, new_workers: 1, unchanged: 0, failed: 2 },
  former: [{ generation: 4, sinceEpochMs: 7, path: "/etc/spooky/config.yaml", text: "version: 1\n" }],
  isReloadPending: true,
};

const written = (changes: object = {}): unknown => JSON.parse(JSON.stringify({ ...LEDGER, ...changes }));

describe("the account of reloads that a program leaves to the next", () => {
  test("is read as it was written", () => {
    expect(readLedger(written())).toEqual(LEDGER);
  });

  test("of a program that knew less begins with what it knew", () => {
    expect(readLedger(written({ isReloadPending: undefined }))).toEqual({ ...LEDGER, isReloadPending: false });
    expect(readLedger(written({ reloads: { failed: 2 } }))?.reloads).toEqual({
      ...{ in_place: 0, new_workers: 0, unchanged: 0, failed: 2 },
    });
  });

  test("of a program that knows more is read without that", () => {
    expect(readLedger(written({ colour: "green", reloads: { ...LEDGER.reloads, sideways: 1 } }))).toEqual(LEDGER);
  });

  test("of a program that had none, or that does not read, begins anew", () => {
    for (const value of [undefined, null, 7, "ledger", [], {}]) expect(readLedger(value)).toBeNull();
    expect(readLedger(written({ former: "none" }))).toBeNull();
    expect(readLedger(written({ former: [{ generation: -1 }] }))).toBeNull();
    expect(readLedger(written({ sinceEpochMs: "yesterday" }))).toBeNull();
    expect(readLedger(written({ isReloadPending: "yes" }))).toBeNull();
  });
});
