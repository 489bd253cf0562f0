/** `spooky demo`: certificate, backends and proxy in one process, one request to itself, and what to type next. */
import process from "node:process";
import { makeDevCertificate } from "../control/dev-cert.ts";
import { messageOf } from "../core/error.ts";
import { writeNow } from "../observe/sink.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type CommandContext } from "./command.ts";
import { serve } from "./serve.ts";
import { startDemoBackends } from "./demo-backends.ts";
import { demoSnapshot, writeDemoCertificate } from "./demo-config.ts";
import { prepareProcess } from "./self.ts";
import type { Server } from "./server.ts";

const ADDRESS = "127.0.0.1";

/** Runs the demonstration until a signal. `port` 0 lets the kernel choose. */
export async function runDemo(port: number, context: CommandContext): Promise<number> {
  // Before anything is started: this may begin the process anew.
  prepareProcess(context.runtime, process.env);
  const certificate = await makeDevCertificate();
  const files = writeDemoCertificate(certificate);
  const backends = await startDemoBackends(certificate);
  try {
    const snapshot = demoSnapshot({ address: ADDRESS, port, files, backends });
    return await serve(snapshot, null, context, (server) => introduce(server, context.runtime, files.caFile));
  } finally {
    await backends.stop();
    files.remove();
  }
}

async function introduce(server: Server, runtime: Runtime, caFile: string): Promise<void> {
  const url = `https://${ADDRESS}:${server.port}`;
  const lines = [
    "",
    `spooky demo: listening on ${server.addresses.join(", ")} (UDP, HTTP/3)`,
    "  /api     consistent-hash, /static  round-robin, /  random; three backends in this process",
    "",
    await askSelf(runtime, `${url}/api/hello`),
    "",
    "Try it:",
    `  curl --http3-only --cacert ${caFile} ${url}/api/hello`,
    "",
  ];
  writeNow(1, `${lines.join("\n")}\n`);
}

/** One request over HTTP/3 with its answer, as text. Deno has no HTTP/3 client. */
async function askSelf(runtime: Runtime, url: string): Promise<string> {
  if (runtime.name !== "bun") return `(${runtime.name} has no HTTP/3 client to ask itself with; use the line below)`;
  try {
    // Bun 1.4.5 takes no certificate authority of ours for HTTP/3. It is this process that is asked, over loopback.
    const init: BunFetchRequestInit = { protocol: "http3", tls: { rejectUnauthorized: false } };
    const response = await fetch(url, init);
    const body = (await response.text()).trimEnd();
    return `> GET ${url} HTTP/3\n< ${response.status}\n${body.replace(/^/gm, "  ")}`;
  } catch (thrown) {
    return `> GET ${url} HTTP/3\n! ${messageOf(thrown)}`;
  }
}
