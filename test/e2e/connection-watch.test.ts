/** `debug`: secrets and qlogs of the connections that a configuration chooses, and of no others. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, proxyConfig, type RunningProxy, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";

const backend = await startBackend({ protocol: "http1" });
const pools = [{ prefix: "/", backends: [backend.address] }];

interface Places {
  readonly keylogFile: string;
  readonly qlogFolder: string;
}

function places(): Places {
  const qlogFolder = tempFolder("watch");
  return { qlogFolder, keylogFile: join(tempFolder("keys"), "keys.log") };
}

function start({ keylogFile, qlogFolder }: Places, chosen: object): Promise<RunningProxy> {
  const debug = { keylog_file: keylogFile, qlog_folder: qlogFolder, ...chosen };
  return startProxy({ pools, extra: { debug } });
}

async function ask({ port }: RunningProxy, secretsTo?: string): Promise<void> {
  const secrets = secretsTo === undefined ? {} : { secrets_to: secretsTo };
  const { exchanges } = await runAioquicOnce({ port, ...secrets, steps: [{ do: "request", path: "/small" }] });
  expect(exchanges.map(({ status }) => status)).toEqual([200]);
}

/** Label, client's random number and secret of each line, in a fixed order. */
function secretsIn(file: string): string[] {
  return readFileSync(file, "utf8").split("\n").filter(Boolean).toSorted();
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "debug", () => {
  test("writes the secrets that the client has, and a qlog of its packets, for this user alone", async () => {
    const there = places();
    const clientSecrets = join(tempFolder("client"), "keys.log");
    const proxy = await start(there, { clients: ["127.0.0.0/8"] });
    await ask(proxy, clientSecrets);
    await proxy.stop();
    const ours = secretsIn(there.keylogFile);
    const theirs = secretsIn(clientSecrets);
    expect(theirs.length).toBeGreaterThanOrEqual(4);
    expect(ours).toEqual(expect.arrayContaining(theirs));
    const [name = "", ...others] = readdirSync(there.qlogFolder);
    expect(others).toEqual([]);
    const qlog = join(there.qlogFolder, name);
    const [head = "", ...events] = readFileSync(qlog, "utf8").split("\u001e").slice(1);
    expect(JSON.parse(head)).toMatchObject({ serialization_format: "JSON-SEQ" });
    expect(
      events.filter((event) => /packet_(sent|received)"/.test(JSON.stringify(JSON.parse(event)))).length,
    ).toBeGreaterThan(4);
    for (const file of [qlog, there.keylogFile]) expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("leaves other clients alone", async () => {
    const there = places();
    const proxy = await start(there, { clients: ["10.0.0.0/8", "2001:db8::/32"] });
    await ask(proxy);
    await proxy.stop();
    expect(readdirSync(there.qlogFolder)).toEqual([]);
    expect(readFileSync(there.keylogFile, "utf8")).toBe("");
  });

  test("takes a share of all connections, here every one", async () => {
    const there = places();
    const proxy = await start(there, { sample_per_million: 1_000_000 });
    await ask(proxy);
    await ask(proxy);
    await proxy.stop();
    expect(readdirSync(there.qlogFolder).length).toBe(2);
  });

  test("whose folder is gone costs nobody an answer, and is counted", async () => {
    const there = places();
    const proxy = await start(there, { clients: ["127.0.0.1"] });
    rmSync(there.qlogFolder, { recursive: true });
    await ask(proxy);
    await proxy.stop();
    const counted = proxy.logs().find(({ msg }) => msg === "counted");
    expect(counted).toMatchObject({ watch_errors: 1, connections_watched: 1 });
  });
});

describe("check", () => {
  async function check(debug: object): Promise<{ readonly code: number | null; readonly text: string }> {
    const config = proxyConfig({ pools, extra: { debug } }, await testCertificateFiles());
    const file = writeTemp(tempFolder("check"), "config.yaml", config);
    const command = [...runnerCommand(defaultRunner()), "check", "--config", file];
    const { code, stdout, stderr } = await runProcess({ command });
    return { code, text: stdout + stderr };
  }

  test("warns of secrets and qlogs, and makes no file", async () => {
    const { keylogFile, qlogFolder } = places();
    const { code, text } = await check({ keylog_file: keylogFile, qlog_folder: qlogFolder, clients: ["127.0.0.1"] });
    expect(code).toBe(0);
    expect(text).toContain("debug.keylog_file: TLS secrets of connections of the named clients");
    expect(text).toContain("debug.qlog_folder: a qlog is written");
    expect(existsSync(keylogFile)).toBe(false);
  });

  test("says that nothing is written where nobody is chosen", async () => {
    const { code, text } = await check({ keylog_file: places().keylogFile });
    expect(code).toBe(0);
    expect(text).toContain("debug.clients: neither clients nor a share");
  });

  test("refuses a keylog that others may read, and a folder that is none", async () => {
    const clients = ["127.0.0.1"];
    const open = writeTemp(tempFolder("open"), "keys.log", "");
    chmodSync(open, 0o644);
    const first = await check({ keylog_file: open, clients });
    expect(first.code).toBe(2);
    expect(first.text).toContain(`${open} is open to others (mode 644)`);
    const second = await check({ qlog_folder: open, clients });
    expect(second.code).toBe(2);
    expect(second.text).toContain(`debug.qlog_folder: ${open} is no folder`);
  });

  test("says which key names a folder that is missing, and how to make it", async () => {
    const missing = join(tempFolder("missing"), "none");
    for (const [key, place] of [
      ["qlog_folder", missing],
      ["keylog_file", join(missing, "keys.log")],
    ] as const) {
      const { code, text } = await check({ [key]: place, clients: ["127.0.0.1"] });
      expect(code).toBe(2);
      expect(text).toContain(`debug.${key}: ${missing} cannot be written`);
      expect(text).toContain(`mkdir -m 700 ${missing}`);
    }
  });
});
