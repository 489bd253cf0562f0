/** A translator before a client that sends it over another way when it is told to, and over an earlier one again. */
import { afterAll } from "bun:test";
import { must } from "../../src/core/assert.ts";

/** A running switch for one client. It stops at the end of the test, group or file that started it. */
export interface UdpSwitch {
  readonly port: number;
  /** From now on datagrams go this way. All are still listened to. */
  use(way: number): void;
  /** Datagrams so far by way: from the client, and to it. */
  readonly sent: readonly number[];
  readonly returned: readonly number[];
  /** Resolves when so many have come from the client over a way. */
  hasSent(way: number, count: number): Promise<void>;
}

/** What it does by itself: after the first datagram that comes back over way 0, and before the client hears it, goes on over way 1. */
export interface UdpSwitchOptions {
  readonly moveAtFirstAnswer?: boolean;
}

/** Starts one with a way, from a port of its own, to each of these ports of 127.0.0.1. */
export async function startUdpSwitch(
  toPorts: readonly number[],
  { moveAtFirstAnswer = false }: UdpSwitchOptions = {},
): Promise<UdpSwitch> {
  const counts = { sent: toPorts.map(() => 0), returned: toPorts.map(() => 0) };
  const waiters = new Set<() => void>();
  let clientPort = 0;
  let current = 0;
  const near = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (_, bytes, port) => {
        clientPort = port;
        counts.sent[current] = (counts.sent[current] ?? 0) + 1;
        must(far[current], "the way is there").send(Uint8Array.from(bytes));
        for (const wake of waiters) wake();
      },
      error: () => undefined,
    },
  });
  const openWay = (toPort: number, way: number) =>
    Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      connect: { hostname: "127.0.0.1", port: toPort },
      socket: {
        data: (_, bytes) => {
          counts.returned[way] = (counts.returned[way] ?? 0) + 1;
          if (moveAtFirstAnswer && way === 0) current = 1;
          near.send(Uint8Array.from(bytes), clientPort, "127.0.0.1");
        },
        error: () => undefined,
      },
    });
  const far = await Promise.all(toPorts.map(openWay));
  afterAll(() => [near, ...far].forEach((socket) => socket.close()));
  return {
    port: near.port,
    ...counts,
    use: (way) => void (current = way),
    hasSent: async (way, count) => {
      while ((counts.sent[way] ?? 0) < count)
        await new Promise<void>((resolve) => waiters.add(resolve)).finally(() => waiters.clear());
    },
  };
}
