/** Programs under test as child processes: their lines, their end, and their certain death with the test. */
import { afterAll } from "bun:test";
import { AssertionFault } from "../../src/core/assert.ts";

/** What to run. */
export interface ProcessOptions {
  readonly command: readonly string[];
  /** Added to the test's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The whole environment instead of the test's. */
  readonly bareEnv?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to standard input; the input stays open until `closeInput`. */
  readonly input?: string;
  /** Descriptors of this process that it gets as 3, 4, ... */
  readonly descriptors?: readonly number[];
  /** Lines that are not kept: those of every request, where there are very many. */
  readonly forgets?: (line: string) => boolean;
}

/** How it ended. */
export interface ProcessEnd {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
}

/** Starts a process. It is killed (SIGKILL, by its pid) at the end of the test, group or file that started it, if it still runs. */
export function startProcess(options: ProcessOptions): RunningProcess {
  const child = new RunningProcess(options);
  afterAll(() => child.kill());
  return child;
}

/** Runs a process to its end. */
export async function runProcess(options: ProcessOptions): Promise<ProcessEnd & { stdout: string; stderr: string }> {
  const child = startProcess(options);
  child.closeInput();
  const end = await child.ended;
  return { ...end, stdout: joined(child.stdout), stderr: joined(child.stderr) };
}

/** A child process and what it has said so far. */
export class RunningProcess {
  readonly #child;
  readonly #waiters = new Set<() => void>();
  readonly #forgets: (line: string) => boolean;
  #finished = false;
  /** Lines of standard output and standard error, without line ends, in order of arrival. */
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  /** Resolves when the process has ended and all its output has been read. */
  readonly ended: Promise<ProcessEnd>;

  constructor(options: ProcessOptions) {
    this.#child = Bun.spawn([...options.command], {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: options.bareEnv ?? { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe", ...(options.descriptors ?? [])],
    });
    this.#forgets = options.forgets ?? (() => false);
    if (options.input !== undefined) this.write(options.input);
    this.ended = this.#finish();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /**
   * The first line (old or new, of both outputs) for which `matches` holds. Rejects, with all output in its message, when the
   * process ends without having written one.
   */
  async waitForLine(matches: (line: string) => boolean): Promise<string> {
    for (;;) {
      const line = this.stdout.find(matches) ?? this.stderr.find(matches);
      if (line !== undefined) return line;
      if (this.#finished) throw new AssertionFault(`the process ended before the awaited line:\n${this.output()}`);
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  /** Resolves when more lines have come. Rejects when the process ends. */
  async nextLine(): Promise<void> {
    if (this.#finished) throw new AssertionFault(`the process has ended:\n${this.output()}`);
    await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  /** All output so far, for messages. */
  output(): string {
    return `stdout:\n${joined(this.stdout)}\nstderr:\n${joined(this.stderr)}`;
  }

  write(text: string): void {
    this.#child.stdin.write(text);
    void this.#child.stdin.flush();
  }

  closeInput(): void {
    void this.#child.stdin.end();
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#finished) this.#child.kill(name);
  }

  /** Asks it to stop (SIGTERM) and waits for its end. */
  stop(): Promise<ProcessEnd> {
    this.signal("SIGTERM");
    return this.ended;
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  async #finish(): Promise<ProcessEnd> {
    await Promise.all([this.#collect(this.#child.stdout, this.stdout), this.#collect(this.#child.stderr, this.stderr)]);
    await this.#child.exited;
    this.#finished = true;
    this.#notify();
    const signal = this.#child.signalCode;
    return { code: this.#child.exitCode, signal: signal === null ? null : String(signal) };
  }

  async #collect(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const piece of stream) {
      const parts = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts.filter((line) => !this.#forgets(line)));
      if (parts.length > 0) this.#notify();
    }
    if (rest !== "") lines.push(rest);
  }

  #notify(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

function joined(lines: readonly string[]): string {
  return lines.join("\n");
}
