/** This program as further processes, and the channels to them. */

/** How a process ended: by itself with a code, or by a signal. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process of ours. */
export interface ChildProcess {
  readonly pid: number;
  /** By then all that it has left behind is killed as well. */
  readonly ended: Promise<ProcessEnd>;
  /** SIGKILL, to whatever it has started as well. */
  kill(): void;
}

/** How to start this program, or another build of it, once more. */
export interface ChildOptions {
  /** Path of another build of this program; null for the file that runs, be it replaced on disk by now. */
  readonly program: string | null;
  readonly args: readonly string[];
  /** What `ps` shows in place of the program's path. */
  readonly name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Descriptors of ours that it gets as 3, 4, ... */
  readonly descriptors: readonly number[];
}

/** Whom a channel tells. */
export interface ChannelHost {
  onText(text: string): void;
  /** Nobody holds the other end any more; nothing comes after it. */
  onClosed(): void;
}

/** A stream of text to another process. */
export interface Channel {
  /** False when the other side reads so little that nothing more is kept for it. */
  send(text: string): boolean;
  /** What was sent and is not out yet. */
  readonly unsent: Uint8Array;
  close(): void;
}

/** What a runtime can do with processes. */
export interface Processes {
  /**
   * In a session of its own: what a terminal sends to its processes reaches only us, and whatever the child starts can be ended with it.
   */
  spawn(options: ChildOptions): ChildProcess;
  /** Takes over a connected stream socket. */
  openChannel(fd: number, host: ChannelHost): Promise<Channel>;
}
