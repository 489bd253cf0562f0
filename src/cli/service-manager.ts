/** The service manager that has started this program, if there is one. */
import process from "node:process";
import type { NodeControl } from "../control/renewal.ts";
import { ServiceNotice } from "../control/service-notice.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { systemTimers } from "../runtime/timers.ts";
import { openLibc } from "../../ffi/library.ts";
import { monotonicMicroseconds, NotifySocket } from "../../ffi/notify-socket.ts";

/** Tells the manager whatever it wants to hear; without one, nothing is sent. */
export function serviceNotice({ foreign }: Runtime, control: NodeControl): ServiceNotice {
  const { NOTIFY_SOCKET: path = "", WATCHDOG_USEC: watchdogUs = "", WATCHDOG_PID: watchdogPid } = process.env;
  const libc = openLibc(foreign);
  const socket = NotifySocket.open(foreign, libc, path);
  const isMeant = watchdogPid === undefined || watchdogPid === String(process.pid);
  const isWatched = socket !== null && isMeant && /^[1-9]\d{0,14}$/.test(watchdogUs);
  return new ServiceNotice({
    timers: systemTimers,
    control,
    send: (text) => void socket?.send(text),
    monotonicUs: () => monotonicMicroseconds(foreign, libc),
    watchdogMs: isWatched ? Number(watchdogUs) / 1000 : null,
  });
}
