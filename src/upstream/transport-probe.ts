/** A health probe through a transport: what requests can reach is what is healthy. */
import type { BackendSettings } from "../config/snapshot.ts";
import { FieldWriter } from "../core/field-writer.ts";
import { LIMITS } from "../core/limits.ts";
import { ownAuthority } from "../proxy/host.ts";
import type { ResponseSink, Upstream, UpstreamCall } from "../proxy/ports.ts";
import type { UpstreamFailure } from "../proxy/upstream-failure.ts";
import type { Timers } from "../runtime/timers.ts";
import { failedProbe, isHealthyStatus, type Probe, PROBE_USER_AGENT, type ProbeResult } from "./probe.ts";

/** What a probe needs of the transports. */
export interface ProbedTransports {
  of(backend: BackendSettings): Upstream;
  onFailure(backend: BackendSettings, failure: UpstreamFailure): void;
}

/** Probes over whatever transport a backend has. */
export function transportProbe(transports: ProbedTransports, timers: Timers): Probe {
  return (pool, backend, reach = backend) =>
    new Promise((resolve) => {
      const check = backend.healthCheck;
      if (check === null) return resolve({ ok: true, reason: "not checked" });
      const writer = new FieldWriter();
      writer.begin();
      writer.add("user-agent", PROBE_USER_AGENT);
      const listener = new ProbeListener(resolve, (failure) => transports.onFailure(reach, failure));
      const authority = ownAuthority(pool.hostPolicy, reach);
      const request = { pool, backend: reach, method: "GET", path: check.path, authority, fields: writer.toSection() };
      listener.call = transports.of(reach).start({ ...request, body: null, contentLengthBytes: -1 }, listener);
      const timer = timers.after(check.timeoutMs, () => listener.onLate(check.timeoutMs));
      listener.onDecided = () => timer.stop();
    });
}

/** Decides at the head; a short body is read to its end, so that the connection can be used again. */
class ProbeListener implements ResponseSink {
  call: UpstreamCall | null = null;
  onDecided: (() => void) | null = null;
  readonly #resolve: (result: ProbeResult) => void;
  readonly #onFailed: (failure: UpstreamFailure) => void;
  #bodyBytes = 0;

  constructor(resolve: (result: ProbeResult) => void, onFailed: (failure: UpstreamFailure) => void) {
    this.#resolve = resolve;
    this.#onFailed = onFailed;
  }

  onInformational(): void {
    // Not an answer yet.
  }

  onHead(status: number): void {
    this.#decide({ ok: isHealthyStatus(status), reason: `status ${status}` });
  }

  onBody(_: Uint8Array, at: number, end: number): boolean {
    this.#bodyBytes += end - at;
    if (this.#bodyBytes > LIMITS.probeBodyBytesMax) this.call?.cancel();
    return true;
  }

  onTrailers(): void {
    // Of no interest.
  }

  onEnd(): void {
    // Decided at the head.
  }

  onFailure(error: UpstreamFailure): void {
    this.#onFailed(error);
    this.#decide(failedProbe(error));
  }

  onLate(timeoutMs: number): void {
    this.#decide({ ok: false, reason: `no answer within ${timeoutMs} ms` });
    this.call?.cancel();
  }

  #decide(result: ProbeResult): void {
    this.onDecided?.();
    this.#resolve(result);
  }
}
