/** One exchange between a scripted client stream and scripted backends: everything but the exchange itself is a fake. */
import { STANDARD_BACKEND, STANDARD_POOL } from "./settings.ts";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { InFlight } from "../../src/core/in-flight.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { Random } from "../../src/core/random.ts";
import { RequestIds } from "../../src/core/request-id.ts";
import { Availability } from "../../src/balance/availability.ts";
import { createBalancer } from "../../src/balance/create.ts";
import type { BackendSettings, PoolSettings } from "../../src/config/snapshot.ts";
import { Malformed, readRequestHead, type RequestHead } from "../../src/h3/head.ts";
import { RequestStream } from "../../src/h3/stream.ts";
import type { StreamHost } from "../../src/h3/stream-host.ts";
import type { Client, Generation, Services } from "../../src/proxy/context.ts";
import { RequestDeadlines } from "../../src/proxy/deadlines.ts";
import { EarlyRequests, type EarlySource } from "../../src/proxy/early-requests.ts";
import { ConnectionHandler } from "../../src/proxy/handler.ts";
import { Pool } from "../../src/proxy/pool.ts";
import { Provenance } from "../../src/proxy/provenance.ts";
import type { ExchangeOutcome } from "../../src/proxy/ports.ts";
import { showsUnreachable } from "../../src/proxy/retry.ts";
import type { UpstreamFailure } from "../../src/proxy/upstream-failure.ts";
import { compileRoutes } from "../../src/route/table.ts";
import { BufferAccount } from "../../src/guard/buffer-account.ts";
import { FakeSession, type FakeStream } from "./fake-engine.ts";
import { type FakeCall, FakeUpstream } from "./fake-upstream.ts";
import { ManualTimers } from "./manual-timers.ts";
import { type Field, sectionOf } from "./sections.ts";

/** What may differ. */
export interface FakeExchangeOptions {
  readonly method?: string;
  readonly path?: string;
  /** After the pseudo-fields. */
  readonly fields?: readonly Field[];
  /** More follows the head. */
  readonly hasBody?: boolean;
  readonly backends?: number;
  readonly balancing?: PoolSettings["balancing"];
  readonly hashKey?: PoolSettings["hashKey"];
  /** Backends that may not be used, by index. */
  readonly down?: readonly number[];
  /** Largest request body. */
  readonly bodyBytesMax?: number;
  readonly requestTotalMs?: number;
  /** Requests under way elsewhere in the process, at the backends and in the pool. */
  readonly inFlight?: InFlight;
  readonly availability?: Availability;
  readonly poolInFlight?: { readonly taken: number; readonly max: number };
  /** The client's connection, if it sends early data. */
  readonly early?: EarlySource;
  /** Called before the request is handed over. */
  readonly setUp?: (world: FakeExchange) => void;
  /** Called with each attempt before it has begun. */
  readonly onStart?: (call: FakeCall, world: FakeExchange) => void;
}

const STREAM_ID = 0;
/** Scratch of nearly a megabyte, used within one call: one serves all. */
const WRITER = new FieldWriter();
const CLIENT: Omit<Client, "buffers" | "early"> = {
  ip: "192.0.2.7",
  port: 40_001,
  asked: null,
  provenance: new Provenance("192.0.2.7"),
  connectionIdHex: "0badc0de",
};

/** An exchange from its request on. */
export class FakeExchange implements StreamHost {
  readonly engine = new FakeSession();
  readonly counters = new Counters();
  /** What waits for the client; a test fills it to be refused. */
  readonly buffers = new BufferAccount(1_000_000, new BufferAccount(2_000_000));
  readonly timers = new ManualTimers();
  readonly upstream = new FakeUpstream();
  readonly outcomes: ExchangeOutcome[] = [];
  /** Evidence for health checks: indexes of backends that could not be reached. */
  readonly unreachable: number[] = [];
  /** Exchanges of its generation. */
  running = 0;
  /** Attempts that failed. */
  failures = 0;
  readonly stream: RequestStream;
  readonly availability: Availability;
  readonly inFlight: InFlight;
  readonly deadlines: RequestDeadlines | null;
  wakes = 0;
  /** The requests in early data; null without any. */
  readonly early: EarlyRequests | null;
  #pool: Pool | null = null;
  readonly #options: FakeExchangeOptions;

