/**
 * A translator (NAT) in user space with a bad line: clients come in on one address, and each goes on to the server from a port of its own
 * on another. It loses, repeats, reorders and delays by a seed. It stands alone, so that it can run in another network namespace.
 */
import { Random } from "../../src/core/random.ts";

/** How bad. Shares are in percent of the datagrams of each direction. What befalls a flow's n-th datagram depends on the seed alone. */
export interface LineFaults {
  readonly seed: number;
  readonly lossPercent?: number;
  readonly duplicationPercent?: number;
  /** Held back until some others have gone, or for a while if none come. */
  readonly reorderPercent?: number;
  /** One way, milliseconds; in order. */
  readonly delayMs?: number;
  /** Up to so much more, milliseconds, for each datagram anew: they overtake each other. */
  readonly jitterMs?: number;
  /** Larger datagrams are lost without a word, as where a path is narrow and nobody tells. */
  readonly bytesMax?: number;
}

/** Where it stands. */
export interface TranslatorOptions extends LineFaults {
  /** Where clients come in; the kernel chooses the port. */
  readonly nearHost: string;
  readonly server: { readonly host: string; readonly port: number };
  /** Addresses towards the server, taken in turn by `forget`. */
  readonly farHosts: readonly string[];
  /** Forgets by itself, once: after so many datagrams of the server. */
  readonly forgetsAfterAnswers?: number;
}

/** What it did so far, both directions. */
export interface TranslatorCounts {
  passed: number;
  lost: number;
  repeated: number;
  reordered: number;
  /** Lost because they were larger than the path, and bytes of the largest that was not. */
  tooLarge: number;
  largestBytes: number;
  /** Ports that clients were given towards the server. */
  flows: number;
  /** Times that it forgot all its clients. */
  forgotten: number;
}

/** A running translator. */
export interface Translator {
  readonly port: number;
  readonly counts: TranslatorCounts;
  /**
   * Forgets all its clients, as a translator does: they go on from other ports (of the next address, if there are several) as soon as they
   * send something, and what comes to the old ones is lost.
   */
  forget(): void;
  close(): void;
}

/** Others that overtake a datagram that is held back; and how long it waits for them, milliseconds. */
const OVERTAKEN_BY = 3;
const HELD_MS_MAX = 20;
/** Directions, as words of a flow's seed. */
const OUT = 1;
const BACK = 2;

/** Opens it. */
export async function openTranslator(options: TranslatorOptions): Promise<Translator> {
  const { nearHost, server, farHosts } = options;
  const counts = {
    passed: 0,
    lost: 0,
    repeated: 0,
    reordered: 0,
    tooLarge: 0,
    largestBytes: 0,
    flows: 0,
    forgotten: 0,
  };
  const farSockets = new Set<{ close(): void }>();
  const flows = new Map<string, Promise<Way>>();
  let answers = 0;
  const near = await Bun.udpSocket({
    hostname: nearHost,
    port: 0,
    socket: {
      data: (_, bytes, port, host) => {
        const client = `${host} ${port}`;
        let flow = flows.get(client);
        if (flow === undefined) flows.set(client, (flow = open(port, host)));
        const datagram = Uint8Array.from(bytes);
        void flow.then((way) => way(datagram));
      },
      error: () => undefined,
    },
  });

  /** The way of one client to the server; its answers come back by one of their own. */
  async function open(clientPort: number, clientHost: string): Promise<Way> {
    const number = counts.flows++;
    const back = badWay(options, Random.fromEntropy([options.seed, number, BACK]), counts, (datagram) => {
      sendIfHeard(() => near.send(datagram, clientPort, clientHost));
      if (++answers === options.forgetsAfterAnswers) forget();
    });
    const far = await Bun.udpSocket({
      hostname: farHosts[counts.forgotten % farHosts.length] ?? nearHost,
      port: 0,
      connect: { hostname: server.host, port: server.port },
      socket: { data: (_, bytes) => back(Uint8Array.from(bytes)), error: () => undefined },
    });
    farSockets.add(far);
    return badWay(options, Random.fromEntropy([options.seed, number, OUT]), counts, (datagram) => {
      if (farSockets.has(far)) sendIfHeard(() => far.send(datagram));
    });
  }
  const forget = (): void => {
    counts.forgotten += 1;
    flows.clear();
    for (const far of farSockets) far.close();
    farSockets.clear();
  };
  const close = (): void => {
    forget();
    near.close();
  };
  return { port: near.port, counts, forget, close };
}

/** Sends. One who has gone refuses datagrams (ECONNREFUSED), and Bun throws that at the next one; a translator does not mind. */
function sendIfHeard(send: () => unknown): void {
  try {
    send();
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ECONNREFUSED") throw error;
  }
}

type Way = (datagram: Uint8Array) => void;

/** One direction of one flow. */
function badWay(faults: LineFaults, random: Random, counts: TranslatorCounts, arrive: Way): Way {
  const { lossPercent = 0, duplicationPercent = 0, reorderPercent = 0, bytesMax = Infinity } = faults;
  const held: { readonly datagram: Uint8Array; overtaken: number }[] = [];
  const pass = delayed(faults, random, arrive);
  const happens = (percent: number): boolean => random.nextBelow(100) < percent;
  const release = (overtaken: number): void => {
    for (let first = held[0]; first !== undefined && first.overtaken >= overtaken; first = held[0]) {
      held.shift();
      pass(first.datagram);
    }
  };
  return (datagram) => {
    if (datagram.length > bytesMax) {
      counts.tooLarge += 1;
      return;
    }
    counts.largestBytes = Math.max(counts.largestBytes, datagram.length);
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

function delayed({ delayMs = 0, jitterMs = 0 }: LineFaults, random: Random, arrive: Way): Way {
  if (delayMs === 0 && jitterMs === 0) return arrive;
  return (datagram) => {
    const extraMs = jitterMs === 0 ? 0 : random.nextBelow(jitterMs + 1);
    setTimeout(() => arrive(datagram), delayMs + extraMs);
  };
}
