/** A headless Chromium, driven over its DevTools protocol: pages, what they evaluate to, and pictures of them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AssertionFault, must } from "../../src/core/assert.ts";
import { RunningProcess } from "./process.ts";
import type { AtEnd } from "./temp.ts";

/** How a page is looked at. */
export interface View {
  /** CSS pixels. */
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
}

/** A tab. */
export interface Tab {
  /** Resolves when the page has loaded and its script has run. */
  open(url: string, view: View): Promise<void>;
  /** The value of an expression; promises are awaited. Throws what it throws. */
  evaluate(expression: string): Promise<unknown>;
  /** PNG of what is seen. */
  picture(): Promise<Uint8Array>;
  /** What the page said of faults: exceptions, and requests that failed. */
  readonly faults: readonly string[];
}

/** Starts the executable with a profile of its own, and opens a tab. All of it ends when `atEnd` says so. */
export async function startBrowser(executable: string, atEnd: AtEnd): Promise<Tab> {
  const profile = mkdtempSync(join(tmpdir(), "spooky-browser-"));
  atEnd(() => rmSync(profile, { recursive: true, force: true }));
  const options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"];
  const command = [executable, ...options, `--user-data-dir=${profile}`, "about:blank"];
  const child = new RunningProcess({ command, env: { HOME: profile } });
  atEnd(() => child.kill());
  const line = await child.waitForLine((said) => said.includes("DevTools listening on"));
  const address = must(/ws:\/\/\S+/.exec(line)?.[0], "Chromium names its address");
  const wire = await Wire.open(address);
  atEnd(() => wire.close());
  const { targetInfos } = await wire.call("Target.getTargets", {});
  const page = must(
    list(targetInfos)
      .map(record)
      .find(({ type }) => type === "page"),
    "there is a first tab",
  );
  const { sessionId } = await wire.call("Target.attachToTarget", { targetId: page["targetId"], flatten: true });
  return makeTab(wire, String(sessionId));
}

async function makeTab(wire: Wire, session: string): Promise<Tab> {
  const faults: string[] = [];
  const call = (method: string, params: Fields = {}): Promise<Fields> => wire.call(method, params, session);
  wire.on("Runtime.exceptionThrown", (event) => faults.push(JSON.stringify(event)));
  wire.on("Network.loadingFailed", (event) => faults.push(JSON.stringify(event)));
  for (const domain of ["Page", "Runtime", "Network"]) await call(`${domain}.enable`);
  return {
    faults,
    async open(url, { width, height, dark = false }) {
      const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
      await call("Emulation.setDeviceMetricsOverride", metrics);
      const scheme = { name: "prefers-color-scheme", value: dark ? "dark" : "light" };
      await call("Emulation.setEmulatedMedia", { features: [scheme] });
      const loaded = wire.next("Page.loadEventFired");
      const { errorText, loaderId } = await call("Page.navigate", { url });
      if (errorText !== undefined) throw new AssertionFault(`${url}: ${String(errorText)}`);
      // Another heading of the same page loads nothing.
      if (loaderId !== undefined) await loaded;
    },
    async evaluate(expression) {
      const options = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await call("Runtime.evaluate", options);
      if (exceptionDetails !== undefined) throw new AssertionFault(JSON.stringify(exceptionDetails));
      return record(result)["value"];
    },
    async picture() {
      const { data } = await call("Page.captureScreenshot", { format: "png" });
      return Buffer.from(String(data), "base64");
    },
  };
}

type Fields = Readonly<Record<string, unknown>>;

/** Calls and events on one socket. */
class Wire {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve: (result: Fields) => void; reject: (fault: Error) => void }>();
  readonly #listeners = new Map<string, ((event: Fields) => void)[]>();
  #calls = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(record(JSON.parse(String(data)))));
    socket.addEventListener("close", () => this.#end());
  }

  static open(address: string): Promise<Wire> {
    const socket = new WebSocket(address);
    return new Promise((resolve, reject) => {
      socket.addEventListener("open", () => resolve(new Wire(socket)));
      socket.addEventListener("error", () => reject(new AssertionFault(`no answer at ${address}`)));
    });
  }

  call(method: string, params: Fields, sessionId?: string): Promise<Fields> {
    const id = ++this.#calls;
    const { promise, resolve, reject } = Promise.withResolvers<Fields>();
    this.#waiting.set(id, { resolve, reject });
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return promise;
  }

  on(method: string, listener: (event: Fields) => void): void {
    this.#listeners.set(method, [...(this.#listeners.get(method) ?? []), listener]);
  }

  next(method: string): Promise<void> {
    return new Promise((resolve) => this.on(method, () => resolve()));
  }

  close(): void {
    this.#socket.close();
  }

  #take({ id, result, error, method, params }: Fields): void {
    if (typeof method === "string") for (const listener of this.#listeners.get(method) ?? []) listener(record(params));
    if (typeof id !== "number") return;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(record(result));
    else waiting?.reject(new AssertionFault(JSON.stringify(error)));
  }

  #end(): void {
    for (const { reject } of this.#waiting.values()) reject(new AssertionFault("the browser has gone"));
    this.#waiting.clear();
  }
}

function record(value: unknown): Fields {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
