/** A UDP socket that speaks nothing: datagrams go to the proxy as they are, and what comes back is kept. */
import { afterAll } from "bun:test";

/** One socket. It is closed at the end of the test that opened it. */
export interface UdpClient {
  readonly port: number;
  /** Datagrams received so far. */
  readonly received: readonly Uint8Array[];
  /** Sends datagrams in order. Those that the kernel refuses are lost, as on any way. */
  send(...datagrams: readonly Uint8Array[]): void;
  /** Resolves when that many have come. */
  datagrams(count: number): Promise<void>;
  close(): void;
}

/** Opens one towards a port of 127.0.0.1. */
export async function openUdp(serverPort: number): Promise<UdpClient> {
  const received: Uint8Array[] = [];
  const waiters = new Set<() => void>();
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    connect: { hostname: "127.0.0.1", port: serverPort },
    socket: {
      data: (_, bytes) => {
        received.push(Uint8Array.from(bytes));
        for (const wake of waiters) wake();
        waiters.clear();
      },
      // A refused datagram (nobody listens any more) is told by the next call; cases look at the proxy itself for that.
      error: () => undefined,
    },
  });
  let open = true;
  const close = () => {
    if (open) socket.close();
    open = false;
  };
  afterAll(close);
  return {
    port: socket.port,
    received,
    send: (...datagrams) => datagrams.forEach((datagram) => socket.send(datagram)),
    datagrams: async (count) => {
      while (received.length < count) await new Promise<void>((resolve) => waiters.add(resolve));
    },
    close,
  };
}
