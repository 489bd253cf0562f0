/**
 * Reads responses (RFC 9112 4 to 7) from pieces of any size. Strict: a message that another reader could understand otherwise is
 * refused, not mended. Nothing is kept of a body; of a head, its fields until they are complete, bounded by `LIMITS`.
 */
import { assert } from "../core/assert.ts";
import { FIELD } from "../core/field-names.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { CR, LF, SPACE, VALUE_REFUSED } from "./bytes.ts";
import { ChunkLines } from "./chunk-lines.ts";
import type { H1Fault } from "./faults.ts";
import { FieldLines } from "./field-lines.ts";
import { fieldLists, ResponseFraming } from "./response-framing.ts";

/** Where the parts of a response go. A receiver may call `ResponseParser.stop` from each of these. */
export interface ResponseReceiver {
  /** A 1xx other than 101. */
  onInformational(status: number, section: FieldSection): void;
  /** The final head, once; names in lower case. `bodyless`: no byte of a body follows. A 101 opens a tunnel whose bytes follow as body. */
  onHead(status: number, section: FieldSection, bodyless: boolean): void;
  /** A piece of the body: `bytes[at..end)`, at least one byte, valid during the call only. */
  onData(bytes: Uint8Array, at: number, end: number): void;
  /** After a chunked body, when it has trailers. They are checked as lines, not for what may be a trailer. */
  onTrailers(section: FieldSection): void;
}

const IDLE = 0;
const STATUS_LINE = 1;
const HEAD_FIELDS = 2;
const FIXED_BODY = 3;
const CHUNKED_BODY = 4;
const OPEN_BODY = 5;
const TRAILERS = 6;
const COMPLETE = 7;
const REFUSED = 8;

const PREFIX = new TextEncoder().encode("HTTP/1.");
/** Positions in a status line: version digit, a space, three digits of the status, a space or the end. */
const VERSION_AT = PREFIX.length;
const STATUS_AT = VERSION_AT + 2;
const REASON_AT = STATUS_AT + 4;
/** Instead of a position: the CR has been read. */
const LINE_END = -1;

const SWITCHING_PROTOCOLS = 101;

/** One connection's parser: `begin` for each request, then `read` until `complete` or a `fault`. */
export class ResponseParser {
  #phase = IDLE;
  #position = 0;
  #status = 0;
  #minorVersion = 1;
  #bytesLeft = 0;
  #informational = 0;
  #bodyLeft = 0;
  #toHead = false;
  #upgradeTo = "";
  #persists = false;
  #fault: H1Fault | null = null;
  readonly #fields = new FieldLines();
  readonly #chunks = new ChunkLines();
  readonly #framing = new ResponseFraming();

  /** The response has ended. */
  get complete(): boolean {
    return this.#phase === COMPLETE;
  }

  get fault(): H1Fault | null {
    return this.#fault;
  }

  /** Only the end of the connection can end this body. */
  get isUntilClose(): boolean {
    return this.#phase === OPEN_BODY;
  }

  /** A 101 has been delivered. */
  get isTunnel(): boolean {
    return this.#phase === OPEN_BODY && this.#status === SWITCHING_PROTOCOLS;
  }

  /** The final head has been delivered. */
  get hasHead(): boolean {
    return this.#phase >= FIXED_BODY && this.#phase <= COMPLETE;
  }

  /** The response so far lets the connection live on; to be asked once it is complete. */
  get persists(): boolean {
    return this.#persists;
  }

  /** 1 for HTTP/1.1, 0 for HTTP/1.0; of the latest head. */
  get minorVersion(): number {
    return this.#minorVersion;
  }

  /** How long the peer says it keeps an idle connection, seconds; -1 when it says nothing. */
  get idleSeconds(): number {
    return this.#framing.idleSeconds;
  }

