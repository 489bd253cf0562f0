/** Random secrets of a node, which change by themselves. */
import { rotateSecrets, rotationMs } from "../control/node-keys.ts";
import { SecretRotation } from "../control/secret-rotation.ts";
import type { Supervisor } from "../control/supervisor.ts";
import { systemTimers } from "../runtime/timers.ts";
import type { NodeGeneration } from "./node-parts.ts";

/** Random secrets of all workers are followed by others, until the supervisor stops. */
export function startRotation(supervisor: Supervisor, generationNow: () => NodeGeneration): void {
  new SecretRotation({
    timers: systemTimers,
    periodMs: () => rotationMs(generationNow().configuration.snapshot.cluster),
    rotate: () => {
      const generation = generationNow();
      const secrets = rotateSecrets(generation.secrets);
      if (!supervisor.tell({ type: "secrets", secrets })) return false;
      generation.secrets = secrets;
      return true;
    },
  });
}
