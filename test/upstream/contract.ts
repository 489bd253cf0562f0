/**
 * What every transport does alike, whatever it speaks and to whom: one table of cases, run for each transport, protocol and server
 * whose declared abilities allow it. What they do not allow is skipped under its reason, and counted.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { BackendTransport } from "../../src/config/snapshot.ts";
import type { TransportAbilities } from "../../src/proxy/ports.ts";
import { freePort, waitUntil } from "../support/net.ts";
import type { RealServer, RealServerProtocol, ServerAbilities } from "../support/real-server.ts";
import { REAL_SERVER_KINDS, realServerAbilities, realServerLack, startRealServer } from "../support/real-servers.ts";
import { makeTransport } from "../support/transport-bench.ts";
import { exchange, PushBody, requestTo } from "../support/upstream-calls.ts";
import { ContractBench, type ContractCase, type ContractPlace } from "./contract-bench.ts";
import { ANSWER_CASES } from "./contract-answers.ts";
import { BODY_CASES } from "./contract-bodies.ts";
import { BREAK_CASES } from "./contract-breaks.ts";
import { CONNECTION_CASES } from "./contract-connections.ts";
import { SLOW_CASES } from "./contract-slow.ts";

/** Registers the whole table for one transport. */
export async function holdToContract(
  transport: BackendTransport,
  protocols: readonly RealServerProtocol[],
): Promise<void> {
  for (const protocol of protocols) {
    const { upstream, close } = await makeTransport({ transport, protocol, address: addressOf(protocol, 1) });
    close();
    const version = versionOf(protocol);
    for (const kind of REAL_SERVER_KINDS) registerPair({ transport, version, kind }, protocol, upstream.abilities);
    registerNobody(transport, protocol);
  }
}

const CASES: readonly ContractCase[] = [
  ...ANSWER_CASES,
  ...BODY_CASES,
  ...BREAK_CASES,
  ...SLOW_CASES,
  ...CONNECTION_CASES,
];

function registerPair(place: ContractPlace, protocol: RealServerProtocol, abilities: TransportAbilities): void {
  const { transport, kind, version } = place;
  const lack = realServerLack(kind);
  const told = realServerAbilities(kind, protocol);
  describe(`${transport} over ${protocol} to ${kind}`, () => {
    const cleanings: (() => void | Promise<void>)[] = [];
    let server: RealServer | null = null;
    if (lack === null) {
      beforeAll(async () => {
        server = await startRealServer({ kind, protocol, atEnd: (clean) => cleanings.push(clean) });
      });
      afterAll(async () => {
        for (const clean of cleanings.reverse()) await clean();
      });
    }
    for (const one of CASES) {
      if (one.version !== undefined && one.version !== version) continue;
      const gap = lack ?? gapOf(one, place, abilities, told);
      if (gap !== null) test.skip(`${one.name} [${gap}]`, () => undefined);
      else test(one.name, () => runCase(one, transport, server));
    }
  });
}

/** Nobody listens: the same for all transports, whatever they would have spoken. */
function registerNobody(transport: BackendTransport, protocol: RealServerProtocol): void {
  test(`${transport} over ${protocol} to nobody: a refused connection is a failure of which surely nothing was processed`, async () => {
    const address = addressOf(protocol, await freePort());
    const { upstream, pool, close } = await makeTransport({ transport, protocol, address });
    const body = new PushBody().push("kept").end();
    for (const parts of [{}, { method: "POST", body }]) {
      const { failure, late } = await exchange(upstream, requestTo(pool, parts));
      expect(failure).toMatchObject({
        code: "UPSTREAM_REFUSED",
        requestSent: false,
        responseReceived: false,
        processed: "no",
      });
      expect(late).toBe(0);
    }
    expect(body.pulled).toBe(0);
    close();
  });
}

async function runCase(one: ContractCase, transport: BackendTransport, server: RealServer | null): Promise<void> {
  if (server === null) throw new RangeError("the server has not started");
  const { protocol, address } = server;
  const bench = await makeTransport({ transport, protocol, address, ...(one.timeouts && { timeouts: one.timeouts }) });
  try {
    await one.run(new ContractBench(transport, server, bench, await server.counts()));
  } catch (thrown) {
    console.error(`${server.kind} ${protocol}:\n${server.log()}`);
    throw thrown;
  } finally {
    bench.close();
    await server.release();
  }
  // What a case leaves behind would be taken for the next one's doing.
  await waitUntil(async () => (await server.counts()).active === 0);
}

/** Why a case cannot be run; null when it can. */
function gapOf(
  { transport: wanted, server = [], gap }: ContractCase,
  place: ContractPlace,
  abilities: TransportAbilities,
  told: ServerAbilities,
): string | null {
  if (wanted !== undefined && !abilities[wanted]) return `${place.transport} has no ${wanted}`;
  const missing = server.find((name) => !told[name]);
  return missing === undefined ? (gap?.(place) ?? null) : `${place.kind} has no ${missing}`;
}

function versionOf(protocol: RealServerProtocol): 1 | 2 {
  return protocol === "http1" || protocol === "https1" ? 1 : 2;
}

function addressOf(protocol: RealServerProtocol, port: number): string {
  return `${{ http1: "http", https1: "https", h2c: "h2c", h2: "https" }[protocol]}://127.0.0.1:${port}`;
}
