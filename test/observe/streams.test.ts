/** Which descriptor a line goes to, and a pipe that does not block and is full. */
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { Counters } from "../../src/core/counters.ts";
import { DescriptorSink } from "../../src/observe/sink.ts";
import { runProcess } from "../support/process.ts";
import { tempFolder } from "../support/temp.ts";

const CHILD = join(import.meta.dirname, "levels.child.ts");

function messagesOf(text: string): unknown[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const { msg, path }: { msg: string; path?: string } = JSON.parse(line);
    return path === undefined ? msg : `${msg} ${path}`;
  });
}

describe("log lines", () => {
  test("of info, debug and trace go to standard output, warnings and errors to standard error", async () => {
    const { code, stdout, stderr } = await runProcess({ command: [process.execPath, CHILD, "json"] });
    expect(code).toBe(0);
    expect(messagesOf(stdout)).toEqual(["a trace", "a debug", "an info", "request /good"]);
    expect(messagesOf(stderr)).toEqual(["a warn", "an error", "request /bad"]);
  });

  test("for people are split in the same way, without colours where there is no terminal", async () => {
    const { stdout, stderr } = await runProcess({ command: [process.execPath, CHILD, "plain"] });
    expect(stdout.split("\n").map((line) => line.slice(25, 40))).toEqual([
      ...["TRACE a trace", "DEBUG a debug", "INFO  an info", "INFO  request r"],
    ]);
    expect(stderr).toContain("ERROR an error");
    expect(stdout + stderr).not.toContain("\x1b");
  });

  test("say their priority to the journal, and to nobody else", async () => {
    // As systemd does it: one socket for both, whose name is in the environment.
    const priorities = async (stream: string): Promise<Record<string, string | null>> => {
      const script = `exec 2>&1; JOURNAL_STREAM=${stream} exec "$@"`;
      const { stdout } = await runProcess({ command: ["sh", "-c", script, "sh", process.execPath, CHILD, "json"] });
      const lines = stdout.split("\n").filter((line) => line !== "");
      return Object.fromEntries(
        lines.map((line) => [messagesOf(line.replace(/^<\d>/, ""))[0], /^<(\d)>/.exec(line)?.[1] ?? null]),
      );
    };
    const graver = { "a warn": "4", "an error": "3", "request /bad": "4" };
    const others = { "a trace": "7", "a debug": "7", "an info": null, "request /good": null };
    expect(await priorities("$(stat --dereference --format=%d:%i /proc/self/fd/2)")).toEqual({ ...graver, ...others });
    const none = Object.fromEntries(Object.keys({ ...graver, ...others }).map((name) => [name, null]));
    expect(await priorities("1:1")).toEqual(none);
  });

  test("all go to the file where there is one, in order, and none elsewhere", async () => {
    const file = join(tempFolder("levels"), "spooky.log");
    const { stdout, stderr } = await runProcess({ command: [process.execPath, CHILD, "json", file] });
    expect([stdout, stderr]).toEqual(["", ""]);
    expect(messagesOf(readFileSync(file, "utf8"))).toEqual([
      ...["a trace", "a debug", "an info", "a warn", "an error", "request /good", "request /bad"],
    ]);
  });

  test("satisfy the deployment guide's promtail stage: level, path, backend, and the duration as a number of seconds", async () => {
    const { stdout, stderr } = await runProcess({ command: [process.execPath, CHILD, "json"] });
    const requests = [stdout, stderr].flatMap((text) =>
      text.split("\n").flatMap((line): Record<string, unknown>[] => {
        const object: Record<string, unknown> = JSON.parse(line);
        return object["msg"] === "request" ? [object] : [];
      }),
    );
    const stage = requests.map(({ level, path, backend, duration }) => ({ level, path, backend, duration }));
    expect(stage).toEqual([
      { level: "info", path: "/good", backend: "api-1", duration: 0.0015 },
      { level: "warn", path: "/bad", backend: "api-1", duration: 0.0015 },
    ]);
  });
});

describe("a pipe that does not block", () => {
  test("takes every line in order, however often it is full on the way, and the writer goes on meanwhile", async () => {
    const path = join(tempFolder("pipe"), "log.fifo");
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    // Both ends in this process, so that nothing but this test reads, and only when it wants to.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      const counters = new Counters();
      const sink = new DescriptorSink(fd, counters, String);
      const lines = Array.from({ length: 5000 }, (_, i) => `line ${i} ${"x".repeat(100)}`);
      for (const line of lines) sink.write(line);
      // More than a pipe holds: these turns of the loop come while it is full.
      for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
      let done = false;
      const flushed = sink.flush().then(() => (done = true));
      let text = readAll(fd);
      expect(text.length).toBeLessThan(lines.join("\n").length);
      while (!done) {
        text += readAll(fd);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await flushed;
      text += readAll(fd);
      expect(text).toBe(`${lines.join("\n")}\n`);
      expect([counters.logLinesDropped, counters.logWriteErrors]).toEqual([0, 0]);
    } finally {
      closeSync(fd);
    }
  });
});

/** What the pipe holds now. */
function readAll(fd: number): string {
  const bytes = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    try {
      const size = readSync(fd, bytes);
      text += new TextDecoder().decode(bytes.subarray(0, size));
    } catch {
      // EAGAIN: it is empty.
      return text;
    }
  }
}
