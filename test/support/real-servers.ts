/** Starts servers that nobody here wrote, so that one table of cases can be held to all of them. `scripts/servers.sh` finds them. */
import { afterAll } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { testCertificateFiles } from "./certs.ts";
import { waitUntil } from "./net.ts";
import { startHaproxy, startNginx, type Front } from "./real-front.ts";
import { COUNT_NAMES, startBun, startGo, startNode, type ProgramOptions, type ServerProgram } from "./real-program.ts";
import { serverAbilities } from "./real-abilities.ts";
import type { AtEnd } from "./temp.ts";
import type { RealServer, RealServerKind, RealServerProtocol, ServerAbilities } from "./real-server.ts";

/** What to start. */
export interface RealServerOptions {
  readonly kind: RealServerKind;
  readonly protocol: RealServerProtocol;
  /** Default `afterAll`: the end of the test, group or file that starts it. In a hook it must be another. */
  readonly atEnd?: AtEnd;
}

/** All of them. */
export const REAL_SERVER_KINDS: readonly RealServerKind[] = ["go", "nginx", "haproxy", "node", "bun", "bun-serve"];
export const REAL_SERVER_PROTOCOLS: readonly RealServerProtocol[] = ["http1", "https1", "h2c", "h2"];

/** Why a server cannot be had here; null when it can. */
export function realServerLack(kind: RealServerKind): string | null {
  if (PROGRAMS[kind] !== null) return null;
  return `${kind}: ${VARIABLES[kind]} names no program (./scripts/test sets it up)`;
}

/** What one can do, known before it is started. */
export function realServerAbilities(kind: RealServerKind, protocol: RealServerProtocol): ServerAbilities {
  return serverAbilities(kind, protocol, goVersion);
}

/** Starts one. Rejects, with its output, when it ends before it is ready. */
export async function startRealServer({ kind, protocol, atEnd = afterAll }: RealServerOptions): Promise<RealServer> {
  const program = must(PROGRAMS[kind], realServerLack(kind) ?? "");
  const { certFile, keyFile } = await testCertificateFiles(atEnd);
  const options: ProgramOptions = { protocol, id: kind, certFile, keyFile, atEnd };
  if (kind !== "nginx" && kind !== "haproxy")
    return serverOf({ kind, protocol }, await PROGRAM_STARTERS[kind](program, options), null);
  const node = must(PROGRAMS.node, "Node is there");
  const [behind, behind2] = await Promise.all([
    startNode(node, { ...options, protocol: "http1" }),
    startNode(node, { ...options, protocol: "h2c" }),
  ]);
  const front = { program, protocol, certFile, keyFile, http1Port: behind.port, h2cPort: behind2.port, atEnd };
  return serverOf(
    { kind, protocol },
    both(behind, behind2),
    await (kind === "nginx" ? startNginx(front) : startHaproxy(front)),
  );
}

function serverOf({ kind, protocol }: RealServerOptions, program: ServerProgram, front: Front | null): RealServer {
  let stopped: Promise<void> | null = null;
  const stop = () => (stopped ??= Promise.all([front?.stop(), program.stop()]).then(() => undefined));
  const port = front?.port ?? program.port;
  return {
    kind,
    protocol,
    port,
    address: `${SCHEMES[protocol]}://127.0.0.1:${port}`,
    abilities: realServerAbilities(kind, protocol),
    counts: () => program.counts(),
    release: () => program.tell("release"),
    holding: (count) => waitUntil(async () => (await program.counts()).holding >= count),
    goAway: async () => (front === null ? program.tell("goaway") : front.reload()),
    dropConnections: () => program.tell("drop"),
    log: () => (front === null ? program.log() : `${front.log()}\nbehind it:\n${program.log()}`),
    stop,
  };
}

/** Two programs that answer for one server. */
function both(first: ServerProgram, second: ServerProgram): ServerProgram {
  return {
    ...first,
    counts: async () => {
      const [one, other] = await Promise.all([first.counts(), second.counts()]);
      const sum = { ...one };
      for (const name of COUNT_NAMES) sum[name] += other[name];
      return sum;
    },
    tell: async (command) => {
      await Promise.all([first.tell(command), second.tell(command)]);
    },
    log: () => `${first.log()}\n${second.log()}`,
    stop: async () => {
      await Promise.all([first.stop(), second.stop()]);
    },
  };
}

const SCHEMES: Readonly<Record<RealServerProtocol, string>> = {
  http1: "http",
  https1: "https",
  h2c: "h2c",
  h2: "https",
};
const VARIABLES: Readonly<Record<RealServerKind, string>> = {
  go: "SPOOKY_TEST_GO_SERVER",
  nginx: "SPOOKY_TEST_NGINX",
  haproxy: "SPOOKY_TEST_HAPROXY",
  node: "PATH",
  bun: "PATH",
  "bun-serve": "PATH",
};
const PROGRAMS: Readonly<Record<RealServerKind, string | null>> = {
  go: process.env[VARIABLES.go] || null,
  nginx: process.env[VARIABLES.nginx] || null,
  haproxy: process.env[VARIABLES.haproxy] || null,
  node: Bun.which("node"),
  bun: process.execPath,
  "bun-serve": process.execPath,
};
const PROGRAM_STARTERS = {
  go: startGo,
  node: startNode,
  bun: (_program: string, options: ProgramOptions) => startBun("node", options),
  "bun-serve": (_program: string, options: ProgramOptions) => startBun("serve", options),
};
const goVersion = PROGRAMS.go === null ? "" : Bun.spawnSync([PROGRAMS.go, "-version"]).stdout.toString();
