/** A worker: this program under a supervisor, which hands it a bound socket and a channel. */
import process from "node:process";
import { BeatCounts } from "../control/beat-counts.ts";
import type { Seat } from "../control/listener.ts";
import { makeNodeKeys } from "../control/node-keys.ts";
import type { StartOrder } from "../control/worker-link.ts";
import { SupervisorLink } from "../control/supervisor-link.ts";
import { processGauges } from "../control/worker-gauges.ts";
import { WORKER_FDS, workerName, workerSocketFds } from "../control/worker-process.ts";
import { Counters, countersSeen } from "../core/counters.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { Log } from "../observe/log.ts";
import { systemTimers } from "../runtime/timers.ts";
import { type Library, openLibrary } from "../../ffi/library.ts";
import { pinToCore, setProcessName } from "../../ffi/process.ts";
import { adoptUdpSocket } from "../../ffi/udp-group.ts";
import { type CommandContext, EXIT, explain } from "./command.ts";
import { endOf, flushLog } from "./serve.ts";
import { parseConfiguration } from "./configuration.ts";
import { libraryPlaces } from "./places.ts";
import { Server } from "./server.ts";
import { WorkerReloads } from "./worker-reloads.ts";

/** Serves until the supervisor says otherwise. */
export async function runWorker(context: CommandContext): Promise<number> {
  const supervisor = process.ppid;
  const link = await openLink(context);
  // A service manager that stops the program tells all its processes; the supervisor hears it, too, and decides.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => link.onSignal());
  // What these mean is the supervisor's business alone, and a worker shall not end by them.
  for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => undefined);
  // Its channel ends with a supervisor that is killed, unless another process has got hold of it; the kernel knows in any case.
  systemTimers.every(LIMITS.heartbeatMs, () => {
    if (process.ppid !== supervisor) link.lose();
  });
  const order = await link.start;
  if (order === null) return EXIT.ok;
  try {
    return await serveUnder(link, order, context);
  } catch (thrown) {
    const { text, code } = explain(thrown);
    link.send({ type: "failed", text: text.trim(), isConfig: code === EXIT.usage });
    return code;
  }
}

async function openLink({ runtime }: CommandContext): Promise<SupervisorLink> {
  try {
    if (runtime.processes !== null) return await SupervisorLink.open(runtime.processes, WORKER_FDS.channel);
  } catch (thrown) {
    throw new ProxyError("CONFIG_INVALID", `no supervisor has started this worker: ${messageOf(thrown)}`);
  }
  throw new ProxyError("CONFIG_INVALID", `no workers on ${runtime.name}`);
}

async function serveUnder(link: SupervisorLink, order: StartOrder, context: CommandContext): Promise<number> {
  const { runtime, embedded } = context;
  const library = openLibrary(runtime.foreign, libraryPlaces(embedded, process.env));
  setProcessName(runtime.foreign, library.libc, workerName(order.slot));
  const { snapshot } = parseConfiguration(order.configPath, order.configText);
  const counters = new Counters();
  const terminal = process.stdout.isTTY === true;
  const journal = process.env["JOURNAL_STREAM"];
  const parts = { counters, epochMs: () => Date.now(), terminal, journal, shared: true, worker: order.slot };
  const log = new Log(snapshot.log, parts);
  link.onReopen = () => log.reopen();
  try {
    if (order.core !== null && !pinToCore(runtime.foreign, library.libc, order.core))
      log.warn("the worker could not be kept on its core", { core: order.core });
    const fds = workerSocketFds(snapshot.listeners.length);
    const sockets = snapshot.listeners.map(({ address }, i) => adoptUdpSocket(library, fds[i] ?? -1, address));
    const keys = makeNodeKeys(order.secrets, snapshot.cluster);
    const seat: Seat = { slot: order.slot, keys, sockets, ticketsAreOlder: order.ticketsAreOlder };
    const server = new Server(snapshot, { runtime, library, log, counters, seat, held: order.held });
    await server.start();
    link.onSecrets = (secrets) => server.renewSecrets(secrets);
    if (link.secrets !== null) server.renewSecrets(link.secrets);
    const reloads = new WorkerReloads(link, server, log);
    link.reloads = reloads;
    const said = new BeatCounts();
    const beat = (): void => sendBeat(link, server, library, said);
    const beating = systemTimers.every(LIMITS.heartbeatMs, beat);
    link.send({ type: "ready", pid: process.pid });
    const asked = await Promise.race([leave(link, server, log), link.end.then(() => true)]);
    beating.stop();
    link.reloads = null;
    reloads.close();
    const end = endOf(server.close(), asked === true);
    beat();
    return end;
  } finally {
    await flushLog(log);
  }
}

/** Resolves when the worker has nothing left to do, or its time is over. */
async function leave(link: SupervisorLink, server: Server, log: Log): Promise<void> {
  const gone = await Promise.race([link.retire, link.drain.then(() => null)]);
  const retired = gone !== null ? server.retire(gone) : new Promise<never>(() => undefined);
  const drained = link.drain.then((why) => {
    if (why === "gone") log.warn("the supervisor is gone: no new connections, what runs is finished");
    return server.drain();
  });
  await Promise.race([retired, drained]);
}

function sendBeat(link: SupervisorLink, server: Server, library: Library, said: BeatCounts): void {
  const { counters, connectionCount } = server;
  const counts = said.changed(countsNow(counters, server), new Map([...server.gauges(), ...processGauges()]));
  link.send({ type: "beat", counts, nativeHandles: library.ledger.total, connections: connectionCount });
}

function* countsNow(counters: Counters, server: Server): Iterable<readonly [string, number]> {
  yield* Object.entries(countersSeen(counters));
  yield* server.requestCounts.takeChanged();
}
