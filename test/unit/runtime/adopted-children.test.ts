import { describe, expect, test } from "bun:test";
import { AdoptedChildren } from "../../../src/runtime/adopted-children.ts";
import type { ProcessEnd } from "../../../src/runtime/processes.ts";

class Children {
  readonly ends = new Map<number, ProcessEnd>();
  readonly asked: number[] = [];
  readonly killed: number[] = [];
  readonly leftBehind: number[] = [];
  readonly adopted = new AdoptedChildren({
    reap: (pid) => {
      this.asked.push(pid);
      return this.ends.get(pid) ?? null;
    },
    kill: (pid) => this.killed.push(pid),
    killLeftBehind: (pid) => this.leftBehind.push(pid),
  });
}

describe("an adopted child", () => {
  test("that has ended before is known to have", async () => {
    const children = new Children();
    children.ends.set(7, { code: 3, signal: null });
    expect(await children.adopted.adopt(7).ended).toEqual({ code: 3, signal: null });
    children.adopted.look();
    expect(children.asked).toEqual([7]);
  });

  test("is asked for until it has ended, and never again", async () => {
    const children = new Children();
    const [first, second] = [7, 8].map((pid) => children.adopted.adopt(pid));
    children.ends.set(8, { code: null, signal: "SIGKILL" });
    children.adopted.look();
    children.adopted.look();
    expect(children.asked).toEqual([7, 8, 7, 8, 7]);
    expect(await second?.ended).toEqual({ code: null, signal: "SIGKILL" });
    expect(first?.pid).toBe(7);
    expect(children.leftBehind).toEqual([8]);
  });

  test("is killed while it lives, and its number is let alone afterwards", () => {
    const children = new Children();
    const child = children.adopted.adopt(7);
    child.kill();
    children.ends.set(7, { code: null, signal: "SIGKILL" });
    children.adopted.look();
    child.kill();
    expect(children.killed).toEqual([7]);
  });
});
