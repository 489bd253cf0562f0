/** Which backend of a pool gets a request, counted over many. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { startBackend } from "../support/backends.ts";
import { startProxy } from "../support/proxy.ts";
import type { ProxyBackend, ProxyPool } from "../support/proxy.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquic, runAioquicOnce } from "../interop/aioquic.ts";
import type { AioquicConnection, AioquicStep } from "../interop/aioquic.ts";

const backends = await Promise.all(["a", "b", "c"].map((id) => startBackend({ protocol: "http1", id })));
const addresses = backends.map(({ address }) => address);
const weighted: readonly ProxyBackend[] = addresses.map((address, i) => ({
  address,
  id: `b${i}`,
  weight: [3, 2, 1][i] ?? 1,
}));
const hashed = (key: string) => ({ load_balancing: { type: "consistent-hash", key } });
const pools: readonly ProxyPool[] = [
  { prefix: "/equal", balancing: "round-robin", backends: addresses },
  { prefix: "/weighted", balancing: "round-robin", backends: weighted },
  { prefix: "/random", balancing: "random", backends: addresses },
  {
    prefix: "/random-weighted",
    balancing: "random",
    backends: addresses.map((address, i) => ({ address, id: `b${i}`, weight: [1000, 1, 1][i] ?? 1 })),
  },
  { prefix: "/by-client", balancing: "consistent-hash", backends: addresses },
  { prefix: "/by-header", backends: addresses, extra: hashed("header:x-user") },
  { prefix: "/by-cookie", backends: addresses, extra: hashed("cookie:sid") },
  { prefix: "/by-query", backends: addresses, extra: hashed("query:user") },
  { prefix: "/by-path", backends: addresses, extra: hashed("path") },
];
const { port } = await startProxy({ pools });

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "balancing", () => {
  test("round-robin gives every backend the same number, exactly", async () => {
    const { bulks } = await runAioquicOnce({ port, steps: [many("/equal", 60)] });
    expect(bulks[0]).toMatchObject({ statuses: { "200": 60 }, backends: { a: 20, b: 20, c: 20 } });
  });

  test("round-robin gives every backend its weight's share, exactly, over several connections too", async () => {
    const runs = await runAioquic({ port, connections: 3, events: false, steps: [many("/weighted", 40, 10)] });
    const sum = (id: string) => runs.reduce((total, { bulks }) => total + (bulks[0]?.backends[id] ?? 0), 0);
    expect([sum("a"), sum("b"), sum("c")]).toEqual([60, 40, 20]);
  });

  test("random reaches all, and follows the weights", async () => {
    const { bulks } = await runAioquicOnce({ port, steps: [many("/random", 100), many("/random-weighted", 100)] });
    // That one of three is missed in 100 draws has a chance of 1 in 10^17.
    expect(Object.keys(bulks[0]?.backends ?? {}).sort()).toEqual(["a", "b", "c"]);
    // That the heavy one of 1000:1:1 gets less than 90 of 100 has a chance of 1 in 10^14.
    expect(bulks[1]?.backends["a"]).toBeGreaterThanOrEqual(90);
  });

  test("consistent-hash keeps a client at one backend, whatever it asks for and from whichever port", async () => {
    const runs = await runAioquic({
      port,
      connections: 4,
      events: false,
      steps: [many("/by-client", 5), many("/by-client/x", 5)],
    });
    const seen = runs.flatMap(({ bulks }) => bulks.flatMap(({ backends: found }) => Object.keys(found)));
    expect(seen).toHaveLength(8);
    expect(new Set(seen).size).toBe(1);
  });

  const keys: readonly (readonly [string, (user: string) => AioquicStep])[] = [
    ["header", (user) => ({ do: "request", id: user, path: "/by-header", headers: [["x-user", user]] })],
    ["cookie", (user) => ({ do: "request", id: user, path: "/by-cookie", headers: [["cookie", `x=1; sid=${user}`]] })],
    ["query", (user) => ({ do: "request", id: user, path: `/by-query?x=1&user=${user}` })],
    ["path", (user) => ({ do: "request", id: user, path: `/by-path/${user}` })],
  ];
  test.each([...keys])(
    "consistent-hash by %s keeps each key at one backend and spreads the keys",
    async (_name, ask) => {
      const users = Array.from({ length: 30 }, (_, i) => `user-${i}`);
      const steps = users.map(ask);
      const [first, second] = await runAioquic({ port, connections: 2, steps });
      expect(backendsOf(must(first, "two connections"))).toEqual(backendsOf(must(second, "two connections")));
      expect(new Set(backendsOf(must(first, "two connections"))).size).toBe(3);
    },
  );
});

function many(path: string, count: number, concurrency = 5): AioquicStep {
  return { do: "request", id: path, path, count, concurrency };
}

/** Who answered, in the order of the requests. */
function backendsOf(connection: AioquicConnection): readonly (string | undefined)[] {
  return connection.exchanges.map(({ headers }) => headers?.find(([name]) => name === "x-backend")?.[1]);
}
