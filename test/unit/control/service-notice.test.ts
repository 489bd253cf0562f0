import { describe, expect, test } from "bun:test";
import type { NodeControl, RenewalOutcome } from "../../../src/control/renewal.ts";
import { ServiceNotice } from "../../../src/control/service-notice.ts";
import { ManualTimers } from "../../support/manual-timers.ts";

/** A control whose renewal says one word and waits for `end`. */
function make() {
  const sent: string[] = [];
  const heard: string[] = [];
  const asked = Promise.withResolvers<RenewalOutcome>();
  let say: ((progress: string) => void) | undefined;
  const no = (): never => {
    throw new Error("nobody asks");
  };
  const control: NodeControl = {
    renew: (_request, tell) => {
      say = tell;
      return asked.promise;
    },
    reopenLogs: no,
    status: no,
    vitals: () => ({ serving: 2, starting: 0, isStopping: false, unusablePools: [] }),
  };
  const notice = new ServiceNotice({
    timers: new ManualTimers(),
    control: { ...control, status: () => Object.assign(Object.create(null), { generation: 7 }) },
    send: (text) => void sent.push(text),
    monotonicUs: () => 5,
    watchdogMs: null,
  });
  const ask = (tell?: (progress: string) => void) =>
    notice.around(control).renew({ kind: "reload", binary: null }, tell);
  return {
    sent,
    heard,
    notice,
    ask,
    say: (text: string) => say?.(text),
    end: asked.resolve,
    hears: () => say !== undefined,
  };
}

describe("ServiceNotice", () => {
  test("asks for more time while a reload that somebody waits for waits itself", async () => {
    const { sent, heard, ask, say, end } = make();
    const done = ask((text) => void heard.push(text));
    say("it waits: for 300 s at most");
    expect(heard).toEqual(["it waits: for 300 s at most"]);
    expect(sent).toEqual([
      "RELOADING=1\nMONOTONIC_USEC=5\nSTATUS=reload under way",
      "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=reload: it waits: for 300 s at most",
    ]);
    end({ ok: false, reason: "of a test", remedy: null });
    await done;
    expect(sent.at(-1)).toBe("READY=1\nSTATUS=reload failed (of a test); generation 7 serves, workers: 2");
  });

  test("hears no words for whoever wants none, and says nothing of a reload once it stops", async () => {
    const { sent, heard, notice, ask, say, end, hears } = make();
    void ask();
    expect(hears()).toBe(false);
    const done = ask((text) => void heard.push(text));
    notice.stopping(1000);
    const before = sent.length;
    say("it waits");
    end({ ok: false, reason: "it stops", remedy: null });
    await done;
    expect([heard, sent.length]).toEqual([["it waits"], before]);
  });
});
