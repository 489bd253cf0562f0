/** A log that keeps its lines for the test to look at. */
import type { LogFields } from "../../src/observe/line.ts";
import type { Logger } from "../../src/observe/log.ts";

/** One line. */
export interface RememberedLine {
  readonly level: string;
  readonly msg: string;
  readonly fields: LogFields;
}

/** Writes nowhere. */
export class RememberingLog implements Logger {
  readonly lines: RememberedLine[] = [];

  error(msg: string, fields: LogFields = {}): void {
    this.lines.push({ level: "error", msg, fields });
  }
  warn(msg: string, fields: LogFields = {}): void {
    this.lines.push({ level: "warn", msg, fields });
  }
  info(msg: string, fields: LogFields = {}): void {
    this.lines.push({ level: "info", msg, fields });
  }
  debug(): void {}
  trace(): void {}
  enabled(): boolean {
    return true;
  }

  /** The fields of the first line with these words. */
  find(msg: string): LogFields | null {
    return this.lines.find((line) => line.msg === msg)?.fields ?? null;
  }
}
