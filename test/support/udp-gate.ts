/** A UDP relay on the loopback address that lets through what a test lets through, and keeps what it is told to keep. */
import { afterAll } from "bun:test";

/** What becomes of a datagram: it goes on, is lost, or waits for `release`. */
export type Fate = "pass" | "lose" | "keep";

/** Decides over datagrams of each direction, numbered from 0. */
export interface GateRules {
  toServer(index: number, datagram: Uint8Array): Fate;
  toClient(index: number, datagram: Uint8Array): Fate;
}

/** A running gate for one client. It stops at the end of the test, group or file that started it. */
export interface UdpGate {
  readonly port: number;
  /** Replaced at will. */
  rules: GateRules;
  /** Datagrams so far, whatever became of them. */
  readonly seen: { toServer: number; toClient: number };
  /** Resolves once so many have come in a direction. */
  until(direction: keyof GateRules, count: number): Promise<void>;
  /** What was kept goes on, in its order. */
  release(): void;
}

export const PASS_ALL: GateRules = { toServer: () => "pass", toClient: () => "pass" };

/** Opens a gate before a port. */
export async function startUdpGate(toPort: number, rules: GateRules): Promise<UdpGate> {
  let clientPort = 0;
  let kept: (() => void)[] = [];
  let waiting: (() => void)[] = [];
  const take = (direction: keyof GateRules, bytes: Uint8Array, send: (datagram: Uint8Array) => void): void => {
    const datagram = Uint8Array.from(bytes);
    const fate = gate.rules[direction](gate.seen[direction]++, datagram);
    if (fate === "pass") send(datagram);
    if (fate === "keep") kept.push(() => send(datagram));
    for (const wake of waiting) wake();
  };
  const far = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    connect: { hostname: "127.0.0.1", port: toPort },
    socket: {
      data: (_, bytes) => take("toClient", bytes, (datagram) => near.send(datagram, clientPort, "127.0.0.1")),
      error: () => undefined,
    },
  });
  const near = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (_, bytes, port) => {
        clientPort = port;
        take("toServer", bytes, (datagram) => far.send(datagram));
      },
      error: () => undefined,
    },
  });
  afterAll(() => {
    near.close();
    far.close();
  });
  const gate: UdpGate = {
    port: near.port,
    rules,
    seen: { toServer: 0, toClient: 0 },
    async until(direction, count) {
      while (gate.seen[direction] < count) await new Promise<void>((resolve) => waiting.push(resolve));
      waiting = [];
    },
    release() {
      for (const send of kept) send();
      kept = [];
    },
  };
  return gate;
}
