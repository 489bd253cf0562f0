/**
 * The units as systemd runs them, in a small Debian that is booted for it (`scripts/systemd-root.sh` makes its root). Each line of the shipped unit is in
 * force in every test here, and what it keeps from the service is tried by a probe in the same place.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { testCertificate } from "../support/certs.ts";
import { waitUntil } from "../support/net.ts";
import { type NetworkBackend, startPlacedBackend } from "../support/netns.ts";
import { runProcess } from "../support/process.ts";
import { binaryPath, hasRunner } from "../support/proxy.ts";
import { bootMachine, type Machine, MACHINE_MISSING, type Ran } from "./machine.ts";

const PACKAGING = join(import.meta.dir, "..", "..", "packaging", "systemd");
const UNIT = readFileSync(join(PACKAGING, "spooky.service"), "utf8");
const TEMPLATE = readFileSync(join(PACKAGING, "spooky@.service"), "utf8");
const PORT = 443;
const lack =
  MACHINE_MISSING ??
  (hasRunner("binary") ? null : "systemd: dist/spooky is not built") ??
  (aioquicPython === null ? AIOQUIC_MISSING : null);

interface Bed {
  readonly machine: Machine;
  readonly backend: NetworkBackend;
}

/** A configuration of two workers, as the guide's in what counts here. */
function configText(backend: string, extra = ""): string {
  return `version: 1
listen:
  protocol: http3
  address: "0.0.0.0"
  port: ${PORT}
  tls: { cert: /etc/spooky/certs/fullchain.pem, key: /etc/spooky/certs/privkey.pem }
upstream:
  web:
    route: { path_prefix: "/" }
    backends: [{ id: web-01, address: "${backend}" }]
log: { level: info, format: json }
workers: 2
${extra}`;
}

/** What the deployment page does on an empty machine. */
async function install(machine: Machine, backend: NetworkBackend): Promise<void> {
  const { certPem, keyPem } = await testCertificate();
  machine.copy(binaryPath(), "/usr/local/bin/spooky");
  machine.copy(join(import.meta.dir, "probe.sh"), "/usr/local/bin/probe");
  machine.write("/etc/systemd/system/spooky.service", UNIT);
  machine.write("/etc/systemd/system/spooky@.service", TEMPLATE);
  const account = [
    "--system",
    "--shell",
    "/usr/sbin/nologin",
    "--home-dir",
    "/var/lib/spooky",
    "--create-home",
    "spooky",
  ];
  await machine.ran("useradd", ...account);
  await machine.ran("install", "-d", "-m", "750", "-o", "root", "-g", "spooky", "/etc/spooky", "/etc/spooky/certs");
  machine.write("/etc/spooky/certs/fullchain.pem", certPem);
  machine.write("/etc/spooky/certs/privkey.pem", keyPem, 0o640);
  machine.write("/etc/spooky/config.yaml", configText(backend.address), 0o640);
  await machine.ran("chgrp", "-R", "spooky", "/etc/spooky");
  await machine.ran("systemctl", "daemon-reload");
  // A unit that nothing wants is forgotten when it has ended, and how it ended with it.
  await machine.ran("systemctl", "enable", "--quiet", "spooky");
}

const bed: Bed | null = lack === null ? await makeBed() : null;

async function makeBed(): Promise<Bed> {
  const machine = await bootMachine();
  const backend = await startPlacedBackend(machine.network);
  await install(machine, backend);
  return { machine, backend };
}

function here(): Bed {
  return must(bed, "a machine runs");
}

function systemctl(...words: readonly string[]): Promise<Ran> {
  return here().machine.run("systemctl", ...words);
}

