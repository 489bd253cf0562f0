/** What the calls of fetch have in common. */
import type { TimeoutSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { RuntimeFetch } from "../runtime/fetch-options.ts";
import type { Timers } from "../runtime/timers.ts";
import type { FetchCall } from "./fetch-call.ts";
import type { Lane } from "./lane.ts";

/** What calls have in common, and where they report. */
export interface CallOwner {
  readonly runtime: RuntimeFetch;
  readonly timers: Timers;
  readonly timeouts: TimeoutSettings;
  readonly counters: Counters;
  /** Scratch for response heads, used within one call. */
  readonly writer: FieldWriter;
  /** The call's receiver takes nothing any more (1), or again (-1). */
  onStall(lane: Lane, by: 1 | -1): void;
  /** The call is over. */
  forget(call: FetchCall): void;
  /** The call has waited for some time and nothing shows that its backend can be reached. */
  dial(lane: Lane): void;
}
