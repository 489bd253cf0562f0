/** The native transports for tests: over a network that the test plays, or over real sockets, with a clock that the test moves. */
import type { PoolSettings, TimeoutSettings } from "../../src/config/snapshot.ts";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { Random } from "../../src/core/random.ts";
import type { UpstreamRequest } from "../../src/proxy/ports.ts";
import { PLAIN_TRUST } from "../../src/runtime/fetch-options.ts";
import type { ConnectStream } from "../../src/runtime/streams.ts";
import type { Timers } from "../../src/runtime/timers.ts";
import { H1Upstream } from "../../src/upstream/native/h1-upstream.ts";
import { H2Upstream } from "../../src/upstream/native/h2-upstream.ts";
import { ManualTimers } from "./manual-timers.ts";
import { backendOf, PATIENT, poolOf, requestTo, type RequestParts } from "./upstream-calls.ts";

/** What a test wants otherwise. */
export interface NativeChoices {
  readonly address?: string;
  readonly linksMax?: number;
  readonly timers?: Timers;
  readonly seed?: number;
  readonly alpn?: readonly string[];
  readonly timeouts?: Partial<TimeoutSettings>;
}

/** Both transports, of which the HTTP/2 one falls back to the other, and one pool with one backend. */
export class NativeBench {
  readonly counters = new Counters();
  readonly timers: ManualTimers;
  readonly pool: PoolSettings;
  readonly h1: H1Upstream;
  readonly h2: H2Upstream;

  constructor(connect: ConnectStream, choices: NativeChoices = {}) {
    const backend = backendOf(choices.address ?? "https://127.0.0.1:8443");
    this.pool = { ...poolOf([backend]), backendConnectionsMax: choices.linksMax ?? 4 };
    this.timers = new ManualTimers();
    const tls = { trust: PLAIN_TRUST, serverName: null, alpn: choices.alpn ?? ["h2", "http/1.1"] };
    const target = { host: backend.host, port: backend.port, connectTimeoutMs: 5000 };
    const parts = {
      connect,
      timers: choices.timers ?? this.timers,
      timeouts: { ...PATIENT, ...choices.timeouts },
      counters: this.counters,
      targetOf: () => ({ ...target, tls: backend.scheme === "https" ? tls : null }),
    };
    this.h1 = new H1Upstream(parts);
    this.h2 = new H2Upstream({ ...parts, random: Random.fromEntropy([choices.seed ?? 1]), fallback: this.h1 });
  }

  request(parts: RequestParts = {}): UpstreamRequest {
    return requestTo(this.pool, parts);
  }

  relearn(): void {
    this.h2.relearn(must(this.pool.backends[0], "the pool has a backend"));
  }
}