async function shown(unit: string, ...names: readonly string[]): Promise<Record<string, string>> {
  const text = await here().machine.ran("systemctl", "show", unit, ...names.map((name) => `--property=${name}`));
  return Object.fromEntries(
    text.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

/** Lines for this test in place of the unit's; none puts the unit back as it is. Starts it anew. */
async function restartWith(...lines: readonly string[]): Promise<Ran> {
  const { machine } = here();
  machine.write("/etc/systemd/system/spooky.service.d/test.conf", ["[Service]", ...lines, ""].join("\n"));
  await machine.ran("systemctl", "daemon-reload");
  await machine.run("systemctl", "reset-failed", "spooky");
  return systemctl("restart", "spooky");
}

/** One request, on port 443. */
async function status(path = "/small"): Promise<number | null> {
  const { exchanges } = await runAioquicOnce({ port: PORT, steps: [{ do: "request", path }] }, here().machine.network);
  return exchanges[0]?.status ?? null;
}

async function fetched(url: string): Promise<string> {
  const { stdout } = await runProcess({
    command: here().machine.network.command(["curl", "-s", "--max-time", "5", url]),
  });
  return stdout;
}

function journal(): Promise<string> {
  return here().machine.ran("journalctl", "--unit=spooky", "--output=cat", "--no-pager");
}

describe.skipIf(lack !== null)(lack ?? "the unit, by systemd", () => {
  test("starts, is active once it serves port 443, and says how it is", async () => {
    expect(await systemctl("start", "spooky")).toMatchObject({ code: 0 });
    expect(await shown("spooky", "ActiveState", "StatusText", "Type")).toEqual({
      ...{ ActiveState: "active", StatusText: "generation 1 serves, workers: 2", Type: "notify" },
    });
    expect(await here().machine.ran("systemctl", "status", "--no-pager", "spooky")).toContain(
      'Status: "generation 1 serves, workers: 2"',
    );
    expect(await status()).toBe(200);
    expect(await fetched("http://127.0.0.1:8080/ready")).toBe('{"ready":true,"reasons":[]}');
    // What ProcSubset=pid hides is known from elsewhere.
    const metrics = await fetched("http://127.0.0.1:9090/metrics");
    const kilobytes = Number(/^MemTotal:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]);
    expect(metrics).toContain(`\nnode_memory_MemTotal_bytes ${kilobytes * 1024}\n`);
  });

  test("reloads, and fails to with what is wrong, serving on as before", async () => {
    const { machine, backend } = here();
    machine.write("/etc/spooky/config.yaml", configText(backend.address, "max_concurrent_connections: 5000\n"));
    expect(await systemctl("reload", "spooky")).toMatchObject({ code: 0 });
    expect(await shown("spooky", "StatusText")).toEqual({ StatusText: "generation 2 serves, workers: 2" });
    machine.write("/etc/spooky/config.yaml", configText(backend.address, "max_concurent_connections: 5000\n"));
    expect((await systemctl("reload", "spooky")).code).toBe(1);
    const { StatusText, ActiveState } = await shown("spooky", "StatusText", "ActiveState");
    expect(StatusText).toContain('did you mean "max_concurrent_connections"?); generation 2 serves, workers: 2');
    expect([ActiveState, await status()]).toEqual(["active", 200]);
    // Its line, the command's, and systemd's own: by priority, as whoever is called at night asks.
    const graver = await machine.ran("journalctl", "--unit=spooky", "--priority=warning", "--output=cat", "--no-pager");
    const wrong = String.raw`/etc/spooky/config.yaml:\d+:1: max_concurent_connections`;
    expect(graver).toMatch(new RegExp(`"renewal failed: all stays as it is","reason":"${wrong}`));
    expect(graver).toMatch(new RegExp(`^spooky: ${wrong}`, "m"));
    expect(graver).not.toMatch(/"level":"info"|generation 2 serves/);
    machine.write("/etc/spooky/config.yaml", configText(backend.address));
  });

  test("is upgraded under its main process, with another file in place of its own", async () => {
    const { machine } = here();
    const { MainPID: before } = await shown("spooky", "MainPID");
    machine.copy(binaryPath(), "/usr/local/bin/spooky.new");
    await machine.ran("mv", "/usr/local/bin/spooky.new", "/usr/local/bin/spooky");
    const user = ["setpriv", "--reuid=spooky", "--regid=spooky", "--clear-groups"];
    expect(await machine.ran(...user, "spooky", "upgrade")).toContain("done: generation");
    expect(await shown("spooky", "MainPID", "ActiveState", "NRestarts")).toEqual({
      ...{ MainPID: must(before, "it has one"), ActiveState: "active", NRestarts: "0" },
    });
    const files = ["stat", "-L", "-c", "%i", `/proc/${before}/exe`, "/usr/local/bin/spooky"];
    expect(new Set((await machine.ran(...files)).split("\n")).size).toBe(1);
    expect(await status()).toBe(200);
  });
});

describe.skipIf(lack !== null)(lack ?? "the unit's end, by systemd", () => {
  test("stops when what runs is over, and not before", async () => {
    const { machine, backend } = here();
    const run = startAioquic(
      {
        port: PORT,
        steps: [
          { do: "start", id: "held", path: "/hold" },
          { do: "wait_goaway" },
          { do: "say", text: "told" },
          { do: "wait" },
        ],
      },
      machine.network,
    );
    await backend.holding(1);
    const stop = machine.start("systemctl", "stop", "spooky");
    await run.event("said", { text: "told" });
    expect(await shown("spooky", "ActiveState")).toEqual({ ActiveState: "deactivating" });
    await backend.release();
    expect((await stop.ended).code).toBe(0);
    expect(exchangeOf(must((await run.connections)[0], "one connection"), "held").status).toBe(200);
    expect(await shown("spooky", "Result", "ExecMainStatus", "ActiveState")).toEqual({
      ...{ Result: "success", ExecMainStatus: "0", ActiveState: "inactive" },
    });
  });

  test("takes a stop that broke something off (3) for a success", async () => {
    const { machine, backend } = here();
    machine.write(
      "/etc/spooky/config.yaml",
      configText(backend.address, "performance: { shutdown_drain_timeout_ms: 300 }\n"),
    );
    expect(await restartWith()).toMatchObject({ code: 0 });
    const run = startAioquic(
      { port: PORT, steps: [{ do: "start", id: "held", path: "/hold" }, { do: "wait_closed" }] },
      machine.network,
    );
    await backend.holding(1);
    expect(await systemctl("stop", "spooky")).toMatchObject({ code: 0 });
    await run.connections;
    await backend.release();
    expect(await shown("spooky", "Result", "ExecMainStatus")).toEqual({ Result: "success", ExecMainStatus: "3" });
    machine.write("/etc/spooky/config.yaml", configText(backend.address));
  });

  test("is killed and started again when it says nothing any more", async () => {
    expect(await restartWith("WatchdogSec=2s", "RestartSec=100ms")).toMatchObject({ code: 0 });
    const { MainPID: before, NRestarts: restarts } = await shown("spooky", "MainPID", "NRestarts");
    await here().machine.ran("kill", "-STOP", must(before, "it has one"));
    await waitUntil(async () => Number((await shown("spooky", "NRestarts"))["NRestarts"]) > Number(restarts));
    await waitUntil(async () => (await shown("spooky", "ActiveState"))["ActiveState"] === "active");
    expect((await shown("spooky", "MainPID"))["MainPID"]).not.toBe(before);
    expect(await journal()).toContain("Watchdog timeout");
    expect(await status()).toBe(200);
  });

  test("cannot have MemoryDenyWriteExecute, because of the runtime's compiler", async () => {
    expect(await restartWith("MemoryDenyWriteExecute=yes", "Restart=no")).toMatchObject({ code: 1 });
    expect(await journal()).toContain("requires the JIT");
    expect(await restartWith()).toMatchObject({ code: 0 });
  });
});

describe.skipIf(lack !== null)(lack ?? "the unit's end in a reload, by systemd", () => {
  test("stops as ever when a reload waits for former workers, which is no failure of the unit", async () => {
    const { machine, backend } = here();
    expect(await restartWith()).toMatchObject({ code: 0 });
    const run = startAioquic(
      { port: PORT, steps: [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }] },
      machine.network,
    );
    await backend.holding(1);
    const packets = (count: number) =>
      configText(backend.address, `performance: { quic_initial_window_packets: ${count} }\n`);
    machine.write("/etc/spooky/config.yaml", packets(20));
    expect(await systemctl("reload", "spooky")).toMatchObject({ code: 0 });
    machine.write("/etc/spooky/config.yaml", packets(30));
    const reload = machine.start("systemctl", "reload", "spooky");
    await waitUntil(async () => ((await shown("spooky", "StatusText"))["StatusText"] ?? "").includes("it waits"));
    const stop = machine.start("systemctl", "stop", "spooky");
    await waitUntil(async () => ((await shown("spooky", "StatusText"))["StatusText"] ?? "").includes("finishing"));
    await backend.release();
    expect((await stop.ended).code).toBe(0);
    expect((await reload.ended).code).toBe(1);
    expect(exchangeOf(must((await run.connections)[0], "one connection"), "held").status).toBe(200);
    expect(await shown("spooky", "Result", "ExecMainStatus", "ActiveState")).toEqual({
      ...{ Result: "success", ExecMainStatus: "0", ActiveState: "inactive" },
    });
    machine.write("/etc/spooky/config.yaml", configText(backend.address));
  });
});

