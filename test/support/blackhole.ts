/** A port that answers no connection attempt, not even by refusing it: as a host that is gone, or a firewall that drops. */
import { must } from "../../src/core/assert.ts";
import { startProcess } from "./process.ts";

/** A running one. It ends with the test that started it. */
export interface Blackhole {
  readonly port: number;
}

/** Starts it. `python` is any Python 3: runtimes that accept by themselves cannot let a queue of connections stand full. */
export async function startBlackhole(python: string): Promise<Blackhole> {
  const child = startProcess({ command: [python, "-c", FULL_QUEUE], input: "" });
  const line = await child.waitForLine((text) => text.startsWith("full "));
  return { port: Number(must(line.split(" ")[1], "the port follows")) };
}

/** Listens, accepts nobody and fills its queue; further SYNs are dropped by the kernel. */
const FULL_QUEUE = `
import socket, time
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(0)
waiting = []
for _ in range(4):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    waiting.append(client)
print("full", server.getsockname()[1], flush=True)
time.sleep(600)
`;
