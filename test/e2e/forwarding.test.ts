/** What backends are told of clients and asked for, by policy: the bytes that arrive at them. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { startProxy, type ProxyPool } from "../support/proxy.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, textOf } from "../interop/aioquic.ts";
import type { AioquicField } from "../interop/aioquic.ts";

const HERE = { trusted_proxies: ["127.0.0.0/8", "::1"] };
const ELSEWHERE = { trusted_proxies: ["10.0.0.0/8"] };

const CLAIMS: readonly AioquicField[] = [
  ["x-forwarded-for", "203.0.113.9"],
  ["x-forwarded-for", "198.51.100.2"],
  ["forwarded", 'for=203.0.113.9, for="[2001:db8::7]:4711"'],
  ["x-forwarded-port", "443"],
  ["x_forwarded_for", "203.0.113.66"],
];

const OURS = [
  "forwarded: for=127.0.0.1;host=shop.test;proto=https",
  "x-forwarded-for: 127.0.0.1",
  "x-forwarded-host: shop.test",
  "x-forwarded-proto: https",
];

/** Policies of a pool, each with what its backend is told. */
const FORWARDING: Readonly<Record<string, readonly [settings: object, lines: readonly string[]]>> = {
  "overwrite from a trusted proxy": [{ mode: "overwrite", ...HERE }, OURS],
  "append from a stranger": [{ mode: "append", ...ELSEWHERE }, OURS],
  "preserve from a stranger": [{ mode: "preserve" }, OURS],
  "without Forwarded": [{ forwarded: false }, OURS.slice(1)],
  "append from a trusted proxy": [
    { mode: "append", ...HERE },
    [
      'forwarded: for=203.0.113.9, for="[2001:db8::7]:4711", for=127.0.0.1;host=shop.test;proto=https',
      "x-forwarded-for: 203.0.113.9, 198.51.100.2, 127.0.0.1",
      "x-forwarded-host: shop.test",
      "x-forwarded-port: 443",
      "x-forwarded-proto: https",
    ],
  ],
  "preserve from a trusted proxy": [
    { mode: "preserve", ...HERE },
    [
      'forwarded: for=203.0.113.9, for="[2001:db8::7]:4711"',
      "x-forwarded-for: 198.51.100.2",
      "x-forwarded-for: 203.0.113.9",
      "x-forwarded-host: shop.test",
      "x-forwarded-port: 443",
      "x-forwarded-proto: https",
    ],
  ],
};

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "forwarding", () => {
  test("an HTTP/1.1 backend is told by the policy of its pool", async () => {
    const names = Object.keys(FORWARDING);
    const backends = await Promise.all(names.map(() => startAnswering()));
    const pools = names.map((name, i): ProxyPool => ({
      prefix: `/${i}`,
      backends: [`http://${backends[i]?.bareAddress}`],
      extra: { transport: "native", forwarded_headers: FORWARDING[name]?.[0] },
    }));
    const proxy = await startProxy({ pools });
    const steps = names.map((_, i) => ({ path: `/${i}`, authority: "shop.test", headers: CLAIMS }));
    const { exchanges } = await runAioquicOnce({
      port: proxy.port,
      steps: steps.map((step) => ({ do: "request", ...step })),
    });
    expect(exchanges.map(({ status }) => status)).toEqual(names.map(() => 200));
    const told = names.map((name, i) => [name, linesOf(backends[i]?.connections[0]?.text ?? "")]);
    expect(told).toEqual(names.map((name) => [name, [...(FORWARDING[name]?.[1] ?? [])]]));
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "host", () => {
  test("an HTTP/1.1 backend gets exactly one Host, by the policy of its pool, and TLS and X-Forwarded-Host stay", async () => {
    const backends = await Promise.all([0, 1, 2].map(() => startAnswering()));
    const policies = [{}, { mode: "rewrite", host: "App.internal:81" }, { mode: "upstream" }];
    const pools = policies.map((host_policy, i): ProxyPool => ({
      prefix: `/${i}`,
      backends: [`http://${backends[i]?.bareAddress}`],
      extra: { transport: "native", host_policy },
    }));
    const proxy = await startProxy({ pools });
    const wanted = ["Shop.test:8443", "app.internal:81", backends[2]?.bareAddress ?? ""];
    const steps = policies.flatMap((_, i) => [
      { do: "request", path: `/${i}`, authority: "Shop.test:8443" } as const,
      // Host beside :authority, and Host alone.
      { do: "request", path: `/${i}`, authority: "Shop.test:8443", headers: [["host", "shop.TEST:8443"]] } as const,
      { do: "request", raw_headers: [...HEAD, [":path", `/${i}`], ["host", "Shop.test:8443"]] } as const,
    ]);
    const { exchanges } = await runAioquicOnce({ port: proxy.port, steps });
    expect(exchanges.map(({ status }) => status)).toEqual(steps.map(() => 200));
    for (const [i, host] of wanted.entries()) {
      const heads = backends[i]?.connections.map(({ text }) => text).join("") ?? "";
      const lines = heads.split("\r\n");
      expect(lines.filter((line) => /^host:/i.test(line))).toEqual([0, 1, 2].map(() => `host: ${host}`));
      expect(lines.filter((line) => line.startsWith("x-forwarded-host"))).toEqual(
        [0, 1, 2].map(() => "x-forwarded-host: Shop.test:8443"),
      );
    }
  });

  for (const transport of ["native", "fetch"] as const) {
    test(`an HTTP/2 backend gets it as its one authority over ${transport}`, async () => {
      const backend = await startBackend({ protocol: "h2" });
      const policies = [{}, { mode: "rewrite", host: "app.internal" }, { mode: "upstream" }];
      const pools = policies.map((host_policy, i): ProxyPool => ({
        prefix: `/headers/${i}`,
        backends: [backend.address],
        extra: { transport, host_policy },
      }));
      const proxy = await startProxy({ pools });
      const steps = policies.map(
        (_, i) => ({ do: "request", id: `${i}`, path: `/headers/${i}`, authority: "shop.test" }) as const,
      );
      const connection = await runAioquicOnce({ port: proxy.port, steps });
      const seen = policies.map((_, i) => {
        const { fields } = JSON.parse(textOf(exchangeOf(connection, `${i}`))) as { fields: AioquicField[] };
        return fields.filter(([name]) => [":authority", "host"].includes(name.toLowerCase())).map(([, value]) => value);
      });
      const own = backend.address.replace("https://", "");
      expect(seen).toEqual([["shop.test"], ["app.internal"], [own]]);
    });
  }
});

const HEAD: readonly AioquicField[] = [
  [":method", "GET"],
  [":scheme", "https"],
];

/** Answers every request on a connection. */
function startAnswering(): ReturnType<typeof startRawBackend> {
  const step = [{ read: "\r\n\r\n" }, { send: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" }] as const;
  return startRawBackend({ script: () => [...step, ...step, ...step, ...step] });
}

/** What a head says of where its request came from, sorted. */
function linesOf(head: string): string[] {
  return head
    .split("\r\n")
    .filter((line) => /^(x[-_]forwarded|forwarded)/.test(line))
    .sort();
}
