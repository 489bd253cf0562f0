/**
 * Networks of the kernel's own for tests: a client's side with many addresses, a server's side with two, a translator between them.
 * Each side is a namespace that lives in a process whose input we hold, so that the kernel takes everything back (namespace, devices,
 * addresses) when the test ends, fails, or is killed.
 */
import { join } from "node:path";
import { AssertionFault, must } from "../../src/core/assert.ts";
import type { SeenRequest } from "./backend-state.ts";
import { type RunningProcess, startProcess } from "./process.ts";
import type { TranslatorCounts, TranslatorOptions } from "./udp-translator.ts";

/** One side of a network. */
export interface NetworkPlace {
  /** Puts a command there; its process id stays the one that is started. */
  command(command: readonly string[]): readonly string[];
}

/** What a test says of a translator: all but where it stands. Its outer addresses are all there are, unless it says which. */
export type TranslatorLine = Omit<TranslatorOptions, "nearHost" | "server" | "farHosts"> &
  Partial<Pick<TranslatorOptions, "farHosts">> & {
    /** Who is translated to; default: the server's side on the line behind. */
    readonly serverHost?: string;
  };

/** A translator that runs in the middle. */
export interface PlacedTranslator {
  readonly host: string;
  readonly port: number;
  /** Forgets its clients; they go on from the next of its outer addresses. Resolves when it is done. */
  forget(): Promise<TranslatorCounts>;
  counts(): Promise<TranslatorCounts>;
}

/** Somebody in the middle who holds what a server answers: `test/support/first-flight.ts`, seen from elsewhere. */
export interface PlacedFlightRelay {
  readonly host: string;
  readonly port: number;
  /** Its side towards the server, `ip:port` as that logs it. */
  readonly far: string;
  /** Sends what clients have sent while answers were held to the server again, from a port of its own, whose `ip:port` it gives. */
  replay(): Promise<string>;
  /** Lets everything pass from now on, what is held too. */
  release(): Promise<void>;
}

/** A network. Everything in it ends with the test, group or file that made it. */
export interface TestNetwork {
  readonly client: NetworkPlace;
  /** Between both; the line from here to the client's side begins at `NEAR_HOST`. */
  readonly middle: NetworkPlace;
  readonly server: NetworkPlace;
  /** Addresses of the server's side on the line without a translator: IPv4 and IPv6. */
  readonly serverHosts: readonly [string, string];
  readonly serverHosts6: readonly [string, string];
  /** Addresses of the client's side on that line. */
  readonly clientHosts: readonly string[];
  readonly clientHosts6: readonly string[];
  /** Starts a translator before a port of the server's side. */
  translator(port: number, line: TranslatorLine): Promise<PlacedTranslator>;
  /** Starts one who holds the server's answers back and can send a first flight again, before a port of the server's side. */
  flightRelay(port: number): Promise<PlacedFlightRelay>;
  /** Starts a backend in HTTP/1.1 on the server's side and gives its address there. */
  backend(): Promise<NetworkBackend>;
}

/** A backend on the server's side. */
export interface NetworkBackend {
  /** As a configuration writes it. */
  readonly address: string;
  /** Counts of what it has seen. */
  counts(): Promise<Readonly<Record<string, number>>>;
  /** Requests so far, in order. */
  seen(): Promise<readonly SeenRequest[]>;
  /** Resolves when so many wait in `/hold` or `/hold-body`. */
  holding(count: number): Promise<void>;
  /** Lets everything go on that waits in `/hold`. */
  release(): Promise<void>;
}

/** Why there are none here; null when there are. A namespace is made and left again to find out. */
export const NETWORKS_MISSING: string | null = await whyMissing();

const CLIENT_ADDRESSES = 12;
const OUTER_ADDRESSES = 4;
/** Private prefixes (RFC 1918, RFC 4193); they exist in the namespaces only. */
const DIRECT = "10.77.0";
const NEAR = "10.77.1";
const FAR = "10.77.2";
const DIRECT6 = "fd77:";
const SUPPORT = import.meta.dir;

/** The server's side on the line behind the translator: a proxy that shall be reached through it listens there, or everywhere. */
export const BEHIND = `${FAR}.1`;
/** The client's side on the line to the translator, and the translator's. */
export const BEFORE = `${NEAR}.11`;
export const NEAR_HOST = `${NEAR}.1`;
/** The translator's outer addresses. */
export const OUTER_HOSTS = hosts(FAR, 11, OUTER_ADDRESSES);

/** Makes a network. Call it only where `NETWORKS_MISSING` is null. */
export async function startNetwork(): Promise<TestNetwork> {
  const [client, middle, server] = await Promise.all([openPlace(), openPlace(), openPlace()]);
  const clientHosts = hosts(DIRECT, 11, CLIENT_ADDRESSES);
  const clientHosts6 = hosts6(11, CLIENT_ADDRESSES);
  const serverHosts = [`${DIRECT}.1`, `${DIRECT}.2`] as const;
  const serverHosts6 = [`${DIRECT6}:1`, `${DIRECT6}:2`] as const;
  await connectPlaces(client, "direct", [...clientHosts, ...clientHosts6], server, "direct", [
    ...serverHosts,
    ...serverHosts6,
  ]);
  await connectPlaces(client, "near", [BEFORE], middle, "near", [NEAR_HOST]);
  await connectPlaces(middle, "far", OUTER_HOSTS, server, "far", [BEHIND]);
  return {
    client,
    middle,
    server,
    serverHosts,
    serverHosts6,
    clientHosts,
    clientHosts6,
    translator: (port, line) => startTranslator(middle, { farHosts: OUTER_HOSTS, ...line }, port),
    flightRelay: (port) => startFlightRelayThere(middle, port),
    backend: () => startPlacedBackend(server),
  };
}

