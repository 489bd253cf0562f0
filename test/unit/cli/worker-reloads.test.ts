import { describe, expect, test } from "bun:test";
import { WorkerReloads } from "../../../src/cli/worker-reloads.ts";
import type { PrepareOrder, Report } from "../../../src/control/worker-link.ts";
import { ProxyError } from "../../../src/core/error.ts";
import { RememberingLog } from "../../support/remembering-log.ts";

const TEXT = JSON.stringify({
  ...{ version: 1, listen: { tls: { cert: "/a.pem", key: "/a.key" } } },
  upstream: { api: { route: { path_prefix: "/" }, backends: [{ id: "b", address: "http://127.0.0.1:1" }] } },
});

class Bed {
  readonly said: Report[] = [];
  readonly done: string[] = [];
  readonly log = new RememberingLog();
  refusal: string | null = null;
  #made = 0;
  readonly reloads = new WorkerReloads(
    { send: (report) => void this.said.push(report) },
    { prepare: () => this.#prepare() },
    this.log,
  );

  prepare(attempt: number, configText = TEXT): void {
    const order: PrepareOrder = {
      type: "prepare",
      attempt,
      generation: 10 + attempt,
      configPath: "c.yaml",
      configText,
    };
    this.reloads.prepare(order);
  }

  #prepare(): { commit(): void; abandon(): void } {
    if (this.refusal !== null) throw new ProxyError("CERTIFICATE", this.refusal);
    const number = (this.#made += 1);
    return {
      commit: () => void this.done.push(`commit ${number}`),
      abandon: () => void this.done.push(`abandon ${number}`),
    };
  }
}

describe("another configuration at a worker", () => {
  test("is made ready, put to work, and both are said", () => {
    const bed = new Bed();
    bed.prepare(1);
    expect(bed.done).toEqual([]);
    bed.reloads.commit(1);
    expect(bed.done).toEqual(["commit 1"]);
    expect(bed.said).toEqual([
      { type: "prepared", attempt: 1 },
      { type: "committed", attempt: 1 },
    ]);
    expect(bed.log.find("configuration at work")).toEqual({ generation: 11 });
  });

  test("that it cannot have is refused in words for people, and nothing is kept", () => {
    const bed = new Bed();
    bed.refusal = "cert.pem: no";
    bed.prepare(1);
    expect(bed.said).toEqual([{ type: "unprepared", attempt: 1, text: "cert.pem: no" }]);
    bed.prepare(2, "nonsense");
    expect(bed.said.at(-1)).toMatchObject({ type: "unprepared", attempt: 2 });
    for (const attempt of [1, 2]) {
      bed.reloads.commit(attempt);
      bed.reloads.abandon(attempt);
    }
    bed.reloads.close();
    expect([bed.said.length, bed.done]).toEqual([2, []]);
  });

  test("is dropped once: by word, by the next one, or at the end of the worker", () => {
    const bed = new Bed();
    bed.prepare(1);
    bed.reloads.abandon(1);
    bed.reloads.abandon(1);
    bed.reloads.commit(1);
    bed.prepare(2);
    bed.prepare(3);
    bed.reloads.close();
    bed.reloads.close();
    expect(bed.done).toEqual(["abandon 1", "abandon 2", "abandon 3"]);
  });

  test("goes by its own number", () => {
    const bed = new Bed();
    bed.prepare(2);
    bed.reloads.commit(1);
    bed.reloads.abandon(1);
    bed.reloads.commit(3);
    expect(bed.done).toEqual([]);
    bed.reloads.commit(2);
    bed.reloads.commit(2);
    expect(bed.done).toEqual(["commit 1"]);
  });
});
