/** What tests of a transport need: settings, requests, bodies that are pushed by hand, and a sink that remembers. */
import { STANDARD, STANDARD_BACKEND, STANDARD_POOL } from "./settings.ts";
import type { BackendSettings, PoolSettings, TimeoutSettings, UpstreamTlsSettings } from "../../src/config/snapshot.ts";
import { isContradiction, wireOf } from "../../src/config/wire.ts";
import type { FieldSection } from "../../src/core/fields.ts";
import type {
  BodySource,
  ReceivedProtocol,
  ResponseSink,
  Upstream,
  UpstreamCall,
  UpstreamRequest,
} from "../../src/proxy/ports.ts";
import type { UpstreamFailure } from "../../src/proxy/upstream-failure.ts";
import { fieldsOf, sectionOf, type Field } from "./sections.ts";

/** Time-outs long enough never to fire by themselves. */
export const PATIENT: TimeoutSettings = {
  ...STANDARD.timeouts,
  backendConnectMs: 600_000,
  backendResponseHeadMs: 600_000,
  backendBodyIdleMs: 600_000,
  clientBodyIdleMs: 600_000,
};

/** A backend from `scheme://host:port`, or bare `host:port`. */
export function backendOf(address: string, id: string = "b1"): BackendSettings {
  const [, scheme = "auto", host = "", port = ""] = /^(?:(\w+):\/\/)?\[?([^\]]*?)\]?:(\d+)$/.exec(address) ?? [];
  const known = (["https", "http", "h3", "h2c"] as const).find((name) => name === scheme) ?? "auto";
  const wire = wireOf(known, null, null);
  if (isContradiction(wire)) throw new RangeError("an address alone contradicts nothing");
  return { ...STANDARD_BACKEND, id, address, scheme: known, ...wire, host, port: Number(port) };
}

/** Trust as it is without any key. */
export const PLAIN_TLS: UpstreamTlsSettings = {
  ...{ verifyCertificates: true, caFile: null, caDir: null },
  ...{ clientCertificate: null, serverName: null },
};

/** A pool named `test`. */
export function poolOf(backends: readonly BackendSettings[], tls: Partial<UpstreamTlsSettings> = {}): PoolSettings {
  return {
    ...STANDARD_POOL,
    name: "test",
    hashKey: { kind: "path" },
    backends,
    tls: { ...PLAIN_TLS, ...tls },
    backendConnectionsMax: 64,
  };
}

/** What a request differs in from `GET /`. */
export interface RequestParts {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly fields?: readonly Field[];
  readonly body?: BodySource | null;
  readonly contentLengthBytes?: number;
}

/** A request to the pool's first backend. */
export function requestTo(pool: PoolSettings, parts: RequestParts = {}): UpstreamRequest {
  const [backend] = pool.backends;
  if (backend === undefined) throw new RangeError("the pool has a backend");
  return {
    pool,
    backend,
    method: parts.method ?? "GET",
    path: parts.path ?? "/",
    authority: parts.authority ?? "front.example",
    fields: sectionOf(parts.fields ?? []),
    body: parts.body ?? null,
    contentLengthBytes: parts.contentLengthBytes ?? -1,
  };
}

/** A body that a test pushes piece by piece. */
export class PushBody implements BodySource {
  onReadable: (() => void) | null = null;
  trailers: FieldSection | null = null;
  stopped = false;
  /** Bytes given out, and questions for more. */
  pulled = 0;
  asked = 0;
  readonly #pieces: Uint8Array[] = [];
  #end: "open" | "ended" | "broken" = "open";

  get state(): "open" | "ended" | "broken" {
    return this.#pieces.length > 0 ? "open" : this.#end;
  }

  pull(): Uint8Array | null {
    this.asked += 1;
    const piece = this.#pieces.shift() ?? null;
    if (piece !== null) this.pulled += piece.length;
    return piece;
  }

  stop(): void {
    this.stopped = true;
  }

  push(piece: string | Uint8Array): this {
    this.#pieces.push(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
    this.onReadable?.();
    return this;
  }

  end(how: "ended" | "broken" = "ended", trailers: readonly Field[] | null = null): this {
    this.#end = how;
    this.trailers = trailers === null ? null : sectionOf(trailers);
    this.onReadable?.();
    return this;
  }
}

/** How an exchange went. */
export class Outcome implements ResponseSink {
  status = 0;
  fields: Field[] = [];
  protocol: ReceivedProtocol | null = null;
  readonly pieces: Uint8Array[] = [];
  failure: UpstreamFailure | null = null;
  informational: (readonly [status: number, fields: readonly Field[]])[] = [];
  trailers: Field[] | null = null;
  ended = false;
  /** Calls after the last one that may come. */
  late = 0;
  /** What `onBody` answers. */
  hasRoom = true;
  readonly #over = Promise.withResolvers<this>();
  readonly #head = Promise.withResolvers<this>();
  readonly #waiters: { readonly bytes: number; readonly resolve: () => void }[] = [];

  /** Resolves when it is over, well or not. */
  get over(): Promise<this> {
    return this.#over.promise;
  }

  /** Resolves with the head, or when it is over without one. */
  get head(): Promise<this> {
    return this.#head.promise;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.pieces));
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  get lengthBytes(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  field(name: string): string[] {
    return this.fields.filter(([known]) => known === name).map(([, value]) => value);
  }

  /** Resolves when so many bytes have come. */
  received(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ bytes, resolve });
    this.#notify();
    return promise;
  }

  onInformational(status: number, fields: FieldSection): void {
    this.#note();
    this.informational.push([status, fieldsOf(fields)]);
  }

  onHead(status: number, fields: FieldSection, protocol: ReceivedProtocol): void {
    this.#note();
    this.protocol = protocol;
    this.status = status;
    this.fields = fieldsOf(fields);
    this.#head.resolve(this);
  }

  onBody(bytes: Uint8Array, at: number, end: number): boolean {
    this.#note();
    this.pieces.push(Uint8Array.prototype.slice.call(bytes, at, end));
    this.#notify();
    return this.hasRoom;
  }

  onTrailers(fields: FieldSection): void {
    this.#note();
    this.trailers = fieldsOf(fields);
  }

  onEnd(): void {
    this.#note();
    this.ended = true;
    this.#finish();
  }

  onFailure(error: UpstreamFailure): void {
    this.#note();
    this.failure = error;
    this.#finish();
  }

  #note(): void {
    if (this.ended || this.failure !== null) this.late += 1;
  }

  #finish(): void {
    this.#head.resolve(this);
    this.#over.resolve(this);
  }

  #notify(): void {
    for (const { bytes, resolve } of this.#waiters) if (this.lengthBytes >= bytes) resolve();
  }
}

/** Starts an exchange. */
export function begin(upstream: Upstream, request: UpstreamRequest): { outcome: Outcome; call: UpstreamCall } {
  const outcome = new Outcome();
  return { outcome, call: upstream.start(request, outcome) };
}

/** Does one exchange from its start to its end. */
export function exchange(upstream: Upstream, request: UpstreamRequest): Promise<Outcome> {
  return begin(upstream, request).outcome.over;
}