/** Lines of the unit that another kind of service cannot have. */
const OF_THE_PROGRAM =
  /^(Type|NotifyAccess|ExecStart|ExecReload|WatchdogSec|Restart|RestartSec|SuccessExitStatus)=.*$/gm;

/** What the probe says as a service of its own with these lines. */
async function probed(name: string, unit: string): Promise<Record<string, string>> {
  const { machine } = here();
  const text = unit
    .replace(OF_THE_PROGRAM, "")
    .replace("[Service]", "[Service]\nType=oneshot\nExecStart=/usr/local/bin/probe");
  machine.write(`/etc/systemd/system/${name}.service`, text);
  machine.write(join("/tmp", "marker"), "");
  await machine.ran("systemctl", "daemon-reload");
  await machine.ran("systemctl", "start", name.replace("@", "@0-0"));
  const lines = await machine.ran("journalctl", `--unit=${name.replace("@", "@0-0")}`, "--output=cat", "--no-pager");
  const said = lines.split("\n").filter((line) => /^[a-z-]+=/.test(line));
  return Object.fromEntries(said.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

const REFUSED = [
  ...["private-tmp", "devices", "memory-facts", "other-processes", "system-files", "configuration", "state", "homes"],
  ...["host-name", "control-groups", "netlink", "namespaces", "realtime", "priority", "affinity", "personality"],
  ...["set-user-id", "mounts", "root-change"],
];
/** The same; here the machine itself keeps these from everybody. */
const REFUSED_TO_ALL = ["kernel-settings", "sys-files"];
/** So that the probe can fail: without the lines nearly all of it is allowed, in the same machine. */
const BARE = "[Service]\nLogsDirectory=spooky\nRuntimeDirectory=spooky\n";

describe.skipIf(lack !== null)(lack ?? "a service under the unit's lines", () => {
  test("is the user that it should be, with one capability, and keeps what it needs", async () => {
    const said = await probed("probe", UNIT);
    expect(said).toMatchObject({
      ...{ user: "spooky spooky", capabilities: "0000000000000400 0000000000000400", "no-new-privileges": "1" },
      ...{ umask: "0027", logs: "allowed", runtime: "allowed", "own-mode": "allowed" },
    });
  });

  test("may do nothing else, which it may without them", async () => {
    const said = await probed("probe", UNIT);
    expect([...REFUSED, ...REFUSED_TO_ALL].filter((name) => said[name] !== "refused")).toEqual([]);
    const bare = await probed("bare", BARE);
    expect(REFUSED.filter((name) => bare[name] !== "allowed")).toEqual([]);
  });
});

/** The layer-4 script that the guide prints, in its lines; and one that its stop would be seen by. */
const GUIDE_SCRIPT = `#!/bin/bash
set -euo pipefail
# Check if process is running
if ! pgrep -x spooky > /dev/null; then
exit 1
fi
# Check if listening on QUIC port (example: port 443)
if ! ss -ulpn | grep -q ":443 "; then
exit 1
fi
# Optional: Check internal health endpoint if available
# curl -sf http://localhost:8080/health || exit 1
exit 0
`;

describe.skipIf(lack !== null)(lack ?? "beside the service", () => {
  test("a balancer's script sees that it serves, that it stops, and that it has gone", async () => {
    const { machine, backend } = here();
    const ours = join("/usr/local/bin", "spooky-healthcheck.sh");
    machine.copy(join(PACKAGING, "..", "scripts", "spooky-healthcheck.sh"), ours);
    const guides = join("/usr/local/bin", "guide-healthcheck.sh");
    machine.write(guides, GUIDE_SCRIPT, 0o755);
    const codes = async () => [(await machine.run(guides)).code, (await machine.run(ours)).code];
    machine.write(
      "/etc/spooky/config.yaml",
      configText(backend.address, "performance: { shutdown_delay_ms: 600000 }\n"),
    );
    expect(await restartWith()).toMatchObject({ code: 0 });
    expect(await codes()).toEqual([0, 0]);
    // Told to stop, and serving on for whoever has not heard of it: only one of the scripts knows.
    const stop = machine.start("systemctl", "stop", "spooky");
    await waitUntil(async () => (await machine.run(ours)).code === 1);
    expect([await status(), ...(await codes())]).toEqual([200, 0, 1]);
    expect((await machine.run(ours)).stderr).toContain('"reason":"stopping"');
    await machine.ran("systemctl", "kill", "--kill-who=main", "--signal=SIGTERM", "spooky");
    expect((await stop.ended).code).toBe(0);
    expect(await codes()).toEqual([1, 1]);
    machine.write("/etc/spooky/config.yaml", configText(backend.address));
  });

  test("logrotate moves its file away again and again under load, and no line is lost", async () => {
    const { machine, backend } = here();
    machine.copy(join(PACKAGING, "..", "logrotate", "spooky"), join("/etc/logrotate.d", "spooky"));
    const text = configText(backend.address).replace("log: {", "log: { access: { file: /var/log/spooky/access.log },");
    machine.write("/etc/spooky/config.yaml", text);
    expect(await restartWith()).toMatchObject({ code: 0 });
    const { MainPID: before } = await shown("spooky", "MainPID");
    const log = join("/var/log/spooky", "access.log");
    const [rotations, requests] = [4, 2000];
    const load = { do: "request", path: "/small?load", count: requests, concurrency: 20 } as const;
    const run = startAioquic({ port: PORT, events: false, steps: [load] }, machine.network);
    for (let i = 0; i < rotations; i++) {
      // Each finds something to move away.
      await waitUntil(() => machine.read(log).includes("/small"));
      await machine.ran("logrotate", "--force", "/etc/logrotate.d/spooky");
    }
    expect((await run.connections)[0]?.bulks).toMatchObject([{ statuses: { 200: requests } }]);
    expect(await status("/small?last")).toBe(200);
    await waitUntil(() => machine.read(log).includes("/small?last"));
    const files = (await machine.ran("sh", "-c", `ls ${log}*`)).split("\n");
    expect(files).toEqual(["", ".1", ".2.gz", ".3.gz", ".4.gz"].map((end) => `${log}${end}`));
    const lines = (await machine.ran("sh", "-c", `zcat --force ${log}*`)).split("\n");
    expect(lines.map((line): unknown => JSON.parse(line).msg).filter((msg) => msg !== "request")).toEqual([]);
    expect(lines).toHaveLength(requests + 1);
    expect(await machine.ran("stat", "-c", "%a %U %G", log)).toBe("640 spooky spooky");
    expect((await shown("spooky", "MainPID"))["MainPID"]).toBe(before);
    machine.write("/etc/spooky/config.yaml", configText(backend.address));
  });
});

describe.skipIf(lack !== null)(lack ?? "the template unit", () => {
  test("keeps an instance on the processors that it is named by, beside another one", async () => {
    const { machine, backend } = here();
    await systemctl("stop", "spooky");
    const others = "supervisor: auto\nobservability: { metrics: { enabled: false }, health: { enabled: false } }\n";
    for (const [name, port] of [
      ["0", 444],
      ["1-1", 445],
    ] as const)
      machine.write(
        `/etc/spooky/${name}.yaml`,
        configText(backend.address, others).replace(`port: ${PORT}`, `port: ${port}`).replace("workers: 2\n", ""),
      );
    expect(await systemctl("start", "spooky@0", "spooky@1-1")).toMatchObject({ code: 0 });
    for (const [name, core] of [
      ["0", "0"],
      ["1-1", "1"],
    ] as const) {
      const { MainPID: pid, StatusText } = await shown(`spooky@${name}`, "MainPID", "StatusText");
      expect(StatusText).toBe("generation 1 serves, workers: 1");
      expect(machine.read(`/proc/${pid}/status`)).toContain(`\nCpus_allowed_list:\t${core}\n`);
      const told = await machine.ran("spooky", "status", "--control", `/run/spooky-${name}/control.sock`);
      expect(told).toContain("generation 1");
    }
    expect(await systemctl("reload", "spooky@0")).toMatchObject({ code: 0 });
    expect(await systemctl("stop", "spooky@0", "spooky@1-1")).toMatchObject({ code: 0 });
  });
});