  /** Makes ready for the response to a request. `toHead`: its method is HEAD. `upgradeTo`: the protocol it offered, "" for none. */
  begin(toHead: boolean, upgradeTo: string): void {
    assert(this.#phase === IDLE || this.#phase === COMPLETE, "a response is complete before the next one begins");
    this.#toHead = toHead;
    this.#upgradeTo = upgradeTo.toLowerCase();
    this.#informational = 0;
    this.#persists = false;
    this.#beginHead();
  }

  /** Reads no more, for good. */
  stop(): void {
    this.#phase = REFUSED;
  }

  /** Reads on; answers with the place behind the last byte taken, which is `end` unless the response is complete or refused. */
  read(bytes: Uint8Array, at: number, end: number, receiver: ResponseReceiver): number {
    let p = at;
    while (p < end) {
      switch (this.#phase) {
        case STATUS_LINE:
          p = this.#readStatusLine(bytes, p, end);
          break;
        case HEAD_FIELDS:
          p = this.#readHeadFields(bytes, p, end, receiver);
          break;
        case FIXED_BODY:
          p = this.#readFixedBody(bytes, p, end, receiver);
          break;
        case CHUNKED_BODY:
          p = this.#readChunkedBody(bytes, p, end, receiver);
          break;
        case OPEN_BODY:
          receiver.onData(bytes, p, end);
          return end;
        case TRAILERS:
          p = this.#readTrailers(bytes, p, end, receiver);
          break;
        default:
          return p;
      }
    }
    return p;
  }

  #beginHead(): void {
    this.#phase = STATUS_LINE;
    this.#position = 0;
    this.#status = 0;
    this.#bytesLeft = LIMITS.h1HeadBytesMax;
  }

  #readStatusLine(bytes: Uint8Array, at: number, end: number): number {
    const stop = Math.min(end, at + this.#bytesLeft);
    let p = at;
    while (p < stop) {
      const byte = bytes[p] ?? 0;
      const fault = this.#position < REASON_AT ? this.#stepStatusLine(byte) : this.#stepReason(byte);
      if (fault !== null) return this.#refuse(fault, p);
      p += 1;
      if (this.#phase !== STATUS_LINE) break;
    }
    this.#bytesLeft -= p - at;
    return this.#bytesLeft === 0 ? this.#refuse("head-too-large", p) : p;
  }

  #stepStatusLine(byte: number): H1Fault | null {
    const position = this.#position;
    if (position === LINE_END) return this.#endStatusLine(byte);
    this.#position = position + 1;
    if (position < VERSION_AT) return byte === PREFIX[position] ? null : "not-http";
    if (position === VERSION_AT) {
      this.#minorVersion = byte - ZERO;
      return byte === ZERO || byte === ZERO + 1 ? null : "version";
    }
    if (position === STATUS_AT - 1) return byte === SPACE ? null : "status-line";
    if (position < REASON_AT - 1) {
      this.#status = this.#status * 10 + (byte - ZERO);
      return byte >= ZERO + (position === STATUS_AT ? 1 : 0) && byte <= NINE ? null : "status";
    }
    // The space before the reason is a must, and forgotten by many with nothing to say behind it; no reader is misled by that.
    if (byte === CR) this.#position = LINE_END;
    return byte === SPACE || byte === CR ? null : byte === LF ? "bare-lf" : "status-line";
  }

