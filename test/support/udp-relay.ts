/** A UDP relay on the loopback address that loses, repeats and reorders, by a seed: a bad network in user space. */
import { afterAll } from "bun:test";
import { Random } from "../../src/core/random.ts";

/** How bad. Shares are in percent of the datagrams of each direction. */
export interface RelayFaults {
  readonly seed: number;
  readonly lossPercent?: number;
  readonly duplicationPercent?: number;
  /** Held back until some others have gone, or for a while if none come. */
  readonly reorderPercent?: number;
}

/** A running relay. It stops at the end of the test, group or file that started it. */
export interface UdpRelay {
  readonly port: number;
  /** What it did so far, both directions. */
  readonly counts: { passed: number; lost: number; repeated: number; reordered: number };
  /** Forgets all its clients, as a translator does: they go on from other ports, and what comes to the old ones is lost. */
  forget(): void;
}

/** Others that overtake a datagram that is held back; and how long it waits for them, milliseconds. */
const OVERTAKEN_BY = 3;
const HELD_MS_MAX = 20;

/** Relays to a port; each client port gets one of its own towards it, as a translator would give. */
export async function startUdpRelay(toPort: number, faults: RelayFaults): Promise<UdpRelay> {
  const random = Random.fromEntropy([faults.seed]);
  const counts = { passed: 0, lost: 0, repeated: 0, reordered: 0 };
  const sockets = new Set<{ close(): void }>();
  const farSockets = new Set<{ close(): void }>();
  const flows = new Map<number, Promise<Way>>();
  const near = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (_, bytes, clientPort) => {
        let flow = flows.get(clientPort);
        if (flow === undefined) flows.set(clientPort, (flow = open(clientPort)));
        const datagram = Uint8Array.from(bytes);
        void flow.then((way) => way(datagram));
      },
      error: () => undefined,
    },
  });
  sockets.add(near);
  afterAll(() => sockets.forEach((socket) => socket.close()));

  /** The way of one client to the server; its answers come back by one of their own. */
  async function open(clientPort: number): Promise<Way> {
    const back = badWay(faults, random, counts, (datagram) => near.send(datagram, clientPort, "127.0.0.1"));
    const far = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      connect: { hostname: "127.0.0.1", port: toPort },
      socket: { data: (_, bytes) => back(Uint8Array.from(bytes)), error: () => undefined },
    });
    sockets.add(far);
    farSockets.add(far);
    return badWay(faults, random, counts, (datagram) => {
      if (farSockets.has(far)) far.send(datagram);
    });
  }
  const forget = (): void => {
    flows.clear();
    for (const far of farSockets) {
      far.close();
      sockets.delete(far);
    }
    farSockets.clear();
  };
  return { port: near.port, counts, forget };
}

type Way = (datagram: Uint8Array) => void;

/** One direction of one flow. */
function badWay(faults: RelayFaults, random: Random, counts: UdpRelay["counts"], pass: Way): Way {
  const { lossPercent = 0, duplicationPercent = 0, reorderPercent = 0 } = faults;
  const held: { readonly datagram: Uint8Array; overtaken: number }[] = [];
  const happens = (percent: number): boolean => random.nextBelow(100) < percent;
  const release = (overtaken: number): void => {
    for (let first = held[0]; first !== undefined && first.overtaken >= overtaken; first = held[0]) {
      held.shift();
      pass(first.datagram);
    }
  };
  return (datagram) => {
    if (happens(lossPercent)) {
      counts.lost += 1;
      return;
    }
    if (happens(reorderPercent)) {
      counts.reordered += 1;
      held.push({ datagram, overtaken: 0 });
      setTimeout(() => release(0), HELD_MS_MAX);
      return;
    }
    counts.passed += 1;
    pass(datagram);
    if (happens(duplicationPercent)) {
      counts.repeated += 1;
      pass(datagram);
    }
    for (const waiting of held) waiting.overtaken += 1;
    release(OVERTAKEN_BY);
  };
}
