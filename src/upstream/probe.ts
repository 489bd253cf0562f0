/** One health probe: GET a path, wait for the head, look at the status. */
import type { BackendSettings, PoolSettings, UpstreamTlsSettings } from "../config/snapshot.ts";
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
}

/** Asks one backend. Never rejects. */
export type Probe = (pool: PoolSettings, backend: BackendSettings) => Promise<ProbeResult>;

/** What backends see in their logs. */
export const PROBE_USER_AGENT = "spooky-health-check";
/** Answers from 200 to 399 are healthy, as load balancers commonly have it. */
const STATUS_MIN = 200;
const STATUS_END = 400;
const IDLE_MS = 30_000;

/** Probes over the runtime's fetch, with connections of their own, so that a full pool does not look like a sick backend. */
export class FetchProbe {
  readonly #runtime: RuntimeFetch;
  readonly #readTrust: (tls: UpstreamTlsSettings) => TrustMaterial;
  readonly #lanes = new Map<PoolSettings, FetchLane>();
  readonly #wires = new Map<BackendSettings, FetchWire>();

  constructor(runtime: RuntimeFetch, readTrust: (tls: UpstreamTlsSettings) => TrustMaterial) {
    this.#runtime = runtime;
    this.#readTrust = readTrust;
  }

  /** See `Probe`. */
  readonly probe: Probe = async (pool, backend) => {
    const check = backend.healthCheck;
    if (check === null) return { ok: true, reason: "not checked" };
    const signal = AbortSignal.timeout(check.timeoutMs);
    try {
      const status = await this.#ask(pool, backend, check.path, signal);
      return { ok: isHealthyStatus(status), reason: `status ${status}` };
    } catch (thrown) {
      if (signal.aborted) return { ok: false, reason: `no answer within ${check.timeoutMs} ms` };
      const { message } = thrown instanceof ProxyError ? thrown : fetchError(thrown, backend.address);
      return { ok: false, reason: message };
    }
  };

  /** Closes what idles. */
  close(): void {
    for (const lane of this.#lanes.values()) lane.close();
  }

  async #ask(pool: PoolSettings, backend: BackendSettings, path: string, signal: AbortSignal): Promise<number> {
    const wire = this.#wires.get(backend) ?? firstWire(backend);
    const lane = this.#laneOf(pool);
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
      return this.#ask(pool, backend, path, signal);
    }
  }

  #laneOf(pool: PoolSettings): FetchLane {
    const known = this.#lanes.get(pool);
    if (known !== undefined) return known;
    const trust = this.#readTrust(pool.tls);
    const lane = this.#runtime.open({ trust, idleConnectionsMax: pool.backends.length, idleMs: IDLE_MS });
    this.#lanes.set(pool, lane);
    return lane;
  }
}

/** Whether a status counts as healthy. */
export function isHealthyStatus(status: number): boolean {
  return status >= STATUS_MIN && status < STATUS_END;
}
