/** Backends that cannot be reached, that vanish, that go away in order, that are slow: rows 91 to 94 and 98. */
import { expect } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { FRAME, H2_CODE } from "../../../src/h2/codes.ts";
import { aioquicPython, AIOQUIC_MISSING, exchangeOf } from "../../interop/aioquic.ts";
import type { AioquicStep } from "../../interop/aioquic.ts";
import { startBackend } from "../../support/backends.ts";
import { startBlackhole } from "../../support/blackhole.ts";
import { testCertificate } from "../../support/certs.ts";
import { dataFrame } from "../../support/h2-peer.ts";
import { startH2RawBackend } from "../../support/h2-raw-backend.ts";
import type { H2RawBackend, H2RawOptions } from "../../support/h2-raw-backend.ts";
import { freePort } from "../../support/net.ts";
import type { ProxyPool } from "../../support/proxy.ts";
import { startRawBackend } from "../../support/raw-backend.ts";
import type { RawStep } from "../../support/raw-backend.ts";
import { startRelay } from "../../support/relay.ts";
import type { Case } from "../case.ts";

const GOOD = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/** Time-outs that no test has to wait long for. */
const SOON = { backend_connect_timeout_ms: 300, backend_timeout_ms: 600, backend_body_idle_timeout_ms: 5000 };
const ONE_CONNECTION = { backend_connection_pool_size: 1 };

/** The four ways to a backend: whose client, and how the address begins. */
const WAYS = [
  { way: "native-h1", transport: "native", scheme: "http" },
  { way: "fetch-h1", transport: "fetch", scheme: "http" },
  { way: "native-h2", transport: "native", scheme: "h2c" },
  { way: "fetch-h2", transport: "fetch", scheme: "https" },
] as const;
type Way = (typeof WAYS)[number];

function poolOf({ way, transport, scheme }: Way, path: string, ports: readonly number[]): ProxyPool {
  const backends = ports.map((port, i) => ({ id: `b${i}`, address: `${scheme}://127.0.0.1:${port}` }));
  return { name: `${way}-${path}`, prefix: `/${way}/${path}`, backends, extra: { transport } };
}

function get(path: string, method: "GET" | "POST" = "GET"): AioquicStep {
  const body = method === "POST" ? { body: { text: "x" } } : {};
  return { do: "request", id: `${method} ${path}`, path, method, ...body };
}

const UNREACHABLE: Case = {
  row: 91,
  name: "a backend that refuses, drops or resets connections costs a GET nothing where there is another, and is 502 or 504 where not",
  needs: ["aioquic"],
  run: async (bed) => {
    const refused = await freePort();
    const dropped = (await startBlackhole(must(aioquicPython, AIOQUIC_MISSING))).port;
    const reset = (await startRawBackend({ script: () => [{ end: "reset" }] })).port;
    const faults = { refused, dropped, reset };
    const pools: ProxyPool[] = [];
    for (const way of WAYS) {
      const protocol = way.scheme === "http" ? "http1" : way.scheme === "h2c" ? "h2c" : "h2";
      const good = await startBackend({ protocol });
      for (const [fault, port] of Object.entries(faults)) {
        pools.push(poolOf(way, fault, [port]), poolOf(way, `${fault}-beside`, [port, good.port]));
      }
    }
    await bed.start({ pools, extra: { performance: SOON } });
    const alone = pools.filter(({ name }) => name?.endsWith("-beside") === false).map(({ prefix }) => prefix);
    const beside = pools.filter(({ name }) => name?.endsWith("-beside")).map(({ prefix }) => prefix);
    const connection = await bed.aioquic({ steps: [...alone, ...beside].map((path) => get(path)) });
    for (const path of alone) {
      const { status } = exchangeOf(connection, `GET ${path}`);
      expect([path, status]).toEqual([path, path.endsWith("dropped") ? 504 : 502]);
    }
    // One that resets has been reached, and may have acted: that is not tried elsewhere.
    const tried = beside.filter((path) => !path.includes("reset"));
    expect(tried.map((path) => [path, exchangeOf(connection, `GET ${path}`).status])).toEqual(
      tried.map((path) => [path, 200]),
    );
  },
};

