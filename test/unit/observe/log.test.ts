import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { LogLevel, LogSettings } from "../../../src/config/snapshot.ts";
import { Counters } from "../../../src/core/counters.ts";
import { Log } from "../../../src/observe/log.ts";
import { tempFolder } from "../../support/temp.ts";

function make(settings: Partial<LogSettings> = {}) {
  const file = `${tempFolder("log")}/spooky.log`;
  const log = new Log(
    { level: "info", format: "json", file, access: null, ...settings },
    {
      counters: new Counters(),
      epochMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
      terminal: true,
    },
  );
  const lines = async (): Promise<string[]> => {
    await log.flush();
    return readFileSync(file, "utf8").split("\n").slice(0, -1);
  };
  return { log, lines };
}

describe("Log", () => {
  test("writes one JSON object a line with its level and fields", async () => {
    const { log, lines } = make();
    log.info("listening", { address: "127.0.0.1:9889", port: 9889 });
    log.warn("health check: backend is unhealthy", { reason: "connection refused" });
    log.error("bad");
    expect((await lines()).map((line): unknown => JSON.parse(line))).toEqual([
      { time: "2026-01-02T03:04:05.006Z", level: "info", msg: "listening", address: "127.0.0.1:9889", port: 9889 },
      {
        time: "2026-01-02T03:04:05.006Z",
        level: "warn",
        msg: "health check: backend is unhealthy",
        reason: "connection refused",
      },
      { time: "2026-01-02T03:04:05.006Z", level: "error", msg: "bad" },
    ]);
  });

  const ORDER = ["error", "warn", "info", "debug", "trace"] as const;
  test.each(["off", ...ORDER] as const)("level %s writes itself and what is graver", async (level: LogLevel) => {
    const { log, lines } = make({ level });
    for (const name of ORDER) log[name](name);
    const written = (await lines()).map((line): unknown => JSON.parse(line).msg);
    const expected = ORDER.slice(0, ORDER.findIndex((name) => name === level) + 1);
    expect(written).toEqual(expected);
    expect(ORDER.filter((name) => log.enabled(name))).toEqual(expected);
  });

  test("repeated lines are all written", async () => {
    const { log, lines } = make();
    for (let i = 0; i < 50; i++) log.info("same");
    expect((await lines()).length).toBe(50);
  });

  test("plain text in a file has no colours, whatever the terminal", async () => {
    const { log, lines } = make({ format: "plain" });
    log.warn("two words", { key: "value" });
    expect(await lines()).toEqual(["2026-01-02T03:04:05.006Z WARN  two words key=value"]);
  });

  test("fields named like parts of a log object stay fields", async () => {
    const { log, lines } = make();
    log.info("m", { message: "x", args: "y", type: "z", level: 3 });
    const [line = ""] = await lines();
    expect(line).toContain('"msg":"m"');
    expect(line).toContain('"message":"x","args":"y","type":"z"');
  });

  test("a file that cannot be opened is a configuration error with a remedy", () => {
    expect(() => make({ file: "/nowhere/at/all/log" })).toThrow(expect.objectContaining({ code: "CONFIG_UNREADABLE" }));
  });
});
