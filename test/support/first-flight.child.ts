/**
 * A relay of first flights as a process of its own. The first line of its input is where it stands (`{"port":N,"hosts":{...}}`), the first of
 * its output `{"port":N,"far":"ip:port"}`. Each further line is a command (`replay`, `release`); the answer `{"from":"ip:port"}` says from
 * where a flight was sent again. It ends with its input.
 */
import { createInterface } from "node:readline";
import { type FlightRelay, openFlightRelay, type RelayHosts } from "./flight-relay.ts";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { port, hosts }: { port: number; hosts: RelayHosts } = JSON.parse((await lines.next()).value ?? "");
const relay = await openFlightRelay(port, hosts);
say({ port: relay.port, far: `${hosts.far}:${relay.farPort}` });
for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
  if (line.value === "release") relay.release();
  say({ from: line.value === "replay" ? await replay(relay) : "" });
}
process.exit();

async function replay({ flight }: FlightRelay): Promise<string> {
  const elsewhere = await Bun.udpSocket({
    hostname: hosts.far,
    port: 0,
    connect: { hostname: hosts.server, port },
    socket: { data: () => undefined, error: () => undefined },
  });
  for (const datagram of flight) elsewhere.send(datagram);
  return `${hosts.far}:${elsewhere.port}`;
}

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
