/** One attempt at one backend: the client's request as a transport sees it. */
import type { BackendSettings, ForwardingSettings, PoolSettings } from "../config/snapshot.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { FieldSection } from "../core/fields.ts";
import type { RequestId } from "../core/request-id.ts";
import type { RequestHead } from "../h3/head.ts";
import { authorityTowards } from "./host.ts";
import type { BodySource, UpstreamRequest } from "./ports.ts";
import type { Provenance } from "./provenance.ts";
import { type ForwardContext, writeRequestFields } from "./rewrite.ts";
import type { Trace } from "./trace.ts";

/** What an attempt is made of. */
export interface AttemptParts {
  readonly head: RequestHead;
  readonly pool: PoolSettings;
  readonly backend: BackendSettings;
  readonly body: BodySource | null;
  readonly provenance: Provenance;
  readonly requestId: RequestId;
  readonly trace: Trace;
  readonly early: boolean;
  readonly takesTrailers: boolean;
  readonly writer: FieldWriter;
}

/** An attempt. Its fields are written when they are asked for, and again when they are asked for again: nothing keeps them. */
export class Attempt implements UpstreamRequest, ForwardContext {
  readonly pool: PoolSettings;
  readonly backend: BackendSettings;
  readonly body: BodySource | null;
  readonly provenance: Provenance;
  readonly requestId: RequestId;
  readonly trace: Trace;
  readonly early: boolean;
  readonly takesTrailers: boolean;
  readonly #head: RequestHead;
  readonly #writer: FieldWriter;

  constructor(parts: AttemptParts) {
    this.pool = parts.pool;
    this.backend = parts.backend;
    this.body = parts.body;
    this.provenance = parts.provenance;
    this.requestId = parts.requestId;
    this.trace = parts.trace;
    this.early = parts.early;
    this.takesTrailers = parts.takesTrailers;
    this.#head = parts.head;
    this.#writer = parts.writer;
  }

  get method(): string {
    return this.#head.method;
  }

  get path(): string {
    return this.#head.path;
  }

  /** By the pool's host policy; see `UpstreamRequest.authority`. */
  get authority(): string {
    return authorityTowards(this.pool.hostPolicy, this.backend, this.#head.authority);
  }

  get forwarding(): ForwardingSettings {
    return this.pool.forwarding;
  }

  get contentLengthBytes(): number {
    return this.#head.contentLengthBytes;
  }

  /** See `UpstreamRequest.fields`. */
  get fields(): FieldSection {
    writeRequestFields(this.#head, this.#writer, this);
    return this.#writer.view();
  }
}
