/** Answers every request with 200 and its path, at once: for tests that care for connections and not for messages. */
import { FieldWriter } from "../../src/core/field-writer.ts";
import type { RequestHead } from "../../src/h3/head.ts";
import type { RequestHandler } from "../../src/h3/session-host.ts";
import type { RequestStream } from "../../src/h3/stream.ts";

const OWNER = { onRoom: () => undefined, onSent: () => undefined, onAborted: () => undefined };
const encoder = new TextEncoder();

/** The handler of all connections of a test. */
export class Answerer implements RequestHandler {
  readonly #writer = new FieldWriter();
  /** Requests so far. */
  requests = 0;

  onRequest(stream: RequestStream, head: RequestHead): void {
    this.requests += 1;
    stream.owner = OWNER;
    this.#writer.begin();
    this.#writer.add(":status", "200");
    stream.sendHead(this.#writer.finish(), false);
    stream.sendBody(encoder.encode(head.path));
    stream.end();
  }

  onMalformed(stream: RequestStream): void {
    stream.reset(0x10e);
  }
}
