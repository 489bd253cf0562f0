/** `spooky healthcheck`: asks a running program whether it lives, or whether it is ready, for containers and scripts. Loads no native library. */
import { connect } from "node:net";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { writeNow } from "../observe/sink.ts";
import type { HealthcheckCommand } from "./args.ts";
import { EXIT } from "./command.ts";
import { readConfiguration } from "./configuration.ts";

/** 0 for an answer of 200, else 1: what Docker takes for unhealthy. */
export async function runHealthcheck(command: HealthcheckCommand): Promise<number> {
  try {
    const url = command.url === null ? configuredUrl(command) : new URL(command.url);
    if (url.protocol !== "http:") throw new ProxyError("CONFIG_INVALID", "--url is asked over http only");
    const answer = await ask(url);
    const [, status = "", body = ""] = /^HTTP\/1\.\d (\d{3})[^]*?\r\n\r\n([^]*)$/.exec(answer) ?? [];
    if (status === "") throw new ProxyError("CONFIG_INVALID", `what answers at ${url.href} does not speak HTTP/1.1`);
    writeNow(status === "200" ? 1 : 2, `${status} ${body.trim()}\n`);
    return status === "200" ? EXIT.ok : EXIT.failure;
  } catch (thrown) {
    writeNow(2, `spooky: ${messageOf(thrown)}\n`);
    return EXIT.failure;
  }
}

/** Where the configuration has the program answer; for a wildcard, this machine itself. */
function configuredUrl({ configPath, ready }: HealthcheckCommand): URL {
  const { health } = readConfiguration(configPath).snapshot.observability;
  if (health === null)
    throw new ProxyError("CONFIG_INVALID", "observability.health.enabled is false in this configuration");
  const { address, port, healthPath, readyPath } = health;
  if (port === 0)
    throw new ProxyError(
      "CONFIG_INVALID",
      "observability.health.port is 0, so the port is only in the log: name it with --url",
    );
  const host = LOOPBACK.get(address) ?? address;
  return new URL(`http://${host.includes(":") ? `[${host}]` : host}:${port}${ready ? readyPath : healthPath}`);
}

const LOOPBACK: ReadonlyMap<string, string> = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
]);

/** By hand: `fetch` would go through a proxy that the environment names. */
function ask(url: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || "80") });
    const late = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer from ${url.host} within ${LIMITS.healthcheckMsMax / 1000} s`));
    }, LIMITS.healthcheckMsMax);
    let heard = "";
    socket.setEncoding("utf8");
    socket.on(
      "connect",
      () =>
        void socket.write(
          `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`,
        ),
    );
    socket.on("data", (text: string | Uint8Array) => {
      heard += String(text);
      if (heard.length > LIMITS.healthcheckCharactersMax) socket.destroy();
    });
    socket.on("error", (error) => reject(new Error(`${url.host} cannot be asked: ${error.message}`)));
    socket.once("close", () => {
      clearTimeout(late);
      resolve(heard);
    });
  });
}
