/**
 * Sends garbage to a UDP port of loopback for some seconds, then says how much it was: `flood.child.ts PORT SECONDS`. A third is
 * random bytes, a third looks like the first packet of a QUIC connection and is random behind its header, and a third is a short
 * header with an id that nobody has. Bounded: a burst every millisecond at most.
 */
import { randomBytes, randomFillSync } from "node:crypto";

const BURST = 30;
const INITIAL_BYTES = 1200;
const port = Number(process.argv[2]);
const untilMs = performance.now() + Number(process.argv[3]) * 1000;

const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
console.log("flooding");
let sent = 0;
while (performance.now() < untilMs) {
  const burst = Array.from({ length: BURST }, (_, i) => [garbage(i), port, "127.0.0.1"]).flat();
  sent += socket.sendMany(burst as Parameters<typeof socket.sendMany>[0]);
  await Bun.sleep(1);
}
console.log(JSON.stringify({ sent }));
socket.close();

function garbage(kind: number): Uint8Array {
  if (kind % 3 === 0) return randomBytes(1 + Math.floor(Math.random() * INITIAL_BYTES));
  const packet = new Uint8Array(INITIAL_BYTES);
  randomFillSync(packet);
  if (kind % 3 === 1) packet[0] = 0x40 | ((packet[0] ?? 0) & 0x3f);
  // Long header, Initial, version 1, two ids of 8 bytes, no token, a length of two bytes that fills the datagram.
  else packet.set([0xc3, 0, 0, 0, 1, 8, ...packet.subarray(6, 14), 8, ...packet.subarray(15, 23), 0, 0x44, 0x96]);
  return packet;
}
