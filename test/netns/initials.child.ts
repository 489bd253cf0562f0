/**
 * First packets of clients that never come: `initials.child.ts HOST PORT COUNT`, 20,000 a second from eight ports, each with an id of its own.
 * Prints `{"retried":true}` when the first Retry has come, and `{"sent":N,"retries":N,"others":N}` at the end.
 */
import { randomBytes } from "node:crypto";
import { sealInitial } from "../support/initial.ts";

const SOCKETS = 8;
/** So many every 10 ms. */
const BURST = 200;
const TYPE_RETRY = 0xf0;
const [host = "", port = 0, count = 0] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const counts = { sent: 0, retries: 0, others: 0 };

const sockets = await Promise.all(
  Array.from({ length: SOCKETS }, () =>
    Bun.udpSocket({
      connect: { hostname: String(host), port },
      socket: { data: (_, bytes) => heard(bytes), error: () => undefined },
    }),
  ),
);
const packets = Array.from({ length: count }, firstPacket);
for (let at = 0; at < packets.length; at += BURST) {
  packets.slice(at, at + BURST).forEach((packet, i) => {
    if (sockets[i % SOCKETS]?.send(packet) === true) counts.sent += 1;
  });
  await Bun.sleep(10);
}
say(counts);
process.exit();

function heard(datagram: Uint8Array): void {
  if (((datagram[0] ?? 0) & 0xf0) !== TYPE_RETRY) counts.others += 1;
  else if (counts.retries++ === 0) say({ retried: true });
}

/** A valid Initial that says nothing but that somebody is there. */
function firstPacket(): Uint8Array {
  const payload = new Uint8Array(1160);
  payload[0] = 0x01;
  return sealInitial({ dcid: randomBytes(8), scid: randomBytes(4), payload });
}

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
