/** Signals by which a running program is told what to do, beside those that stop it. */
import process from "node:process";
import type { NodeControl, RenewalRequest } from "../control/renewal.ts";
import type { Logger } from "../observe/log.ts";

/** HUP: the configuration anew. USR2: the program as well. USR1: log files anew. What comes of it is in the log. */
export function obeySignals(control: NodeControl, log: Logger): void {
  const renewOn = (signal: NodeJS.Signals, kind: RenewalRequest["kind"]): void =>
    void process.on(signal, () => {
      log.info("asked for by a signal", { signal, what: kind });
      void control.renew({ kind, binary: null });
    });
  renewOn("SIGHUP", "reload");
  renewOn("SIGUSR2", "upgrade");
  process.on("SIGUSR1", () => {
    log.info("asked for by a signal", { signal: "SIGUSR1", what: "reopen" });
    control.reopenLogs();
  });
}
