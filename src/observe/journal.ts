/** The journal of systemd. It takes all lines of a program for `info` unless they begin with `<N>`, the priority of syslog(3), which it takes off (sd-daemon(3)). */
import { fstatSync } from "node:fs";

/** What lines of each level begin with, in a place. */
export type LineMarks = Readonly<Record<"error" | "warn" | "info" | "debug" | "trace", string>>;

/** Those of any other place. */
export const NO_MARKS: LineMarks = { error: "", warn: "", info: "", debug: "", trace: "" };

/** `info` is what lines without one are. */
const JOURNAL_MARKS: LineMarks = { error: "<3>", warn: "<4>", info: "", debug: "<7>", trace: "<7>" };

/**
 * The marks for a descriptor. `stream` is `JOURNAL_STREAM` of the environment, by which systemd names the device and the inode of the journal's
 * socket (systemd.exec(5)): a program that has sent its output elsewhere since has it still, and must not mark that.
 */
export function lineMarks(fd: number, stream: string | undefined): LineMarks {
  if (stream === undefined || stream === "") return NO_MARKS;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return stream === `${dev}:${ino}` ? JOURNAL_MARKS : NO_MARKS;
  } catch {
    // It is closed: nobody reads there.
    return NO_MARKS;
  }
}

/** Text of one line or several, each of which begins with the mark. */
export function markLines(text: string, mark: string): string {
  return mark === "" ? text : text.replaceAll(/^(?=.)/gm, mark);
}