const STALE: Case = {
  row: 92,
  name: "a kept connection that its backend closes as we write: GET goes once more, POST is 502 and is not sent twice",
  needs: ["aioquic"],
  run: async (bed) => {
    const first: readonly RawStep[] = [{ read: "\r\n\r\n" }, { send: GOOD }, { read: "\r\n\r\n" }, { end: "fin" }];
    const second: readonly RawStep[] = [{ read: "\r\n\r\n" }, { send: GOOD }];
    const ways = WAYS.filter(({ scheme }) => scheme === "http");
    const tries = ways.flatMap((way) => (["GET", "POST"] as const).map((method) => ({ way, method })));
    const backends = await Promise.all(tries.map(() => startRawBackend({ script: (n) => (n === 0 ? first : second) })));
    const pools = tries.map(({ way, method }, i) =>
      poolOf(way, method, [must(backends[i], "each try has a backend").port]),
    );
    await bed.start({ pools, extra: ONE_CONNECTION });
    const steps = tries.flatMap(({ way, method }): AioquicStep[] => [
      { ...get(`/${way.way}/${method}`), id: "warm" } as AioquicStep,
      get(`/${way.way}/${method}`, method),
    ]);
    const connection = await bed.aioquic({ steps });
    for (const [i, { way, method }] of tries.entries()) {
      const name = `${method} /${way.way}/${method}`;
      const wanted = method === "GET" ? 200 : 502;
      const backend = must(backends[i], "each try has a backend");
      expect([name, connection.exchanges[2 * i + 1]?.status]).toEqual([name, wanted]);
      expect([name, backend.connections.length]).toEqual([name, method === "GET" ? 2 : 1]);
    }
  },
};

const HALF_OPEN: Case = {
  row: 93,
  name: "a kept connection whose other end has vanished: 504 in the time for a head, and over HTTP/1.1 the next is served",
  needs: ["aioquic"],
  run: async (bed) => {
    const relays = await Promise.all(
      WAYS.map(async (way) => {
        const protocol = way.scheme === "http" ? "http1" : way.scheme === "h2c" ? "h2c" : "h2";
        return startRelay((await startBackend({ protocol })).port);
      }),
    );
    const pools = WAYS.map((way, i) => poolOf(way, "r", [must(relays[i], "each way has a relay").port]));
    await bed.start({ pools, extra: { ...ONE_CONNECTION, performance: SOON } });
    const requests = (round: string): AioquicStep[] => WAYS.map(({ way }) => get(`/${way}/r/${round}`));
    const warm = await bed.aioquic({ steps: requests("warm") });
    expect(warm.exchanges.map(({ status }) => status)).toEqual(WAYS.map(() => 200));
    for (const relay of relays) relay.goSilent();
    const silent = await bed.aioquic({ steps: requests("silent") });
    expect(silent.exchanges.map(({ status }) => status)).toEqual(WAYS.map(() => 504));
    const steps = WAYS.filter(({ scheme }) => scheme === "http").map(({ way }) => get(`/${way}/r/after`));
    const after = await bed.aioquic({ steps });
    expect(after.exchanges.map(({ status }) => status)).toEqual([200, 200]);
  },
};

async function h2Backend(way: Way, onRequest: H2RawOptions["onRequest"]): Promise<H2RawBackend> {
  const tls = way.scheme === "https" ? { tls: await testCertificate() } : {};
  return startH2RawBackend({ ...tls, onRequest });
}

