/** Can the addresses be had? Tried by taking each for a moment, which tells what rules about users and ports only guess. */
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { resolve } from "node:path";
import type { PathSegment } from "../../config/document.ts";
import type { DoorSettings, ListenSettings, Snapshot } from "../../config/snapshot.ts";
import { messageOf, ProxyError } from "../../core/error.ts";
import { formatAddress } from "../../../ffi/sockaddr.ts";
import type { Library } from "../../../ffi/library.ts";
import { openUdpSocket } from "../../../ffi/udp-open.ts";
import { askControl } from "../control-client.ts";
import type { Findings } from "./finding.ts";
import { type Holder, holdersOf } from "./holders.ts";

const CHECK = "addresses";

/** What tells a program that runs with this configuration already. */
export interface ProgramPlace {
  readonly configPath: string;
  /** What a program serves that was started without naming a file. */
  readonly defaultPath: string;
  /** Where its control socket may be. */
  readonly controlPaths: readonly string[];
}

interface Looking {
  readonly place: ProgramPlace;
  readonly found: Findings;
}

/** Tries all of them. One that a program with the same configuration file serves is as it should be. */
export async function checkAddresses(
  snapshot: Snapshot,
  place: ProgramPlace,
  library: Library,
  found: Findings,
): Promise<void> {
  const { listeners, observability } = snapshot;
  const looking = { place, found };
  for (const listen of listeners) await checkUdp(listen, library, looking);
  const { metrics, health } = observability;
  if (metrics !== null) await checkDoor("metrics", metrics, looking);
  const isOne = metrics !== null && health !== null && sameAddress(metrics, health);
  if (health !== null && !isOne) await checkDoor("health", health, looking);
}

function sameAddress(a: DoorSettings, b: DoorSettings): boolean {
  return a.address === b.address && a.port === b.port;
}

async function checkUdp(listen: ListenSettings, library: Library, looking: Looking): Promise<void> {
  const { found } = looking;
  const { address, port } = listen;
  const path = [...listen.path, "port"];
  const where = `UDP ${formatAddress({ ip: address, port })}`;
  try {
    const { fd } = openUdpSocket(library, { ip: address, port, receiveBufferBytes: 0, sendBufferBytes: 0 });
    library.libc.close(fd);
    found.ok(CHECK, `${where} is free`);
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    if (thrown.code === "ADDRESS_IN_USE") return reportTaken({ where, protocol: "udp", port, path }, looking);
    found.error(
      CHECK,
      thrown.message.includes("permission") ? path : [...listen.path, "address"],
      thrown.message,
      thrown.remedy,
    );
  }
}

async function checkDoor(
  name: "metrics" | "health",
  { address, port, required }: DoorSettings,
  looking: Looking,
): Promise<void> {
  const { found } = looking;
  const base = ["observability", name];
  const where = `TCP ${formatAddress({ ip: address, port })}`;
  const thrown = await tryTcp(address, port);
  if (thrown === null) return found.ok(CHECK, `${where} is free`);
  const taken = { where, protocol: "tcp", port, path: [...base, "port"] } as const;
  if (thrown.code === "EADDRINUSE") return reportTaken(taken, looking, required);
  const text = `${where} cannot be listened on: ${thrown.message}`;
  const remedy = thrown.code === "EADDRNOTAVAIL" ? "name an address of this machine" : PERMISSION;
  if (required) found.error(CHECK, [...base, "address"], text, remedy);
  else found.warn(CHECK, [...base, "address"], text, remedy);
}

const PERMISSION = "give the process CAP_NET_BIND_SERVICE or choose a port from 1024 on";

function tryTcp(host: string, port: number): Promise<{ readonly code: string; readonly message: string } | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: Error & { code?: string }) =>
      resolve({ code: error.code ?? "", message: messageOf(error) }),
    );
    server.listen({ host, port, exclusive: true, ipv6Only: false }, () => server.close(() => resolve(null)));
  });
}

interface Taken {
  readonly where: string;
  readonly protocol: "udp" | "tcp";
  readonly port: number;
  readonly path: readonly PathSegment[];
}

async function reportTaken(
  { where, protocol, port, path }: Taken,
  { place, found }: Looking,
  required = true,
): Promise<void> {
  const holders = holdersOf(protocol, port);
  const ours = holders.find((holder) => isOfConfiguration(holder, place));
  if (ours !== undefined) return found.ok(CHECK, `${where} is served with this configuration file (pid ${ours.pid})`);
  const running = holders.find(({ name }) => name === PROGRAM);
  if (running !== undefined) {
    const text = `${where} is served by ${PROGRAM} (pid ${running.pid})`;
    if (await isAnswering(place.controlPaths, running.pid))
      return found.ok(CHECK, `${text}, which this file's control socket belongs to`);
    return found.warn(CHECK, path, `${text} with another file: fine if that one is to go over to this one`);
  }
  const [first] = holders;
  const by = first === undefined ? "another process" : `${first.name} (pid ${first.pid})`;
  const text = `${where} is already served by ${by}`;
  if (required) found.error(CHECK, path, text, REMEDY);
  else found.warn(CHECK, path, `${text}: the program would do without`, REMEDY);
}

/** Is it that process which would be told to reload? */
async function isAnswering(controlPaths: readonly string[], pid: number): Promise<boolean> {
  for (const path of controlPaths) {
    if (!existsSync(path)) continue;
    const answer = await askControl(path, { do: "status" });
    if (typeof answer === "object" && answer.is === "status" && answer.status["pid"] === pid) return true;
  }
  return false;
}

const PROGRAM = "spooky";
const REMEDY = "stop that process or choose another port";

/** Whoever was started without naming a file has the one that is named by default, as `configPath` is then. */
function isOfConfiguration({ name, args, folder }: Holder, { configPath, defaultPath }: ProgramPlace): boolean {
  const wanted = resolve(configPath);
  const named = args.map((arg) => arg.replace(/^--config=/, "")).some((arg) => resolve(folder, arg) === wanted);
  return (
    named ||
    (name === PROGRAM && !args.some((arg) => arg === "-c" || arg.startsWith("--config")) && wanted === defaultPath)
  );
}
