/** Exchanges of one connection in memory: the request goes nowhere, the answer comes as given. */
import { Counters } from "../../../src/core/counters.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { FieldSection } from "../../../src/core/fields.ts";
import { H1Connection } from "../../../src/h1/connection.ts";
import type { H1Request } from "../../../src/h1/request-writer.ts";
import { RecordingSink } from "./recording-sink.ts";

const writer = new FieldWriter();

/** One byte for each character. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function latin1Of(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

export function sectionOf(fields: Readonly<Record<string, string>>): FieldSection {
  writer.begin();
  for (const [name, value] of Object.entries(fields)) writer.add(name, value);
  return writer.toSection();
}

export function requestOf(parts: Partial<H1Request> = {}): H1Request {
  return { method: "GET", path: "/", authority: "a.example", fields: sectionOf({}), contentLengthBytes: -1, ...parts };
}

/** What the peer does in an exchange. */
export interface Answer {
  readonly pieces: readonly Uint8Array[];
  readonly method?: string;
  readonly upgradeTo?: string;
  /** After the pieces: the connection ends in order, or by a reset. */
  readonly close?: "clean" | "reset";
}

/** The events of one exchange on a fresh connection, and that connection. */
export function exchange(answer: Answer): { events: string[]; connection: H1Connection; counters: Counters } {
  const counters = new Counters();
  const connection = new H1Connection(counters);
  const sink = new RecordingSink();
  connection.start(requestOf({ method: answer.method ?? "GET" }), false, sink, answer.upgradeTo);
  connection.sent(connection.output.waitingBytes);
  for (const piece of answer.pieces) connection.feed(piece);
  if (answer.close !== undefined) connection.onClose(answer.close === "clean");
  return { events: sink.events, connection, counters };
}

/** The bytes in two pieces for each place where they can be cut, whole, and one byte at a time. */
export function* everyCut(bytes: Uint8Array): Generator<readonly Uint8Array[]> {
  yield [bytes];
  for (let at = 1; at < bytes.length; at++) yield [bytes.slice(0, at), bytes.slice(at)];
  yield Array.from(bytes, (byte) => Uint8Array.of(byte));
}
