import { describe, expect, test } from "bun:test";
import { readFileSync, renameSync } from "node:fs";
import { must } from "../../../src/core/assert.ts";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { DescriptorSink, type SinkSystem } from "../../../src/observe/sink.ts";
import { tempFolder } from "../../support/temp.ts";

interface PendingWrite {
  readonly fd: number;
  readonly text: string;
  readonly done: (code: string, written: number) => void;
}

/** A system whose writes end when the test says so. */
class HeldSystem implements SinkSystem {
  readonly out: string[] = [];
  readonly closed: number[] = [];
  pending: PendingWrite | null = null;
  later_: { readonly ms: number; readonly run: () => void }[] = [];
  nextFd = 10;
  openFails = false;
  #soon: (() => void)[] = [];

  open(): number {
    if (this.openFails) throw new RangeError("no such folder");
    return this.nextFd++;
  }

  write(fd: number, bytes: Uint8Array, from: number, done: (code: string, written: number) => void): void {
    expect(this.pending).toBeNull();
    this.pending = { fd, text: new TextDecoder().decode(bytes.subarray(from)), done };
  }

  close(fd: number): void {
    expect(this.pending).toBeNull();
    this.closed.push(fd);
  }

  soon(run: () => void): void {
    this.#soon.push(run);
  }

  later(ms: number, run: () => void): void {
    this.later_.push({ ms, run });
  }

  /** Ends the present turn. */
  turn(): void {
    const runs = this.#soon;
    this.#soon = [];
    for (const run of runs) run();
  }

  /** Ends the write under way: all of it, or `written` bytes, or an error. */
  finish(written: number = Infinity, code: string = ""): string {
    const { text, done } = must(this.pending, "a write is under way");
    this.pending = null;
    const taken = code === "" ? text.slice(0, written) : "";
    this.out.push(taken);
    done(code, taken.length);
    return taken;
  }

  /** Lets the waiting time pass. */
  wait(): number {
    const { ms, run } = must(this.later_.shift(), "somebody waits");
    run();
    return ms;
  }

  get text(): string {
    return this.out.join("");
  }
}

function make(target: number | string = 1) {
  const system = new HeldSystem();
  const counters = new Counters();
  const sink = new DescriptorSink(target, counters, (count) => `dropped ${count}`, system);
  return { system, counters, sink };
}

const KILOBYTE = "k".repeat(1023);

