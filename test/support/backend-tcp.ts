/** What the test backends on TCP share: how they are asked to listen, and waiting for a slow reader. */
import type { Server } from "node:net";
import type { Writable } from "node:stream";
import { must } from "../../src/core/assert.ts";
import { ClientGone } from "./exchange.ts";
import type { BackendExchange } from "./exchange.ts";

/** What every backend server is started with. */
export interface BackendListen {
  readonly host: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  readonly tls: { readonly certPem: string; readonly keyPem: string } | null;
  readonly onConnection: () => void;
  readonly onExchange: (exchange: BackendExchange) => void;
}

/** Listens and returns the port. */
export function listen(server: Server, options: Pick<BackendListen, "host" | "port">): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", reject);
  server.listen(options.port, options.host, () => {
    server.off("error", reject);
    const address = must(server.address(), "a listening server has an address");
    resolve(typeof address === "string" ? 0 : address.port);
  });
  return promise;
}

/** Resolves when `stream` has room again; rejects with `ClientGone` when `gone` comes first. */
export function waitForDrain(stream: Writable, gone: AbortSignal): Promise<void> {
  if (gone.aborted || stream.destroyed) return Promise.reject(new ClientGone());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onDrain = () => {
    gone.removeEventListener("abort", onGone);
    resolve();
  };
  const onGone = () => {
    stream.off("drain", onDrain);
    reject(new ClientGone());
  };
  stream.once("drain", onDrain);
  gone.addEventListener("abort", onGone, { once: true });
  return promise;
}
