/**
 * A test backend as a process of its own, for Node and Bun: `real-server.child.ts <protocol> <node|serve> <id> [cert file] [key file]`,
 * where `node` is `node:http` or `node:http2` and `serve` is `Bun.serve`. The first line it prints is `{"port":N}`.
 * It takes one command a line (release, goaway, drop, state, seen, holding N), answers each with its counts once it is obeyed, and ends
 * with its input.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { startHttp1 } from "./backend-http1.ts";
import { startHttp2 } from "./backend-http2.ts";
import { startServe, type ServeProtocol } from "./backend-serve.ts";
import { BackendState } from "./backend-state.ts";
import type { BackendListen } from "./backend-tcp.ts";
import type { BackendServer } from "./exchange.ts";

const [protocolText = "", make = "", id = "", certFile = "", keyFile = ""] = process.argv.slice(2);
const protocol = protocolOf(protocolText);
const state = new BackendState(id, protocol);
const tls = certFile === "" ? null : { certPem: readFileSync(certFile, "utf8"), keyPem: readFileSync(keyFile, "utf8") };
const server = await start({
  host: "127.0.0.1",
  port: 0,
  tls,
  onConnection: () => state.counts.connections++,
  onExchange: (exchange) => void state.serve(exchange),
});
say({ port: server.port });
const input = createInterface({ input: process.stdin });
input.on("line", (command) => void obey(command));
input.on("close", () => process.exit());

function start(listen: BackendListen): Promise<BackendServer> {
  if (make === "serve") return startServe(protocol, listen);
  return protocol === "h2" || protocol === "h2c" ? startHttp2(listen) : startHttp1(listen);
}

async function obey(command: string): Promise<void> {
  if (command === "release") state.release();
  else if (command === "goaway") server.goAway();
  else if (command === "drop") server.dropConnections();
  else if (command.startsWith("holding ")) await state.holding(Number(command.slice("holding ".length)));
  const seen = command === "seen" ? { seen: state.seen } : {};
  say({ ...state.counts, faults: state.faults.map(String), ...seen });
}

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function protocolOf(text: string): ServeProtocol {
  const known = (["http1", "https1", "h2c", "h2"] as const).find((one) => one === text);
  if (known === undefined) throw new RangeError(`no such protocol: ${text}`);
  return known;
}