  #stepReason(byte: number): H1Fault | null {
    if (byte === CR) this.#position = LINE_END;
    else if (VALUE_REFUSED[byte] !== 0) return byte === LF ? "bare-lf" : "value-character";
    return null;
  }

  #endStatusLine(byte: number): H1Fault | null {
    if (byte !== LF) return "bare-cr";
    this.#fields.begin();
    this.#phase = HEAD_FIELDS;
    return null;
  }

  /** Field lines, within what is left of their limit. */
  #readFields(bytes: Uint8Array, at: number, end: number, tooLarge: H1Fault): number {
    const p = this.#fields.read(bytes, at, Math.min(end, at + this.#bytesLeft));
    this.#bytesLeft -= p - at;
    if (this.#fields.fault !== null) return this.#refuse(this.#fields.fault, p);
    return this.#bytesLeft === 0 && !this.#fields.complete ? this.#refuse(tooLarge, p) : p;
  }

  #readHeadFields(bytes: Uint8Array, at: number, end: number, receiver: ResponseReceiver): number {
    const p = this.#readFields(bytes, at, end, "head-too-large");
    if (this.#phase !== HEAD_FIELDS || !this.#fields.complete) return p;
    const section = this.#fields.toSection();
    const status = this.#status;
    // HTTP/1.0 has no 1xx, and some readers take one for the whole answer (RFC 9110 15.2).
    if (status < 200 && this.#minorVersion === 0) return this.#refuse("version", p);
    const fault = this.#framing.read(section, status, this.#minorVersion);
    if (fault !== null) return this.#refuse(fault, p);
    if (status >= 200) this.#takeHead(status, section, receiver);
    else if (status === SWITCHING_PROTOCOLS) this.#takeUpgrade(section, receiver);
    else this.#takeInformational(status, section, receiver);
    return p;
  }

  /** Its phase is set first: the receiver may stop the parser. */
  #takeHead(status: number, section: FieldSection, receiver: ResponseReceiver): void {
    const kind = this.#framing.bodyKind(status, this.#toHead);
    this.#persists = kind !== "until-close" && this.#framing.mayPersist(status, this.#minorVersion);
    if (kind === "none") this.#phase = COMPLETE;
    else if (kind === "until-close") this.#phase = OPEN_BODY;
    else if (kind === "length") {
      this.#bodyLeft = this.#framing.lengthBytes;
      this.#phase = FIXED_BODY;
    } else {
      this.#chunks.begin();
      this.#phase = CHUNKED_BODY;
    }
    receiver.onHead(status, section, kind === "none");
  }

  #takeUpgrade(section: FieldSection, receiver: ResponseReceiver): void {
    const upgradeTo = this.#upgradeTo;
    const agreed =
      upgradeTo !== "" &&
      fieldLists(section, FIELD.upgrade, upgradeTo) &&
      fieldLists(section, FIELD.connection, "upgrade");
    if (!agreed) {
      this.#refuse("unexpected-upgrade", 0);
      return;
    }
    this.#phase = OPEN_BODY;
    receiver.onHead(SWITCHING_PROTOCOLS, section, false);
  }

  #takeInformational(status: number, section: FieldSection, receiver: ResponseReceiver): void {
    this.#informational += 1;
    if (this.#informational > LIMITS.h1InformationalMax) {
      this.#refuse("too-many-informational", 0);
      return;
    }
    this.#beginHead();
    receiver.onInformational(status, section);
  }

  #readFixedBody(bytes: Uint8Array, at: number, end: number, receiver: ResponseReceiver): number {
    const stop = Math.min(end, at + this.#bodyLeft);
    this.#bodyLeft -= stop - at;
    if (this.#bodyLeft === 0) this.#phase = COMPLETE;
    receiver.onData(bytes, at, stop);
    return stop;
  }

  #readChunkedBody(bytes: Uint8Array, at: number, end: number, receiver: ResponseReceiver): number {
    const chunks = this.#chunks;
    if (chunks.dataBytes > 0) {
      const stop = Math.min(end, at + chunks.dataBytes);
      chunks.took(stop - at);
      receiver.onData(bytes, at, stop);
      return stop;
    }
    const p = chunks.read(bytes, at, end);
    if (chunks.fault !== null) return this.#refuse(chunks.fault, p);
    if (chunks.last) {
      this.#fields.begin();
      this.#bytesLeft = LIMITS.h1TrailerBytesMax;
      this.#phase = TRAILERS;
    }
    return p;
  }

  #readTrailers(bytes: Uint8Array, at: number, end: number, receiver: ResponseReceiver): number {
    const p = this.#readFields(bytes, at, end, "trailers-too-large");
    if (this.#phase !== TRAILERS || !this.#fields.complete) return p;
    this.#phase = COMPLETE;
    if (this.#fields.count > 0) receiver.onTrailers(this.#fields.toSection());
    return p;
  }

  #refuse(fault: H1Fault, at: number): number {
    this.#fault = fault;
    this.#phase = REFUSED;
    return at;
  }
}

const ZERO = 0x30;
const NINE = 0x39;
