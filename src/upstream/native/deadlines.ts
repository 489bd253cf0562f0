/** The deadlines of calls on native connections, alike for both protocols: who is waited for decides which one counts. */
import type { TimeoutSettings } from "../../config/snapshot.ts";
import type { Counters } from "../../core/counters.ts";
import { ProxyError } from "../../core/error.ts";
import type { UpstreamRequest } from "../../proxy/ports.ts";

/** A call as the deadlines see it. */
export interface TimedCall {
  readonly request: UpstreamRequest;
  /** When something last moved. */
  readonly movedMs: number;
  /** The response head has come. */
  readonly answered: boolean;
  /** The receiver has no room: the backend is not the one who is slow, and whoever holds the client's stream knows whether it takes any. */
  readonly waitsForReceiver: boolean;
  /** The connection has room for a body that the client does not send. */
  readonly waitsForClient: boolean;
  expire(error: ProxyError): void;
}

/** Ends every call that has waited too long; `calls` is a `Roster`. */
export function expireLate(
  calls: { readonly size: number; at(place: number): TimedCall | undefined },
  nowMs: number,
  timeouts: TimeoutSettings,
  counters: Counters,
): void {
  // An end may be that of others as well, so that fewer are left than there were.
  for (let place = calls.size - 1; place >= 0; place--) {
    const call = calls.at(place);
    const error = call === undefined ? null : lateness(call, nowMs - call.movedMs, timeouts);
    if (call === undefined || error === null) continue;
    if (error.source === "downstream") counters.clientDeadlines += 1;
    else counters.upstreamDeadlines += 1;
    call.expire(error);
  }
}

function lateness(call: TimedCall, waitedMs: number, timeouts: TimeoutSettings): ProxyError | null {
  const { backendResponseHeadMs, backendBodyIdleMs, clientBodyIdleMs } = timeouts;
  const { address } = call.request.backend;
  // There is room again only when all that waits was taken, which a slow client may take its time for: no time is measured here.
  if (call.waitsForReceiver) return null;
  if (call.answered) {
    if (waitedMs < backendBodyIdleMs) return null;
    return new ProxyError("UPSTREAM_BODY_TIMEOUT", `nothing from ${address} for ${backendBodyIdleMs} ms`);
  }
  if (call.waitsForClient) {
    if (waitedMs < clientBodyIdleMs) return null;
    return new ProxyError("REQUEST_TIMEOUT", "the client's request body stopped coming");
  }
  if (waitedMs < backendResponseHeadMs) return null;
  return new ProxyError("UPSTREAM_HEAD_TIMEOUT", `no answer from ${address} within ${backendResponseHeadMs} ms`);
}
