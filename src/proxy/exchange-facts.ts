/**
 * What is known of an exchange, for whoever takes note of it when it is over. It is read from where it stands when somebody asks, for most of it
 * nobody ever does: a request without a line in the log needs no text of its id, and no record of its own.
 */
import type { BackendSettings, PoolSettings } from "../config/snapshot.ts";
import type { ProxyError } from "../core/error.ts";
import type { FieldSection } from "../core/fields.ts";
import type { RequestId } from "../core/request-id.ts";
import type { RequestHead } from "../h3/head.ts";
import type { RequestStream } from "../h3/stream.ts";
import type { Client } from "./context.ts";
import type { Pool } from "./pool.ts";
import type { ExchangeOutcome } from "./ports.ts";

/** The facts of one exchange, which writes them. */
export abstract class ExchangeFacts implements ExchangeOutcome {
  status = 0;
  attempts = 0;
  durationMs = 0;
  /** While it runs: why the answer is ours and not a backend's; null while all is well. */
  error: ProxyError | null = null;
  protected readonly client: Client;
  protected readonly stream: RequestStream;
  protected readonly head: RequestHead;
  protected readonly id: RequestId;
  protected chosenPool: Pool | null = null;
  protected chosenBackend: BackendSettings | null = null;

  protected constructor(client: Client, stream: RequestStream, head: RequestHead, id: RequestId) {
    this.client = client;
    this.stream = stream;
    this.head = head;
    this.id = id;
  }

  get requestId(): string {
    return this.id.text;
  }

  get method(): string {
    return this.head.method;
  }

  get path(): string {
    return this.head.path;
  }

  get authority(): string {
    return this.head.authority;
  }

  get fields(): FieldSection {
    return this.head.fields;
  }

  get pool(): string {
    return this.chosenPool?.settings.name ?? "";
  }

  get backend(): string {
    return this.chosenBackend?.id ?? "";
  }

  get bytesIn(): number {
    return this.stream.receivedBytes;
  }

  get bytesOut(): number {
    return this.stream.sentBytes;
  }

  get clientIp(): string {
    return this.client.ip;
  }

  get clientPort(): number {
    return this.client.port;
  }

  get clientSubject(): string {
    return this.client.provenance.identity.subject;
  }

  get listener(): string {
    return this.client.listener ?? "";
  }

  get accessLog(): PoolSettings["accessLog"] {
    return this.chosenPool?.settings.accessLog ?? "on";
  }
}
