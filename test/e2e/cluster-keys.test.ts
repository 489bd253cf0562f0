/** Keys of a cluster on their way into the program: what is refused, what a reload takes, and where they can never be read. */
import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { clusterKeyFile, clusterKeys, secretHex } from "../support/cluster.ts";
import { runProcess } from "../support/process.ts";
import { proxyConfig, type RunningProxy, runnerCommand } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { startWorkers, workersOf } from "./worker-proxies.ts";

const KEY = 0xc7;

describe("a start and a check", () => {
  const refused = async (cluster: Readonly<Record<string, unknown>>): Promise<string> => {
    const options = { pools: [{ prefix: "/", backends: ["127.0.0.1:9"] }], extra: { cluster } };
    const file = writeTemp(tempFolder("config"), "c.yaml", proxyConfig(options, await testCertificateFiles()));
    const run = (...args: readonly string[]) =>
      runProcess({ command: [...runnerCommand("source"), ...args, "--config", file] });
    const [checked, started] = await Promise.all([run("check", "--offline"), run()]);
    expect([checked.code, started.code, started.stdout]).toEqual([2, 2, ""]);
    expect(checked.stdout + checked.stderr + started.stderr).not.toContain(secretHex(KEY));
    // A check has it in its report, among all else.
    for (const line of started.stderr.split("\n")) expect(checked.stdout + checked.stderr).toContain(line.trim());
    return started.stderr;
  };

  test("refuse keys that others may read, and say what to do", async () => {
    const key_file = clusterKeyFile({ current: KEY });
    chmodSync(key_file, 0o644);
    const text = await refused({ key_file, node_id: "01" });
    expect(text).toContain(`${key_file} holds keys and is open to others (mode 644)`);
    expect(text).toContain(`chmod 600 ${key_file}`);
  });

  test("refuse a file that is none, and one that is not there", async () => {
    const key_file = clusterKeyFile({ next: KEY });
    expect(await refused({ key_file, node_id: "01" })).toContain("has no current key");
    expect(await refused({ key_file: `${key_file}.gone`, node_id: "01" })).toContain("the key file cannot be read");
  });

  test("refuse keys without a node's id, with the place", async () => {
    const text = await refused({ key_file: clusterKeyFile({ current: KEY }) });
    expect(text).toMatch(/c\.yaml:\d+:\d+: cluster\.node_id: is missing beside key_file; expected hexadecimal digits/);
  });
});

test("no command line and no environment of the program holds a key, nor does its log", async () => {
  const proxy = await startNode(clusterKeyFile({ current: KEY, next: KEY + 1 }));
  const pids = [proxy.process.pid, ...Object.values(workersOf(proxy))];
  expect(pids.length).toBe(3);
  for (const pid of pids) {
    const seen = readFileSync(`/proc/${pid}/cmdline`, "latin1") + readFileSync(`/proc/${pid}/environ`, "latin1");
    expect(seen.length).toBeGreaterThan(0);
    for (const id of [KEY, KEY + 1]) expect(seen.toLowerCase()).not.toContain(secretHex(id).slice(0, 16));
  }
  await stoppedLine(proxy.process);
  expect(proxy.process.output()).not.toContain(secretHex(KEY).slice(0, 16));
});

test("a reload with a bad file is refused, and with a good one it is not", async () => {
  const file = clusterKeyFile({ current: KEY });
  const proxy = await startNode(file);
  writeFileSync(file, `current ${KEY} nonsense\n`);
  proxy.process.signal("SIGHUP");
  const line = await logLine(proxy, { msg: "renewal failed: all stays as it is" });
  expect(String(line["reason"])).toContain(`${file}:1: expected 64 hexadecimal digits`);
  writeFileSync(file, clusterKeys({ current: KEY + 1 }));
  proxy.process.signal("SIGHUP");
  await logLine(proxy, { msg: "crew has taken over", generation: 2 });
  await stoppedLine(proxy.process);
});

async function startNode(key_file: string): Promise<RunningProxy> {
  const backend = await startBackend({ protocol: "http1" });
  return startWorkers(2, backend.address, { extra: { cluster: { key_file, node_id: "01" } } });
}
