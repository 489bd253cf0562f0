/** A sink that notes what it was told, in a form that does not depend on how the bytes were cut. */
import type { FieldSection } from "../../../src/core/fields.ts";
import type { ExchangeSink } from "../../../src/h1/connection.ts";
import type { H1Fault } from "../../../src/h1/faults.ts";

export class RecordingSink implements ExchangeSink {
  /** `1xx 103 link: </a>`, `head 200 bodyless a: b | c: d`, `data abc` (joined), `trailers`, `end reusable`, `error kind received`. */
  readonly events: string[] = [];
  writable = 0;
  #isOver = false;

  onInformational(status: number, section: FieldSection): void {
    this.#note(`1xx ${status}${textOf(section)}`);
  }

  onHead(status: number, section: FieldSection, bodyless: boolean): void {
    this.#note(`head ${status}${bodyless ? " bodyless" : ""}${textOf(section)}`);
  }

  onData(bytes: Uint8Array, at: number, end: number): void {
    if (at >= end) this.#note("an empty piece");
    const text = Array.from(bytes.subarray(at, end), (byte) => String.fromCharCode(byte)).join("");
    const last = this.events.at(-1);
    if (last?.startsWith("data ") === true) this.events[this.events.length - 1] = last + text;
    else this.#note(`data ${text}`);
  }

  onTrailers(section: FieldSection): void {
    this.#note(`trailers${textOf(section)}`);
  }

  onWritable(): void {
    this.writable += 1;
  }

  onEnd(reusable: boolean): void {
    this.#note(reusable ? "end reusable" : "end");
    this.#isOver = true;
  }

  onError(fault: H1Fault, bytesReceived: boolean): void {
    this.#note(`error ${fault}${bytesReceived ? " received" : ""}`);
    this.#isOver = true;
  }

  #note(event: string): void {
    this.events.push(this.#isOver ? `${event}, after the exchange was over` : event);
  }
}

function textOf(section: FieldSection): string {
  const fields: string[] = [];
  for (let i = 0; i < section.count; i++) fields.push(`${section.name(i)}: ${section.value(i)}`);
  return fields.length === 0 ? "" : ` ${fields.join(" | ")}`;
}
