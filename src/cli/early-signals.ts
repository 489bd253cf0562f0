/** Signals between the moment in which a program takes another's place and the one in which it can act on them. */
import type { SignalName } from "../../ffi/signal-mask.ts";

/** What the process was sent before there was anybody to act on it. */
export interface EarlySignals {
  /** Whether this program has taken another one's place, which has left it descriptors and a document. */
  readonly inherits: boolean;
  /** Those that a supervisor acts on. While it runs they wait in the kernel until it has time, so that none is lost with a handler. */
  readonly names: readonly SignalName[];
  /** Stops listening and sends again, to this process, what was heard. Whoever acts on signals listens by now. */
  release(): void;
}
