/** The doors of a running program: who answers there, and on which sockets. */
import type { DoorHandlers } from "../control/door-plan.ts";
import type { DoorSockets } from "../control/doors.ts";
import { type Observable, SceneMaker } from "../control/observed.ts";
import type { NodeControl } from "../control/renewal.ts";
import { healthAnswer, readyAnswer } from "../control/vitals.ts";
import { exposition, formFor, MEDIA_TYPES } from "../observe/metrics/exposition.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Library } from "../../ffi/library.ts";
import { duplicate, openTcpListener } from "../../ffi/tcp-listen.ts";
import { buildInfo } from "./build-info.ts";

/** Who answers. */
export function doorHandlers(
  control: NodeControl & Observable,
  { runtime, library }: { readonly runtime: Runtime; readonly library: Library },
): DoorHandlers {
  const { version, commit } = buildInfo();
  const build = { version, commit, quiche: library.describe().quiche, runtime: `${runtime.name} ${runtime.version}` };
  const maker = new SceneMaker(control, build);
  return {
    metrics: ({ fields }) => {
      const form = formFor(fields.get("accept") ?? null);
      return { status: 200, type: MEDIA_TYPES[form], body: exposition(maker.scene(), form) };
    },
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
