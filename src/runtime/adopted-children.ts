/** Child processes that a program has from the one that ran in its place before: the runtime did not start them and waits for none. */
import type { ChildProcess, ProcessEnd } from "./processes.ts";

/** What the system does with them. */
export interface ChildSystem {
  /** How a child has ended, once; null while it runs. */
  reap(pid: number): ProcessEnd | null;
  /** SIGKILL, to whatever it has started as well. */
  kill(pid: number): void;
  /** SIGKILL to what one has left behind that has ended just now. */
  killLeftBehind(pid: number): void;
}

/** Those that live. */
export class AdoptedChildren {
  readonly #system: ChildSystem;
  readonly #alive = new Map<number, (end: ProcessEnd) => void>();

  constructor(system: ChildSystem) {
    this.#system = system;
  }

  /** One that may have ended by now. */
  adopt(pid: number): ChildProcess {
    const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
    this.#alive.set(pid, resolve);
    this.#lookAt(pid, resolve);
    return {
      pid,
      ended: promise,
      // Its number is its own until its end has been asked for; after that it may be anybody's.
      kill: () => {
        if (this.#alive.has(pid)) this.#system.kill(pid);
      },
    };
  }

  /** Some may have ended: to be called when the system says that a child has (SIGCHLD), which it may say once for several. */
  look(): void {
    for (const [pid, resolve] of this.#alive) this.#lookAt(pid, resolve);
  }

  #lookAt(pid: number, resolve: (end: ProcessEnd) => void): void {
    const end = this.#system.reap(pid);
    if (end === null) return;
    this.#alive.delete(pid);
    this.#system.killLeftBehind(pid);
    resolve(end);
  }
}