  constructor(options: FakeExchangeOptions = {}) {
    this.#options = options;
    const backends = options.backends ?? 2;
    this.availability = options.availability ?? new Availability(backends);
    for (const index of options.down ?? []) this.availability.setHealthy(index, false);
    this.inFlight = options.inFlight ?? new InFlight(Infinity);
    const { requestTotalMs = Infinity } = options;
    this.deadlines = requestTotalMs === Infinity ? null : new RequestDeadlines(requestTotalMs);
    const head = this.#head();
    const expectedBytes = head instanceof Malformed ? -1 : head.contentLengthBytes;
    this.stream = new RequestStream(this, STREAM_ID, { hasBody: options.hasBody ?? false, expectedBytes });
    this.upstream.onStart = (call) => options.onStart?.(call, this);
    const { early } = options;
    this.early = early === undefined ? null : new EarlyRequests(early, new Set(["GET", "HEAD"]), this.counters);
    options.setUp?.(this);
    const client = { ...CLIENT, buffers: this.buffers, early: this.early };
    const handler = new ConnectionHandler(this.#services(), client, () => this.#generation(backends));
    if (head instanceof Malformed) handler.onMalformed(this.stream, head);
    else handler.onRequest(this.stream, head);
  }

  /** The pool that the request is for. */
  get pool(): Pool {
    return must(this.#pool, "the world is made");
  }

  /** What the client has got so far. */
  get client(): FakeStream {
    return this.engine.stream(STREAM_ID);
  }

  /** The attempt begun last. */
  get call(): FakeCall {
    return must(this.upstream.calls.at(-1), "an attempt was made");
  }

  /** How it went; there is one. */
  get outcome(): ExchangeOutcome {
    return must(this.outcomes[0], "the exchange is over");
  }

  /** The client sends a piece of its body. */
  sendBody(text: string): void {
    this.engine.emitBody(STREAM_ID, text);
    this.engine.poll();
    this.stream.onData();
  }

  /** The client ends its request. */
  sendEnd(): void {
    this.engine.emitEnd(STREAM_ID);
    this.engine.poll();
    this.stream.onFinished();
  }

  /** What a session does after each batch of datagrams. */
  process(): void {
    if (this.stream.blocked) this.stream.retryOutput();
    this.stream.checkAborted();
  }

  received(): void {}
  delivered(): void {}
  aborted(): void {}

  again(): void {
    // The session of the real thing polls.
  }

  wake(): void {
    this.wakes += 1;
  }

  block(): void {
    // `process` looks at every stream.
  }

  answered(): void {
    // Only sessions count.
  }

  forget(): void {
    // Only sessions count.
  }

  #head(): RequestHead | Malformed {
    const { method = "GET", path = "/", fields = [] } = this.#options;
    return readRequestHead(
      sectionOf([[":method", method], [":scheme", "https"], [":authority", "example.com"], [":path", path], ...fields]),
    );
  }

  #services(): Services {
    return {
      counters: this.counters,
      clock: this.timers,
      recorder: { record: (outcome) => void this.outcomes.push(factsOf(outcome)) },
      requestIds: new RequestIds(Random.fromEntropy([4])),
      random: Random.fromEntropy([6]),
      writer: WRITER,
      inFlight: this.inFlight,
    };
  }

  #generation(backends: number): Generation {
    const settings = poolSettings(backends, this.#options);
    const balancer = createBalancer(settings, Random.fromEntropy([5]), this.counters);
    const pool = new Pool({ settings, balancer, availability: this.availability });
    this.#pool = pool;
    for (let taken = 0; taken < (this.#options.poolInFlight?.taken ?? 0); taken++) pool.inFlight.take();
    return {
      routes: compileRoutes([settings]),
      pools: [pool],
      deadlines: this.deadlines,
      begin: (exchange, fields) => {
        this.running += 1;
        this.deadlines?.begin(exchange, fields);
      },
      end: (exchange) => {
        this.running -= 1;
        this.deadlines?.end(exchange);
      },
      upstreamOf: () => this.upstream,
      onFailure: (_pool: number, backend: number, failure: UpstreamFailure) => {
        this.failures += 1;
        if (showsUnreachable(failure)) this.unreachable.push(backend);
      },
    };
  }
}

function poolSettings(backends: number, options: FakeExchangeOptions): PoolSettings {
  return {
    ...STANDARD_POOL,
    name: "main",
    route: { host: null, pathPrefix: options.path === "/elsewhere" ? "/here" : "/", method: null },
    balancing: options.balancing ?? "round-robin",
    hashKey: options.hashKey ?? { kind: "client_ip" },
    backends: Array.from({ length: backends }, (_, index) => backendSettings(index)),
    backendConnectionsMax: 4,
    requestBodyBytesMax: options.bodyBytesMax ?? Infinity,
    inFlightMax: options.poolInFlight?.max ?? Infinity,
  };
}

function backendSettings(index: number): BackendSettings {
  return {
    ...STANDARD_BACKEND,
    ...{ id: `b${index}`, address: `127.0.0.1:${8000 + index}`, scheme: "http", host: "127.0.0.1" },
    ...{ protocol: "http1", transport: "native" },
    port: 8000 + index,
  };
}

/** What an outcome says now, for it is read from where things stand. */
function factsOf(outcome: ExchangeOutcome): ExchangeOutcome {
  const { requestId, method, path, authority, fields, status, pool, backend, durationMs, bytesIn, bytesOut } = outcome;
  const { clientIp, clientPort, clientSubject, listener = "", attempts, accessLog, error } = outcome;
  return {
    ...{ requestId, method, path, authority, fields, status, pool, backend, durationMs, bytesIn, bytesOut },
    ...{ clientIp, clientPort, clientSubject, listener, attempts, accessLog, error },
  };
}
