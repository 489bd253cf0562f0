/** One health probe: GET a path, wait for the head, look at the status. */
import type { BackendSettings, PoolSettings } from "../config/snapshot.ts";
import { ProxyError } from "../core/error.ts";
import {
  type FetchLane,
  type FetchWire,
  mayLackHttp2,
  type RuntimeFetch,
  type TrustMaterial,
} from "../runtime/fetch-options.ts";
import { fetchError, fetchErrorCode } from "./fetch-errors.ts";
import { firstWire, mayFallBack, originOf } from "./lane.ts";

/** What a probe found. `reason` is for logs: a status, or why there was none. */
export interface ProbeResult {
  readonly ok: boolean;
  readonly reason: string;
  /** It says nothing of the backend: this program could not ask. */
  readonly isOurs?: boolean;
}

/**
 * Asks one backend. Never rejects. `reach`: what transports know it by (`Pool.reach`), where that is another than the settings that say
 * how it is asked.
 */
export type Probe = (pool: PoolSettings, backend: BackendSettings, reach?: BackendSettings) => Promise<ProbeResult>;

/** What backends see in their logs. */
export const PROBE_USER_AGENT = "spooky-health-check";
/** Answers from 200 to 399 are healthy, as load balancers commonly have it. */
const STATUS_MIN = 200;
const STATUS_END = 400;
const IDLE_MS = 30_000;

/** Probes over the runtime's fetch, with connections of their own, so that a full pool does not look like a sick backend. */
export class FetchProbe {
  readonly #runtime: RuntimeFetch;
  readonly #trustOf: (reach: BackendSettings) => TrustMaterial;
  readonly #lanes = new Map<BackendSettings, FetchLane>();
  readonly #wires = new Map<BackendSettings, FetchWire>();

  constructor(runtime: RuntimeFetch, trustOf: (reach: BackendSettings) => TrustMaterial) {
    this.#runtime = runtime;
    this.#trustOf = trustOf;
  }

  /** See `Probe`. */
  readonly probe: Probe = async (_pool, backend, reach = backend) => {
    const check = backend.healthCheck;
    if (check === null) return { ok: true, reason: "not checked" };
    const signal = AbortSignal.timeout(check.timeoutMs);
    try {
      const status = await this.#ask(reach, check.path, signal);
      return { ok: isHealthyStatus(status), reason: `status ${status}` };
    } catch (thrown) {
      if (signal.aborted) return { ok: false, reason: `no answer within ${check.timeoutMs} ms` };
      return failedProbe(thrown instanceof ProxyError ? thrown : fetchError(thrown, backend.address));
    }
  };

  /** Asks a backend no more. */
  retire(reach: BackendSettings): void {
    this.#lanes.get(reach)?.close();
    this.#lanes.delete(reach);
    this.#wires.delete(reach);
  }

  /** Closes what idles. */
  close(): void {
    for (const lane of this.#lanes.values()) lane.close();
  }

  async #ask(backend: BackendSettings, path: string, signal: AbortSignal): Promise<number> {
    const wire = this.#wires.get(backend) ?? firstWire(backend);
    const lane = this.#laneOf(backend);
    const init = {
      method: "GET",
      headers: [["user-agent", PROBE_USER_AGENT] satisfies [string, string]],
      body: null,
      signal,
      keepsConnection: true,
    };
    try {
      const response = await lane.send(originOf(backend) + path, wire, init);
      // Not awaited: the head is the answer, and a body that hangs must not hold up the verdict.
      response.body?.cancel().catch(() => undefined);
      return response.status;
    } catch (thrown) {
      const falls = wire === "http2" && mayFallBack(backend) && mayLackHttp2(fetchErrorCode(thrown));
      // What was learned is forgotten with a failure: another server may stand there when it comes back.
      if (falls) this.#wires.set(backend, "http1");
      else this.#wires.delete(backend);
      if (!falls) throw thrown;
      return this.#ask(backend, path, signal);
    }
  }

  #laneOf(backend: BackendSettings): FetchLane {
    const known = this.#lanes.get(backend);
    if (known !== undefined) return known;
    const lane = this.#runtime.open({ trust: this.#trustOf(backend), idleConnectionsMax: 1, idleMs: IDLE_MS });
    this.#lanes.set(backend, lane);
    return lane;
  }
}

/** There was no answer. */
export function failedProbe({ code, message }: ProxyError): ProbeResult {
  return { ok: false, reason: message, isOurs: code === "OVERLOADED" };
}

/** Whether a status counts as healthy. */
export function isHealthyStatus(status: number): boolean {
  return status >= STATUS_MIN && status < STATUS_END;
}
