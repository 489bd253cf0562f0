/**
 * Sends numbered datagrams to a port of the loopback address while another process changes how they are steered, BURST at a time
 * for each line that it reads, until all are sent: `steering.sender.ts PORT COUNT BURST CHECK_BYTE`.
 */
import { must } from "../../src/core/assert.ts";
import { Random } from "../../src/core/random.ts";
import { numberedDatagram } from "../support/steering.ts";

const [port = 0, count = 0, burst = 1, checkByte = 0] = process.argv.slice(2).map(Number);
const mark = { idBytes: 18, at: 0, checkByte, veil: null };
const random = Random.fromEntropy([port]);
const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
const lines = console[Symbol.asyncIterator]();
for (let sent = 0; sent < count;) {
  must((await lines.next()).value, "somebody asks for datagrams until all are sent");
  for (const end = Math.min(count, sent + burst); sent < end; sent++) {
    if (!socket.send(numberedDatagram(random, mark, sent), port, "127.0.0.1")) process.exit(1);
  }
}
socket.close();
process.exit(0);
