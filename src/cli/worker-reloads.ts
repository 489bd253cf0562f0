/** Other configurations as they come to a worker: made ready when the supervisor says so, put to work when all workers have them ready. */
import type { ReloadOrders, SupervisorLink } from "../control/supervisor-link.ts";
import type { PrepareOrder } from "../control/worker-link.ts";
import type { Logger } from "../observe/log.ts";
import { explain } from "./command.ts";
import { parseConfiguration } from "./configuration.ts";
import type { Prepared, Server } from "./server.ts";

interface Attempt {
  readonly order: PrepareOrder;
  readonly prepared: Prepared;
}

/** Of one worker. */
export class WorkerReloads implements ReloadOrders {
  readonly #link: Pick<SupervisorLink, "send">;
  readonly #server: Pick<Server, "prepare">;
  readonly #log: Logger;
  /** At most one. */
  #attempt: Attempt | null = null;

  constructor(link: Pick<SupervisorLink, "send">, server: Pick<Server, "prepare">, log: Logger) {
    this.#link = link;
    this.#server = server;
    this.#log = log;
  }

  prepare(order: PrepareOrder): void {
    this.#drop();
    const { attempt, configPath, configText } = order;
    try {
      const { snapshot } = parseConfiguration(configPath, configText);
      this.#attempt = { order, prepared: this.#server.prepare(snapshot) };
    } catch (thrown) {
      return this.#link.send({ type: "unprepared", attempt, text: explain(thrown).text.trim() });
    }
    this.#link.send({ type: "prepared", attempt });
  }

  commit(attempt: number): void {
    const ready = this.#attempt;
    if (ready?.order.attempt !== attempt) return;
    this.#attempt = null;
    ready.prepared.commit();
    this.#log.info("configuration at work", { generation: ready.order.generation });
    this.#link.send({ type: "committed", attempt });
  }

  abandon(attempt: number): void {
    if (this.#attempt?.order.attempt === attempt) this.#drop();
  }

  /** The worker ends. Idempotent. */
  close(): void {
    this.#drop();
  }

  #drop(): void {
    this.#attempt?.prepared.abandon();
    this.#attempt = null;
  }
}
