/** The doors of a running program: who answers there, and on which sockets. */
import type { DoorHandlers } from "../control/door-plan.ts";
import type { DoorSockets } from "../control/doors.ts";
import type { NodeControl } from "../control/renewal.ts";
import { healthAnswer, readyAnswer } from "../control/vitals.ts";
import type { Library } from "../../ffi/library.ts";
import { duplicate, openTcpListener } from "../../ffi/tcp-listen.ts";

/** Who answers. */
export function doorHandlers(control: NodeControl): DoorHandlers {
  return {
    metrics: null,
    health: () => healthAnswer(control.vitals()),
    ready: () => readyAnswer(control.vitals()),
  };
}

/** Sockets that another program in this process can go on with. */
export function doorSockets(library: Library): DoorSockets {
  return {
    open: (ip, port) => openTcpListener(library, { ip, port }),
    duplicate: (fd) => duplicate(library, fd),
    close: (fd) => void library.libc.close(fd),
  };
}
