/** A worker's side of its channel: what the supervisor wants, as promises, and what it is told. */
import type { NodeSecretLists } from "./node-keys.ts";
import type { Channel, Processes } from "../runtime/processes.ts";
import {
  LineCutter,
  type Order,
  type PrepareOrder,
  readOrder,
  type Report,
  type StartOrder,
  writeMessage,
} from "./worker-link.ts";

/** How a worker is told of another configuration. */
export interface ReloadOrders {
  prepare(order: PrepareOrder): void;
  commit(attempt: number): void;
  abandon(attempt: number): void;
}

/** The supervisor, from a worker. */
export class SupervisorLink {
  /** The order to start; null when the end came first. */
  readonly start: Promise<StartOrder | null>;
  /** Resolves when others take the new clients, with the names of listeners that they do not have. */
  readonly retire: Promise<readonly string[]>;
  /** Finish what runs: as ordered, or `gone` since there is no supervisor any more. */
  readonly drain: Promise<"ordered" | "gone">;
  /** Resolves when everything shall end now. */
  readonly end: Promise<void>;
  /** Called whenever log files shall be opened anew. */
  onReopen: (() => void) | null = null;
  /** Called with other secrets; the last that came before it was set are in `secrets`. */
  onSecrets: ((secrets: NodeSecretLists) => void) | null = null;
  secrets: NodeSecretLists | null = null;
  /** Other configurations come by these. */
  reloads: ReloadOrders | null = null;
  readonly #start = Promise.withResolvers<StartOrder | null>();
  readonly #retire = Promise.withResolvers<readonly string[]>();
  readonly #drain = Promise.withResolvers<"ordered" | "gone">();
  readonly #end = Promise.withResolvers<void>();
  readonly #cutter = new LineCutter();
  #channel: Channel | null = null;
  #gone = false;

  /** Over the channel that this process was handed as `fd`. */
  static async open(processes: Processes, fd: number): Promise<SupervisorLink> {
    const link = new SupervisorLink();
    const host = { onText: (text: string) => link.#onText(text), onClosed: () => link.#onGone() };
    link.#channel = await processes.openChannel(fd, host);
    return link;
  }

  private constructor() {
    this.start = this.#start.promise;
    this.retire = this.#retire.promise;
    this.drain = this.#drain.promise;
    this.end = this.#end.promise;
  }

  send(report: Report): void {
    if (!this.#gone) this.#channel?.send(writeMessage(report));
  }

  /** The supervisor's process has ended, whoever may hold its end of the channel. */
  lose(): void {
    this.#onGone();
  }

  /** A stop signal: the supervisor's word counts while there is one, since a terminal sends its signals to all processes. */
  onSignal(): void {
    if (this.#gone) this.#end.resolve();
  }

  #onText(text: string): void {
    const orders = this.#cutter.push(text)?.map(readOrder) ?? [null];
    for (const order of orders) {
      // Whatever speaks so is no supervisor of ours.
      if (order === null) return this.#onGone();
      this.#obey(order);
    }
  }

  #obey(order: Order): void {
    if (order.type === "start") return this.#start.resolve(order);
    if (order.type === "reopen") return this.onReopen?.();
    if (order.type === "secrets") return this.#onSecrets(order.secrets);
    if (order.type === "prepare") return this.reloads?.prepare(order);
    if (order.type === "commit") return this.reloads?.commit(order.attempt);
    if (order.type === "abandon") return this.reloads?.abandon(order.attempt);
    this.#start.resolve(null);
    if (order.type === "retire") return this.#retire.resolve(order.gone);
    this.#drain.resolve("ordered");
    if (order.type === "end") this.#end.resolve();
  }

  #onSecrets(secrets: NodeSecretLists): void {
    this.secrets = secrets;
    this.onSecrets?.(secrets);
  }

  #onGone(): void {
    this.#gone = true;
    this.#start.resolve(null);
    this.#drain.resolve("gone");
  }
}
