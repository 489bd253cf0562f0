/** Relays that hold first flights (`flight-relay.ts`) for tests, and flights that are played again from elsewhere. */
import { afterAll } from "bun:test";
import { type FlightRelay, openFlightRelay } from "./flight-relay.ts";

/** Starts one before a port of the loopback address. It stops at the end of the test, group or file that started it. */
export async function startFlightRelay(toPort: number): Promise<FlightRelay> {
  const relay = await openFlightRelay(toPort);
  afterAll(() => relay.close());
  return relay;
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
