/** The log on real descriptors: a program goes on whatever becomes of its standard output. */
import { expect, test } from "bun:test";
import { LIMITS } from "../../src/core/limits.ts";
import { startProcess } from "../support/process.ts";

interface Told {
  readonly dropped: number;
  readonly errors: number;
  readonly slowestTurnMs: number;
  readonly rssMegabytes: number;
}

const LINE_BYTES = 290;

function writing(lines: number): string[] {
  return [process.execPath, `${import.meta.dirname}/log-writer.child.ts`, String(lines)];
}

function startPiped(lines: number) {
  return Bun.spawn(writing(lines), { stdout: "pipe", stderr: "pipe" });
}

/** How the program says it went; it ends with its own exit code in every case. */
async function told(child: {
  readonly exited: Promise<number>;
  readonly stderr: ReadableStream<Uint8Array>;
}): Promise<Told> {
  const text = await new Response(child.stderr).text();
  expect(await child.exited).toBe(7);
  return JSON.parse(text);
}

test("a reader that reads gets every line, whole and in order, with the drops told", async () => {
  const lines = 10_000;
  const child = startPiped(lines);
  const [text, result] = await Promise.all([new Response(child.stdout).text(), told(child)]);
  const numbers = text
    .trimEnd()
    .split("\n")
    .map((line): { msg: string; number?: number; count?: number } => JSON.parse(line));
  const seen = numbers.filter(({ msg }) => msg === "line").map(({ number }) => number ?? -1);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.length + result.dropped).toBe(lines);
  expect(seen.length * LINE_BYTES).toBeGreaterThan(LIMITS.logBufferBytesMax / 2);
  const toldDrops = numbers.reduce((sum, { count }) => sum + (count ?? 0), 0);
  expect(toldDrops).toBe(result.dropped);
});

test("a reader that does not read costs lines, not time or memory", async () => {
  // The right side of the pipe holds it open and waits for our input, which never comes.
  const script = 'exec 3<&0; { "$@"; echo "code $?" >&2; } | { read line <&3; }';
  const lines = 100_000;
  const child = startProcess({ command: ["sh", "-c", script, "sh", ...writing(lines)] });
  await child.waitForLine((line) => line === "code 7");
  const result: Told = JSON.parse(child.stderr[0] ?? "");
  const kept = lines - result.dropped;
  expect(kept * LINE_BYTES).toBeLessThan(LIMITS.logBufferBytesMax + 200_000);
  expect(result.rssMegabytes).toBeLessThan(200);
  child.closeInput();
});

test("a reader that goes away ends the log and nothing else", async () => {
  const child = startPiped(50_000);
  await child.stdout.cancel();
  const result = await told(child);
  expect(result.errors).toBe(1);
  expect(result.dropped).toBeGreaterThan(40_000);
});

test("a full disk costs lines and nothing else", async () => {
  const result = await told(Bun.spawn(writing(1000), { stdout: Bun.file("/dev/full"), stderr: "pipe" }));
  expect(result.errors).toBeGreaterThan(0);
  expect(result.dropped).toBeGreaterThan(0);
});
