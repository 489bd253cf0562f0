/**
 * docs/start.md, done as it stands there: its files, commands and ports, in a network of its own. A reader who types them gets what the
 * page says.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import { readPage } from "../support/markdown.ts";
import { type NetworkPlace, NETWORKS_MISSING, startNetwork } from "../support/netns.ts";
import { type RunningProcess, startProcess } from "../support/process.ts";
import { tempFolder } from "../support/temp.ts";
import { HANGS_AFTER_MS } from "../support/time-limit.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const BINARY = process.env["SPOOKY_TEST_BINARY"] || join(ROOT, "dist", "spooky");
const PROMETHEUS = process.env["SPOOKY_TEST_PROMETHEUS"] || null;
const PAGE = readPage("docs/start.md", readFileSync(join(ROOT, "docs", "start.md"), "utf8"));

const lack =
  NETWORKS_MISSING ??
  (aioquicPython === null
    ? AIOQUIC_MISSING
    : PROMETHEUS === null
      ? "SPOOKY_TEST_PROMETHEUS names no program"
      : existsSync(BINARY)
        ? null
        : "there is no executable (./scripts/build)");

/** The one block with this text in it. */
function block(part: string): string {
  const found = PAGE.blocks.filter(({ text }) => text.includes(part));
  expect(found.map(({ text }) => text)).toHaveLength(1);
  return must(found[0], part).text;
}

interface Done {
  readonly code: number | null;
  readonly said: string;
}

/** A reader's folder with the executable in it, and terminals there. */
interface Desk {
  readonly server: NetworkPlace;
  save(name: string, text: string): void;
  start(script: string): RunningProcess;
  run(script: string): Promise<Done>;
  /** Asks again and again, as a reader would. */
  until(script: string, form: RegExp): Promise<void>;
}

async function openDesk(prometheus: string): Promise<Desk> {
  const { server } = await startNetwork();
  const folder = tempFolder("steps");
  symlinkSync(BINARY, join(folder, "spooky"));
  symlinkSync(prometheus, join(folder, "prometheus"));
  const path = `${folder}:${process.env["PATH"] ?? ""}`;
  const bareEnv = { HOME: folder, PATH: path, RUNTIME_DIRECTORY: folder };
  const start = (script: string): RunningProcess =>
    startProcess({ command: server.command(["bash", "-c", `cd '${folder}' && ${script}`]), bareEnv });
  const run = async (script: string): Promise<Done> => {
    const child = start(script);
    child.closeInput();
    return { code: (await child.ended).code, said: [...child.stdout, ...child.stderr].join("\n") };
  };
  return {
    ...{ server, start, run },
    save: (name, text) => writeFileSync(join(folder, name), text),
    async until(script, form) {
      while (!form.test((await run(script)).said)) await Bun.sleep(100);
    },
  };
}

describe.skipIf(lack !== null)(lack ?? "the first steps", () => {
  test(
    "lead to a request, metrics, an alert, and a change that is taken back",
    async () => {
      const { server, save, start, run, until } = await openDesk(must(PROMETHEUS, "there is one"));
      // Only the server itself goes on running; what is before it ends.
      const backendScript = block("http.server").replace("python3 -m", "exec python3 -m");
      let backend = start(backendScript);
      expect(await run(block("openssl req"))).toMatchObject({ code: 0 });
      const configuration = block("version: 1");
      save("spooky.yaml", configuration);
      await until("curl -s http://127.0.0.1:8081/", /hello from the backend/);
      const check = await run(block("spooky check"));
      expect(check.code).toBe(0);
      expect(check.said).toMatch(/signed by itself/);
      expect(check.said).not.toMatch(/expires in/);

      const proxy = start(`exec ${block("./spooky --config").trim()}`);
      await proxy.waitForLine((line) => line.includes(" listening "));
      const answer = await runAioquicOnce(
        { host: "127.0.0.1", port: 4433, server_name: "localhost", steps: [{ do: "request", path: "/" }] },
        server,
      );
      expect(answer.exchanges.map(({ status }) => status)).toEqual([200]);

      await until(block("/metrics"), /^http_requests_total\{.*backend="web-01".*status="200"\} 1$/m);
      const well = await run(block("/metrics"));
      expect(well.said).toMatch(/^ {2}completed +1$/m);
      expect(well.said).toContain('{"ready":true,"reasons":[]}');

      save("prometheus.yml", block("scrape_configs:"));
      save("rules.yml", block("alert: "));
      start(`exec ${block("prometheus --config.file").trim()}`);
      const alerts = block("/api/v1/alerts");
      await until(alerts, /"alerts":\[\]/);
      backend.kill();
      await until(alerts, /"state":"firing"/);
      expect((await run("curl -s http://127.0.0.1:8080/ready")).said).toMatch(/"ready":false/);
      backend = start(backendScript);
      await until(alerts, /"alerts":\[\]/);

      const reload = block("./spooky reload --config");
      save("spooky.yaml", configuration.replace("path_prefix", "path_prefx"));
      const refused = await run(reload);
      expect(refused.code).toBe(1);
      expect(refused.said).toMatch(/spooky\.yaml:\d+:\d+: .*path_prefx.* did you mean "path_prefix"/);
      save("spooky.yaml", configuration.replace("8081", "8082"));
      expect(await run(reload)).toMatchObject({ code: 0 });
      await until(alerts, /"state":"firing"/);
      const back = await run(block("--rollback"));
      expect(back.code).toBe(0);
      expect(back.said).toMatch(/back to the configuration of generation 1/);
      await until(alerts, /"alerts":\[\]/);
      proxy.signal("SIGTERM");
      expect(await proxy.ended).toMatchObject({ code: 0 });
    },
    HANGS_AFTER_MS,
  );
});