/** What an HTTP/2 backend does with its first request, what the client gets, and how many requests the backend sees. */
const LEAVINGS: readonly (readonly [string, H2RawOptions["onRequest"], "GET" | "POST", number, number])[] = [
  ["goaway below it", (peer) => (peer.goaway(0), peer.end()), "GET", 200, 2],
  ["refused", (peer, id) => peer.reset(id, H2_CODE.refusedStream), "GET", 200, 2],
  ["cancelled", (peer, id) => peer.reset(id, H2_CODE.cancel), "GET", 502, 1],
  ["failed", (peer, id) => peer.reset(id, H2_CODE.internalError), "POST", 502, 1],
];

const LEAVES: Case = {
  row: 94,
  name: "GOAWAY, REFUSED_STREAM and RST_STREAM: what surely was not processed goes once more, all else is 502 and does not",
  needs: ["aioquic"],
  run: async (bed) => {
    const ways = WAYS.filter(({ scheme }) => scheme !== "http");
    const tries = ways.flatMap((way) => LEAVINGS.map((leaving) => ({ way, leaving })));
    const backends = await Promise.all(
      tries.map(({ way, leaving: [, leave] }) =>
        h2Backend(way, (peer, id, n) => (n === 0 ? leave(peer, id, n) : peer.answer(id))),
      ),
    );
    const pools = tries.map(({ way }, i) => poolOf(way, `${i}`, [must(backends[i], "each try has a backend").port]));
    await bed.start({ pools, extra: { performance: SOON } });
    const paths = tries.map(({ way }, i) => `/${way.way}/${i}`);
    const connection = await bed.aioquic({ steps: tries.map(({ leaving }, i) => get(paths[i] ?? "", leaving[2])) });
    const seen = tries.map(({ way, leaving: [name] }, i) => [
      `${way.way}: ${name}`,
      connection.exchanges[i]?.status,
      backends[i]?.requests,
    ]);
    expect(seen).toEqual(
      tries.map(({ way, leaving: [name, , , status, requests] }) => [`${way.way}: ${name}`, status, requests]),
    );
  },
};

const SLOW: Case = {
  row: 98,
  name: "a client that leaves a slow answer: its backend is told at once, nobody is blamed",
  needs: ["aioquic"],
  run: async (bed) => {
    const head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
    const script: readonly RawStep[] = [{ read: "\r\n\r\n" }, { send: `${head}a` }, { hold: true }];
    const http1 = await Promise.all([
      startRawBackend({ script: () => script }),
      startRawBackend({ script: () => script }),
    ]);
    const drip: H2RawOptions["onRequest"] = (peer, id) =>
      peer.say(peer.headers(id, [[":status", "200"]]), dataFrame(id, "a"));
    const [, , nativeWay, fetchWay] = WAYS;
    const http2 = [await h2Backend(nativeWay, drip), await h2Backend(fetchWay, drip)];
    const ports = [...http1, ...http2].map(({ port }) => port);
    const pools = WAYS.map((way, i) => poolOf(way, "slow", [must(ports[i], "each way has a backend")]));
    await bed.start({ pools });
    const steps = WAYS.map(({ way }): AioquicStep => ({ do: "request", path: `/${way}/slow`, stop_after_bytes: 1 }));
    const connection = await bed.aioquic({ steps });
    expect(connection.exchanges.map(({ status, body_bytes }) => [status, body_bytes])).toEqual(
      WAYS.map(() => [200, 1]),
    );
    for (const { connections } of http1) await must(connections[0], "it was asked").end;
    for (const { peers } of http2) {
      const { payload } = await must(peers[0], "it was asked").frame(FRAME.resetStream);
      expect(payload[3]).toBe(H2_CODE.cancel);
    }
    for (const { way } of WAYS)
      expect(await bed.logLine({ msg: "request", path: `/${way}/slow` })).toMatchObject({
        ...{ level: "info", status: 499, error: "CLIENT_GONE" },
      });
    expect(connection.closed).toBeNull();
  },
};

/** Rows 91 to 94 and 98. */
export const UPSTREAM_FAULT_CASES: readonly Case[] = [UNREACHABLE, STALE, HALF_OPEN, LEAVES, SLOW];
