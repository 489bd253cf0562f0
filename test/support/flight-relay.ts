/**
 * Somebody on the way between clients and a server who holds the server's answers back, remembers what the clients send meanwhile, and can
 * send it again: what a first flight of early data has to bear. It stands alone, so that it can run in another network namespace.
 */

/** On the way. */
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
  close(): void;
}

/** Where one stands: its addresses towards clients and the server, and the server's. */
export interface RelayHosts {
  readonly near: string;
  readonly far: string;
  readonly server: string;
}

const LOOPBACK: RelayHosts = { near: "127.0.0.1", far: "127.0.0.1", server: "127.0.0.1" };

/** Opens one for one client at a time. */
export async function openFlightRelay(toPort: number, hosts: RelayHosts = LOOPBACK): Promise<FlightRelay> {
  let clientHost = hosts.near;
  let clientPort = 0;
  let isHolding = true;
  let flight: Uint8Array[] = [];
  let held: Uint8Array[] = [];
  let kept: Uint8Array[] | null = null;
  let answered = 0;
  let onAnswer = Promise.withResolvers<void>();
  const far = await Bun.udpSocket({
    hostname: hosts.far,
    port: 0,
    connect: { hostname: hosts.server, port: toPort },
    socket: {
      data: (_, bytes) => {
        answered += 1;
        if (isHolding) held.push(Uint8Array.from(bytes));
        else near.send(bytes, clientPort, clientHost);
        onAnswer.resolve();
        onAnswer = Promise.withResolvers();
      },
      error: () => undefined,
    },
  });
  const near = await Bun.udpSocket({
    hostname: hosts.near,
    port: 0,
    socket: {
      data: (_, bytes, port, host) => {
        [clientPort, clientHost] = [port, host];
        if (isHolding) flight.push(Uint8Array.from(bytes));
        if (kept === null) far.send(bytes);
        else kept.push(Uint8Array.from(bytes));
      },
      error: () => undefined,
    },
  });
  return {
    close: () => [near, far].forEach((socket) => socket.close()),
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
      for (const bytes of held.splice(0)) near.send(bytes, clientPort, clientHost);
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
