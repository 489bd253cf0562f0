import { describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { runProcess, startProcess } from "./process.ts";
import { listeningAddress, proxyConfig, startProxy } from "./proxy.ts";
import { tempFolder, writeTemp } from "./temp.ts";

const shell = (script: string) => ["/bin/sh", "-c", script];

describe("a child process", () => {
  test("is run to its end, with its lines and its exit code", async () => {
    const done = await runProcess({ command: shell("echo one; echo two >&2; printf three; exit 7") });
    expect(done).toEqual({ code: 7, signal: null, stdout: "one\nthree", stderr: "two" });
  });

  test("is waited for by a line, old or new, of either output", async () => {
    const child = startProcess({ command: shell("echo first; read line; echo got $line >&2; read end") });
    expect(await child.waitForLine((line) => line === "first")).toBe("first");
    child.write("cue\n");
    expect(await child.waitForLine((line) => line.startsWith("got"))).toBe("got cue");
    expect(await child.waitForLine((line) => line === "first")).toBe("first");
    child.closeInput();
    expect(await child.ended).toEqual({ code: 1, signal: null });
  });

  test("that ends without the awaited line fails the wait with its output", async () => {
    const child = startProcess({ command: shell("echo something else") });
    expect(child.waitForLine((line) => line === "never")).rejects.toThrow("something else");
  });

  test("is stopped by SIGTERM and killed by SIGKILL", async () => {
    const polite = startProcess({
      command: shell("trap 'echo bye; exit 3' TERM; echo up; while :; do read x || sleep 0.05; done"),
    });
    await polite.waitForLine((line) => line === "up");
    expect(await polite.stop()).toEqual({ code: 3, signal: null });
    expect(polite.stdout).toEqual(["up", "bye"]);
    const stubborn = startProcess({ command: shell("trap '' TERM; echo up; exec sleep 600") });
    await stubborn.waitForLine((line) => line === "up");
    await stubborn.kill();
    expect((await stubborn.ended).signal).toBe("SIGKILL");
  });

  test("has the environment it is given, added to or instead of the test's", async () => {
    const added = await runProcess({ command: shell("echo $EXTRA-${HOME:+home}"), env: { EXTRA: "1" } });
    const bare = await runProcess({ command: shell("echo $EXTRA-${HOME:+home}"), bareEnv: { EXTRA: "2" } });
    expect([added.stdout, bare.stdout]).toEqual([process.env["HOME"] === undefined ? "1-" : "1-home", "2-"]);
  });
});

describe("a temporary folder", () => {
  const inGroup: string[] = [];

  test("is private and holds what is written", () => {
    const folder = tempFolder("mine");
    inGroup.push(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(existsSync(writeTemp(folder, "a", "b"))).toBe(true);
  });

  test("is gone after the test that made it", () => {
    expect(inGroup.map((folder) => existsSync(folder))).toEqual([false]);
  });
});

describe("the proxy's address", () => {
  const addressOf = async (line: string) => listeningAddress(startProcess({ command: ["/bin/echo", line] }));

  test("is read from a JSON line and from a plain one", async () => {
    const json = '{"time":"t","level":"info","msg":"listening","address":"127.0.0.1:4433"}';
    expect(await addressOf(json)).toEqual({ host: "127.0.0.1", port: 4433 });
    expect(await addressOf("12:00:00 info listening protocol=http3 address=[::1]:4434")).toEqual({
      host: "::1",
      port: 4434,
    });
  });

  test("is not taken from another line", async () => {
    expect(addressOf('{"msg":"refused","address":"127.0.0.1:1"}')).rejects.toThrow("ended before the awaited line");
  });
});

describe("the proxy's configuration for a test", () => {
  test("is a mapping in the words of the guide", () => {
    const files = { certFile: "/c", keyFile: "/k", caFile: "/a" };
    const pools = [
      { prefix: "/api", backends: ["http://127.0.0.1:1"], balancing: "random", extra: { tls: { ca_file: "/x" } } },
    ] as const;
    expect(JSON.parse(proxyConfig({ pools, extra: { log: { level: "warn" } } }, files))).toEqual({
      ...{ supervisor: "off", control: { socket: "off", watch: "off" } },
      observability: { metrics: { enabled: false }, health: { enabled: false } },
      version: 1,
      listen: { protocol: "http3", address: "127.0.0.1", port: 0, tls: { cert: "/c", key: "/k" } },
      upstream_tls: { ca_file: "/a" },
      upstream: {
        pool_0: {
          load_balancing: { type: "random" },
          route: { path_prefix: "/api" },
          backends: [{ id: "backend-0", address: "http://127.0.0.1:1" }],
          tls: { ca_file: "/x" },
        },
      },
      log: { level: "warn" },
    });
  });

  test("that the proxy refuses fails the start with the proxy's words", async () => {
    expect(startProxy({ pools: [] })).rejects.toThrow("ended before the awaited line");
  });
});