interface OpenPlace extends NetworkPlace {
  readonly pid: number;
}

/** A namespace and the process that keeps it: `cat` ends when its input does, and its input is ours. */
async function openPlace(): Promise<OpenPlace> {
  const keeper = startProcess({ command: ["unshare", "--net", "cat"], input: "here\n" });
  await keeper.waitForLine((line) => line === "here");
  const place = {
    pid: keeper.pid,
    command: (command: readonly string[]) => ["nsenter", `--net=/proc/${keeper.pid}/ns/net`, "--", ...command],
  };
  await ip(place, "link set lo up");
  return place;
}

/** A line (veth pair) between two places, with addresses at both ends. */
async function connectPlaces(
  one: OpenPlace,
  oneName: string,
  oneHosts: readonly string[],
  other: OpenPlace,
  otherName: string,
  otherHosts: readonly string[],
): Promise<void> {
  await ip(one, `link add name ${oneName} type veth peer name ${otherName} netns ${other.pid}`);
  await ip(one, ...setUp(oneName, oneHosts));
  await ip(other, ...setUp(otherName, otherHosts));
}

function setUp(device: string, addresses: readonly string[]): readonly string[] {
  const added = addresses.map((address) =>
    address.includes(":") ? `addr add ${address}/64 dev ${device} nodad` : `addr add ${address}/24 dev ${device}`,
  );
  return [...added, `link set ${device} up`];
}

async function ip(place: NetworkPlace, ...commands: readonly string[]): Promise<void> {
  const child = startProcess({ command: place.command(["ip", "-batch", "-"]), input: `${commands.join("\n")}\n` });
  child.closeInput();
  const end = await child.ended;
  if (end.code !== 0) throw new AssertionFault(`ip ${commands.join("; ")}: ${child.output()}`);
}

function hosts(prefix: string, first: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}.${first + i}`);
}

function hosts6(first: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${DIRECT6}:${first + i}`);
}

async function startTranslator(
  middle: NetworkPlace,
  { serverHost = BEHIND, ...line }: Omit<TranslatorOptions, "nearHost" | "server"> & { readonly serverHost?: string },
  port: number,
): Promise<PlacedTranslator> {
  const options: TranslatorOptions = { ...line, nearHost: NEAR_HOST, server: { host: serverHost, port } };
  const child = startProcess({
    command: middle.command([process.execPath, join(SUPPORT, "udp-translator.child.ts")]),
    input: `${JSON.stringify(options)}\n`,
  });
  const first: { port: number } = JSON.parse(await child.waitForLine((line) => line.startsWith('{"port"')));
  const tell = asker<{ counts: TranslatorCounts }>(child);
  return {
    host: NEAR_HOST,
    port: first.port,
    forget: async () => (await tell("forget")).counts,
    counts: async () => (await tell("counts")).counts,
  };
}

async function startFlightRelayThere(middle: NetworkPlace, port: number): Promise<PlacedFlightRelay> {
  const hosts = { near: NEAR_HOST, far: must(OUTER_HOSTS[0], "there is an outer address"), server: BEHIND };
  const child = startProcess({
    command: middle.command([process.execPath, join(SUPPORT, "first-flight.child.ts")]),
    input: `${JSON.stringify({ port, hosts })}\n`,
  });
  const first: { port: number; far: string } = JSON.parse(await child.waitForLine((line) => line.startsWith("{")));
  const tell = asker<{ from: string }>(child);
  return {
    ...{ host: NEAR_HOST, port: first.port, far: first.far },
    replay: async () => (await tell("replay")).from,
    release: async () => void (await tell("release")),
  };
}

/** A backend in HTTP/1.1 there. */
export async function startPlacedBackend(server: NetworkPlace): Promise<NetworkBackend> {
  const program = [process.execPath, join(SUPPORT, "real-server.child.ts"), "http1", "node", "backend"];
  const child = startProcess({ command: server.command(program) });
  const first: { port: number } = JSON.parse(await child.waitForLine((line) => line.startsWith('{"port"')));
  const tell = asker<Record<string, number> & { readonly seen?: readonly SeenRequest[] }>(child);
  return {
    address: `http://127.0.0.1:${first.port}`,
    counts: () => tell("state"),
    seen: async () => must((await tell("seen")).seen, "it says what it has seen"),
    holding: async (count) => void (await tell(`holding ${count}`)),
    release: async () => void (await tell("release")),
  };
}

/** Commands to a child that answers each with one line; one at a time. */
function asker<Answer>(child: RunningProcess): (command: string) => Promise<Answer> {
  let turn: Promise<unknown> = Promise.resolve();
  const ask = async (command: string): Promise<Answer> => {
    const before = child.stdout.length;
    child.write(`${command}\n`);
    await child.waitForLine(() => child.stdout.length > before);
    return JSON.parse(child.stdout[before] ?? "");
  };
  return (command) => {
    const answer = turn.then(() => ask(command));
    turn = answer.catch(() => undefined);
    return answer;
  };
}

async function whyMissing(): Promise<string | null> {
  const how = "network namespaces: ";
  if (process.platform !== "linux") return `${how}this is not Linux`;
  for (const tool of ["ip", "unshare", "nsenter"])
    if (Bun.which(tool) === null) return `${how}there is no \`${tool}\` (./scripts/test names the package)`;
  const script =
    "ip link set lo up && ip link add name one type veth peer name other && ip -6 addr add fd77::9/64 dev one nodad";
  const child = Bun.spawn(["unshare", "--net", "sh", "-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  const [code, complaint] = [await child.exited, await new Response(child.stderr).text()];
  return code === 0 ? null : `${how}they cannot be made here: ${complaint.trim().split("\n")[0]}`;
}
