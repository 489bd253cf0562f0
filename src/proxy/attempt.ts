/** One attempt at one backend: the client's request as a transport sees it. */
import type { BackendSettings, PoolSettings } from "../config/snapshot.ts";
import type { EncodedField, FieldWriter } from "../core/field-writer.ts";
import type { FieldSection } from "../core/fields.ts";
import type { RequestHead } from "../h3/head.ts";
import type { BodySource, UpstreamRequest } from "./ports.ts";
import { type ForwardContext, writeRequestFields } from "./rewrite.ts";

/** What an attempt is made of. */
export interface AttemptParts {
  readonly head: RequestHead;
  readonly pool: PoolSettings;
  readonly backend: BackendSettings;
  readonly body: BodySource | null;
  readonly forwardedFor: EncodedField;
  readonly requestId: string;
  readonly takesTrailers: boolean;
  readonly writer: FieldWriter;
}

/** An attempt. Its fields are written when they are asked for, and again when they are asked for again: nothing keeps them. */
export class Attempt implements UpstreamRequest, ForwardContext {
  readonly pool: PoolSettings;
  readonly backend: BackendSettings;
  readonly body: BodySource | null;
  readonly forwardedFor: EncodedField;
  readonly requestId: string;
  readonly takesTrailers: boolean;
  readonly #head: RequestHead;
  readonly #writer: FieldWriter;

  constructor(parts: AttemptParts) {
    this.pool = parts.pool;
    this.backend = parts.backend;
    this.body = parts.body;
    this.forwardedFor = parts.forwardedFor;
    this.requestId = parts.requestId;
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

  get authority(): string {
    return this.#head.authority;
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
