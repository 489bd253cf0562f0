/** The gate: each bound on its own, their order, and that whoever leaves makes room. */
import { describe, expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Admission, type AdmissionBounds, VERDICT, type Verdict } from "../../../src/guard/admission.ts";

const WIDE: AdmissionBounds = {
  ...{ connectionsMax: 1000, connectionsPerAddressMax: Infinity, handshakesMax: 1000, retryFromHandshakes: Infinity },
  ...{ newConnectionsPerSecond: 1000, newConnectionsBurst: 1000 },
};

interface Gate {
  readonly counters: Counters;
  readonly admission: Admission;
  /** Judges, and lets in whoever may enter. */
  readonly knock: (address?: number, nowMs?: number, validated?: boolean) => Verdict;
}

function gate(bounds: Partial<AdmissionBounds> = {}): Gate {
  const counters = new Counters();
  const admission = new Admission({ ...WIDE, ...bounds }, counters, 0);
  return {
    counters,
    admission,
    knock: (address, nowMs = 0, validated = false) => {
      const key = admission.countsAddresses ? (address ?? 1) : null;
      const verdict = admission.judge(nowMs, key, validated);
      if (verdict === VERDICT.accept) admission.enter(key);
      return verdict;
    },
  };
}

describe("a client is refused", () => {
  test("over the cap on all connections, until somebody leaves", () => {
    const { admission, counters, knock } = gate({ connectionsMax: 2 });
    expect([knock(), knock(), knock()]).toEqual([VERDICT.accept, VERDICT.accept, VERDICT.refuse]);
    expect([counters.connectionsOverTotal, counters.connectionsRefused]).toEqual([1, 1]);
    admission.leave(null, false);
    expect(knock()).toBe(VERDICT.accept);
  });

  test("over the cap of its address, until one of its own leaves", () => {
    const { admission, counters, knock } = gate({ connectionsPerAddressMax: 1 });
    expect([knock(7), knock(7), knock(8)]).toEqual([VERDICT.accept, VERDICT.refuse, VERDICT.accept]);
    expect([counters.connectionsOverAddress, counters.connectionsRefused]).toEqual([1, 1]);
    admission.leave(8, false);
    expect(knock(7)).toBe(VERDICT.refuse);
    admission.leave(7, false);
    expect(knock(7)).toBe(VERDICT.accept);
    expect(admission.addresses).toBe(1);
  });

  test("where it comes to nobody is let in any more, whatever room there is", () => {
    const { admission, counters } = gate();
    expect(admission.turnAway(0)).toBe(VERDICT.refuse);
    expect([counters.connectionsWhileDraining, counters.connectionsRefused]).toEqual([1, 1]);
  });

  test("without an answer beyond so many answers at once, and with one again after a while", () => {
    const { counters, knock } = gate({ connectionsMax: 0 });
    for (let i = 0; i < LIMITS.refusalsAtOnceMax; i++) expect(knock()).toBe(VERDICT.refuse);
    expect(knock()).toBe(VERDICT.drop);
    expect(counters.refusalsWithheld).toBe(1);
    expect(counters.connectionsOverTotal).toBe(LIMITS.refusalsAtOnceMax + 1);
    const afterMs = 1000 / LIMITS.refusalsPerSecond;
    expect(knock(undefined, afterMs)).toBe(VERDICT.refuse);
    expect(knock(undefined, afterMs)).toBe(VERDICT.drop);
  });
});

describe("a client is dropped", () => {
  test("over the rate of new connections, whether or not earlier ones are still there", () => {
    const { admission, counters, knock } = gate({ newConnectionsPerSecond: 10, newConnectionsBurst: 2 });
    expect([knock(), knock(), knock()]).toEqual([VERDICT.accept, VERDICT.accept, VERDICT.drop]);
    admission.leave(null, false);
    expect(knock(undefined, 99)).toBe(VERDICT.drop);
    expect(knock(undefined, 100)).toBe(VERDICT.accept);
    expect([counters.connectionsOverRate, counters.connectionsRefused]).toEqual([2, 2]);
  });

  test("over the cap on handshakes, until one is done or given up", () => {
    const { admission, counters, knock } = gate({ handshakesMax: 1 });
    expect([knock(), knock()]).toEqual([VERDICT.accept, VERDICT.drop]);
    admission.establish();
    expect([knock(), knock()]).toEqual([VERDICT.accept, VERDICT.drop]);
    admission.leave(null, false);
    expect(knock()).toBe(VERDICT.accept);
    expect(counters.connectionsOverHandshakes).toBe(2);
    admission.leave(null, true);
    expect([admission.connections, admission.handshakes]).toEqual([1, 1]);
  });
});

test("who is turned away for another reason uses up nothing of the rate", () => {
  const { admission, knock } = gate({ handshakesMax: 1, newConnectionsPerSecond: 1, newConnectionsBurst: 2 });
  knock();
  for (let i = 0; i < 10; i++) expect(knock()).toBe(VERDICT.drop);
  admission.establish();
  expect(knock()).toBe(VERDICT.accept);
});

test("without a bound on connections of one address, addresses are not counted", () => {
  const { admission, knock } = gate();
  expect(admission.countsAddresses).toBe(false);
  knock();
  expect(admission.addresses).toBe(0);
});
