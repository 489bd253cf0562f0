/** Clients that move while the proxy serves them: other ports, addresses and ids, at rest and in the middle of bodies. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { patternSha256 } from "../support/pattern.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { startUdpRelay } from "../support/udp-relay.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import type { AioquicStep } from "../interop/aioquic.ts";

const MOVES = 10;
const BODY_BYTES = 6_000_000;
const BODY_SHA256 = patternSha256("m", BODY_BYTES);
const PIECE_BYTES = BODY_BYTES / (MOVES + 2);

async function start(): Promise<RunningProxy> {
  const backend = await startBackend({ protocol: "http1" });
  return startProxy({ pools: [{ prefix: "/", backends: [backend.address] }] });
}

type Move = (i: number) => readonly AioquicStep[];

/** A client that moves says something afterwards: one that only listens is not heard on its new port, whoever serves it. */
const WAYS: Readonly<Record<string, Move>> = {
  "another port": () => [{ do: "rebind" }, { do: "ping" }],
  "another address": (i) => [{ do: "rebind", local_host: `127.0.0.${2 + i}` }, { do: "ping" }],
  "another port, with another id": () => [{ do: "rebind" }, { do: "change_connection_id" }, { do: "ping" }],
};

function tenTimes(steps: (i: number) => readonly AioquicStep[]): AioquicStep[] {
  return Array.from({ length: MOVES }, (_, i) => steps(i)).flat();
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a client that moves", () => {
  for (const [name, move] of Object.entries(WAYS)) {
    test(`to ${name} ten times between requests has each answered`, async () => {
      const proxy = await start();
      const steps = tenTimes((i) => [...move(i), { do: "request", id: `${i}`, path: "/small" }]);
      const { exchanges, local_ports } = await runAioquicOnce({ port: proxy.port, steps });
      expect(exchanges.map(({ status }) => status)).toEqual(new Array<number>(MOVES).fill(200));
      expect(local_ports.length).toBe(MOVES + 1);
    });

    test(`to ${name} ten times in the middle of a response gets all of it`, async () => {
      const proxy = await start();
      const moves = tenTimes((i) => [{ do: "wait_bytes", id: "d", bytes: (i + 1) * PIECE_BYTES }, ...move(i)]);
      const steps: AioquicStep[] = [
        { do: "start", id: "d", path: `/bytes/${BODY_BYTES}?seed=m` },
        ...moves,
        { do: "wait" },
      ];
      // Windows that keep the response from running ahead of the moves.
      const connection = await runAioquicOnce({ port: proxy.port, max_stream_data: 200_000, max_data: 200_000, steps });
      expect(exchangeOf(connection, "d")).toMatchObject({
        status: 200,
        body_bytes: BODY_BYTES,
        sha256: BODY_SHA256,
        ended: true,
      });
      expect(connection.local_ports.length).toBe(MOVES + 1);
    });

    test(`to ${name} ten times in the middle of a request has all of it arrive`, async () => {
      const proxy = await start();
      const moves = tenTimes((i) => [{ do: "wait_sent", id: "u", bytes: (i + 1) * PIECE_BYTES }, ...move(i)]);
      const body = { seed: "m", bytes: BODY_BYTES };
      const steps: AioquicStep[] = [{ do: "start", id: "u", path: "/upload", body }, ...moves, { do: "wait" }];
      const connection = await runAioquicOnce({ port: proxy.port, steps });
      const { status, body: told } = exchangeOf(connection, "u");
      expect(status).toBe(200);
      expect(JSON.parse(told ?? "")).toMatchObject({ sha256: BODY_SHA256 });
      expect(connection.local_ports.length).toBe(MOVES + 1);
    });
  }
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a client that was moved", () => {
  test("is logged and told to backends under the address that it had first", async () => {
    const proxy = await start();
    const steps: AioquicStep[] = [
      { do: "rebind", local_host: "127.0.0.5" },
      { do: "request", id: "r", path: "/headers" },
    ];
    const connection = await runAioquicOnce({ port: proxy.port, steps });
    expect(exchangeOf(connection, "r").body).toContain('"127.0.0.1"');
    expect(exchangeOf(connection, "r").body).not.toContain("127.0.0.5");
  });

  test("behind a translator that forgets it in the middle of a response and of a request loses nothing", async () => {
    const proxy = await start();
    const relay = await startUdpRelay(proxy.port, { seed: 68 });
    const run = startAioquic({
      port: relay.port,
      max_stream_data: 200_000,
      max_data: 200_000,
      steps: [
        { do: "start", id: "d", path: `/bytes/${BODY_BYTES}?seed=m` },
        { do: "wait_bytes", id: "d", bytes: PIECE_BYTES },
        { do: "say", text: "half" },
        { do: "cue" },
        { do: "ping" },
        { do: "wait" },
        { do: "start", id: "u", path: "/upload", body: { seed: "m", bytes: BODY_BYTES } },
        { do: "wait_sent", id: "u", bytes: PIECE_BYTES },
        { do: "say", text: "again" },
        { do: "cue" },
        { do: "wait" },
      ],
    });
    for (const text of ["half", "again"]) {
      await run.event("said", { text });
      relay.forget();
      run.cue();
    }
    const [connection] = await run.connections;
    const told = connection?.exchanges.map(({ id, status, ended }) => [id, status, ended]);
    expect(told).toEqual([
      ["d", 200, true],
      ["u", 200, true],
    ]);
    expect(connection?.exchanges[0]?.sha256).toBe(BODY_SHA256);
    expect(connection?.exchanges[1]?.body).toContain(BODY_SHA256);
  });
});