describe("DescriptorSink", () => {
  test("lines of one turn go out in one write, later ones in the next, one write at a time", () => {
    const { system, sink } = make();
    sink.write("one");
    sink.write("two");
    expect(system.pending).toBeNull();
    system.turn();
    sink.write("three");
    system.turn();
    expect(system.finish()).toBe("one\ntwo\n");
    expect(system.finish()).toBe("three\n");
    expect(system.pending).toBeNull();
    sink.write("four");
    system.turn();
    expect(system.finish()).toBe("four\n");
  });

  test("a short write goes on where it stopped", () => {
    const { system, sink } = make();
    sink.write("abcdef");
    system.turn();
    system.finish(2);
    system.finish(3);
    system.finish();
    expect(system.text).toBe("abcdef\n");
  });

  test("a full pipe is asked again, and nothing is lost or doubled", () => {
    const { system, sink, counters } = make();
    sink.write("abc");
    system.turn();
    system.finish(1);
    for (const code of ["EAGAIN", "EINTR", "EAGAIN"]) {
      system.finish(0, code);
      expect(system.wait()).toBe(20);
    }
    system.finish(0);
    system.wait();
    system.finish();
    expect(system.text).toBe("abc\n");
    expect([counters.logLinesDropped, counters.logWriteErrors]).toEqual([0, 0]);
  });

  test("one write is bounded, however much waits", () => {
    const { system, sink } = make();
    for (let i = 0; i < 1000; i++) sink.write(KILOBYTE);
    system.turn();
    let largest = 0;
    while (system.pending !== null) largest = Math.max(largest, system.finish().length);
    expect(largest).toBeLessThanOrEqual(LIMITS.logWriteBytesMax + 1024);
    expect(system.text.length).toBe(1000 * 1024);
  });

  test("what does not fit is dropped and counted, memory is bounded, and one line tells once there is room", () => {
    const { system, sink, counters } = make();
    sink.write("first");
    system.turn();
    const offered = 6000;
    for (let i = 0; i < offered; i++) sink.write(KILOBYTE);
    const kept = offered - counters.logLinesDropped;
    expect(kept).toBe(Math.floor((LIMITS.logBufferBytesMax - 6) / 1024));
    while (system.pending !== null) system.finish();
    const lines = system.text.split("\n");
    expect(lines.at(-2)).toBe(`dropped ${offered - kept}`);
    expect(lines.length).toBe(1 + kept + 2);
    sink.write("later");
    system.turn();
    expect(system.finish()).toBe("later\n");
  });

  test("lines being written count against the bound too", () => {
    const { system, sink, counters } = make();
    const lines = LIMITS.logBufferBytesMax / 1024;
    for (let i = 0; i < lines; i++) sink.write(KILOBYTE);
    system.turn();
    sink.write("one more");
    expect(counters.logLinesDropped).toBe(1);
    system.finish();
    sink.write("now there is room");
    expect(counters.logLinesDropped).toBe(1);
  });

  test("a reader that has gone away ends the sink, not the program", async () => {
    const { system, sink, counters } = make();
    sink.write("one");
    sink.write("two");
    system.turn();
    sink.write("three");
    const flushed = sink.flush();
    system.finish(0, "EPIPE");
    await flushed;
    sink.write("four");
    system.turn();
    expect(system.pending).toBeNull();
    expect([counters.logLinesDropped, counters.logWriteErrors]).toEqual([4, 1]);
    await sink.flush();
  });

  test("a full disk costs lines until it has room, and a torn line is ended before the next begins", () => {
    const { system, sink, counters } = make("/log");
    sink.write("torn line");
    system.turn();
    system.finish(4);
    system.finish(0, "ENOSPC");
    sink.write("whole line");
    expect(system.wait()).toBe(1000);
    system.finish();
    expect(system.text).toBe("torn\nwhole line\ndropped 1\n");
    expect([counters.logLinesDropped, counters.logWriteErrors]).toEqual([1, 1]);
  });

  test("a file is opened anew between two writes, and the old one closed", () => {
    const { system, sink } = make("/log");
    sink.write("old");
    system.turn();
    sink.reopen();
    expect(system.closed).toEqual([]);
    expect(system.pending?.fd).toBe(10);
    sink.write("new");
    system.finish();
    expect(system.closed).toEqual([10]);
    expect(system.pending?.fd).toBe(11);
    system.finish();
    sink.reopen();
    expect(system.closed).toEqual([10, 11]);
  });

  test("a file that cannot be opened anew leaves the old one in use; a broken one comes back by it", () => {
    const { system, sink, counters } = make("/log");
    system.openFails = true;
    sink.reopen();
    sink.write("still here");
    system.turn();
    expect(system.pending?.fd).toBe(10);
    system.finish(0, "EBADF");
    sink.write("lost");
    system.openFails = false;
    sink.reopen();
    sink.write("back");
    system.turn();
    expect(system.pending?.fd).toBe(11);
    expect(system.finish()).toBe("back\ndropped 2\n");
    expect(counters.logLinesDropped).toBe(2);
  });

  test("flush waits for everything that was written before it", async () => {
    const { system, sink } = make();
    await sink.flush();
    sink.write("one");
    let done = false;
    const flushed = sink.flush().then(() => (done = true));
    system.turn();
    sink.write("two");
    system.finish();
    await Promise.resolve();
    expect(done).toBe(false);
    system.finish();
    await flushed;
  });

  test("a real file takes lines, and after a rotation the new one does", async () => {
    const path = `${tempFolder("sink")}/spooky.log`;
    const sink = new DescriptorSink(path, new Counters(), String);
    sink.write("before");
    await sink.flush();
    renameSync(path, `${path}.1`);
    sink.reopen();
    sink.write("after");
    await sink.flush();
    expect(readFileSync(`${path}.1`, "utf8")).toBe("before\n");
    expect(readFileSync(path, "utf8")).toBe("after\n");
  });

  test("a file that cannot be opened is an error at once", () => {
    expect(() => new DescriptorSink("/nowhere/at/all/log", new Counters(), String)).toThrow();
  });
});
