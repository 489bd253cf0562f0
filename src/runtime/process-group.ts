/** A process that leads a group, and everything that it has started: a script that runs another program and waits for it is two processes. */
import process from "node:process";

/** SIGKILL to a process that has not been waited for, and to its group. One that leads none is killed alone. */
export function killWithGroup(pid: number): void {
  killIfThere(pid);
  killIfThere(-pid);
}

/**
 * SIGKILL to whatever a process has left that led a group and has ended. To be called as soon as its end is known: its number is not given
 * to another process while the group has a member, and soon after that it is not either.
 */
export function killLeftBehind(pid: number): void {
  killIfThere(-pid);
}

function killIfThere(target: number): void {
  try {
    process.kill(target, "SIGKILL");
  } catch {
    // Nobody is there.
  }
}
