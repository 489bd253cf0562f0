/**
 * Somebody on the way between clients and a server who holds the server's answers back, remembers what the clients send meanwhile, and can
 * send it again: what a first flight of early data has to bear.
 */
import { afterAll } from "bun:test";

/** On the way. It stops at the end of the test, group or file that started it. */
export interface FlightRelay {
  readonly port: number;
  /** The server's side of it. */
  readonly farPort: number;
  /** What clients have sent while answers were held, in order. */
  readonly flight: readonly Uint8Array[];
  /** Answers that are held. */
  readonly held: number;
  /** Resolves when the server has answered so often, or has already. */
  answers(count: number): Promise<void>;
  /** Lets everything pass from now on, what is held too. */
  release(): void;
  /** Keeps what clients send from now on, until it is called again. */
  keep(): void;
  /** Holds answers again, and forgets the flight. */
  hold(): void;
  /** Sends the flight, or another, to the server again, from the address that it came from. */
  replay(flight?: readonly Uint8Array[]): void;
}

/** For one client at a time. */
export async function startFlightRelay(toPort: number): Promise<FlightRelay> {
  let clientPort = 0;
  let isHolding = true;
  let flight: Uint8Array[] = [];
  let held: Uint8Array[] = [];
  let kept: Uint8Array[] | null = null;
  let answered = 0;
  let onAnswer = Promise.withResolvers<void>();
  const far = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    connect: { hostname: "127.0.0.1", port: toPort },
    socket: {
      data: (_, bytes) => {
        answered += 1;
        if (isHolding) held.push(Uint8Array.from(bytes));
        else near.send(bytes, clientPort, "127.0.0.1");
        onAnswer.resolve();
        onAnswer = Promise.withResolvers();
      },
      error: () => undefined,
    },
  });
  const near = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (_, bytes, port) => {
        clientPort = port;
        if (isHolding) flight.push(Uint8Array.from(bytes));
        if (kept === null) far.send(bytes);
        else kept.push(Uint8Array.from(bytes));
      },
      error: () => undefined,
    },
  });
  afterAll(() => [near, far].forEach((socket) => socket.close()));
  return {
    port: near.port,
    farPort: far.port,
    get flight() {
      return flight;
    },
    get held() {
      return held.length;
    },
    answers: async (count) => {
      while (answered < count) await onAnswer.promise;
    },
    release: () => {
      isHolding = false;
      for (const bytes of held.splice(0)) near.send(bytes, clientPort, "127.0.0.1");
    },
    keep: () => {
      for (const bytes of kept ?? []) far.send(bytes);
      kept = kept === null ? [] : null;
    },
    hold: () => {
      isHolding = true;
      answered = 0;
      [flight, held] = [[], []];
    },
    replay: (other = flight) => other.forEach((bytes) => far.send(bytes)),
  };
}

/** Sends a flight to a port of this machine from an address of its own. Resolves with its port when so many answers have come. */
export async function replayFromElsewhere(
  flight: readonly Uint8Array[],
  toPort: number,
  answers: number = 0,
): Promise<number> {
  let left = answers;
  const heard = Promise.withResolvers<void>();
  if (left === 0) heard.resolve();
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: () => (--left === 0 ? heard.resolve() : undefined), error: () => undefined },
  });
  afterAll(() => socket.close());
  for (const bytes of flight) socket.send(bytes, toPort, "127.0.0.1");
  await heard.promise;
  return socket.port;
}
