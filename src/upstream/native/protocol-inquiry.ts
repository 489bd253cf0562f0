/**
 * Finds out what a backend in clear speaks. It gets the preface of HTTP/2 with empty SETTINGS (RFC 9113 3.4): a server that
 * answers with SETTINGS speaks HTTP/2; one that answers anything else, or closes, or stays silent, is taken for HTTP/1.1.
 */
import { ProxyError } from "../../core/error.ts";
import type { ByteStream, ConnectStream, StreamAttempt, StreamTarget, StreamUser } from "../../runtime/streams.ts";
import type { TimerHandle, Timers } from "../../runtime/timers.ts";

/** What a backend in clear may speak. */
export type ClearProtocol = "h2c" | "http1";

/** What an inquiry needs. */
export interface InquiryParts {
  readonly connect: ConnectStream;
  readonly timers: Timers;
  readonly target: StreamTarget;
  /** How long a silent backend is waited for after it took the connection, milliseconds; less when it took that long to take it. */
  readonly silenceMs: number;
  /** When the answer must be there, whatever the backend does. */
  readonly deadlineMs: number;
  /** Once: what it speaks, or why it could not be asked. */
  readonly onResult: (result: ClearProtocol | ProxyError) => void;
}

/** Preface, and a SETTINGS frame without entries. */
const GREETING = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
const FRAME_HEADER_BYTES = 9;
const SETTINGS_TYPE = 4;
const ENTRY_BYTES = 6;

/** One question to one backend. It begins at once, and ends with its result or with `stop`. */
export class ProtocolInquiry implements StreamUser {
  readonly #parts: InquiryParts;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  readonly #attempt: StreamAttempt;
  #headerBytes = 0;
  #silence: TimerHandle | null = null;
  #over = false;

  constructor(parts: InquiryParts) {
    this.#parts = parts;
    this.#attempt = parts.connect(parts.target, this);
  }

  /** Asks no more; no result follows. */
  stop(): void {
    this.#over = true;
    this.#silence?.stop();
    this.#attempt.abandon();
  }

  onOpen(stream: ByteStream): void {
    // A fresh socket takes so few bytes; where it does not, the backend stays silent and time decides.
    stream.write(GREETING, 0, GREETING.length);
    const { timers, silenceMs, deadlineMs } = this.#parts;
    const leftMs = Math.max(0, deadlineMs - timers.nowMs());
    this.#silence = timers.after(Math.min(silenceMs, leftMs), () => this.#decide("http1"));
  }

  onData(bytes: Uint8Array): void {
    const taken = Math.min(bytes.length, FRAME_HEADER_BYTES - this.#headerBytes);
    for (let i = 0; i < taken; i++) this.#header[this.#headerBytes + i] = bytes[i] ?? 0;
    this.#headerBytes += taken;
    if (this.#headerBytes === FRAME_HEADER_BYTES) this.#decide(isSettings(this.#header) ? "h2c" : "http1");
    else if (bytes.length > 0 && (this.#header[0] ?? 0) !== 0) this.#decide("http1");
  }

  onDrain(): void {
    // Nothing more is written.
  }

  onClose(error: ProxyError | null): void {
    const connected = this.#silence !== null;
    if (connected) this.#decide("http1");
    else this.#decide(error ?? new ProxyError("UPSTREAM_RESET", "closed while connecting"));
  }

  #decide(result: ClearProtocol | ProxyError): void {
    if (this.#over) return;
    this.stop();
    this.#parts.onResult(result);
  }
}

/** SETTINGS on stream 0, no acknowledgement, of whole entries: no text of HTTP/1.1 begins with such a length. */
function isSettings(header: Uint8Array): boolean {
  const [high = 1, middle = 0, low = 0, type = 0, flags = 0, ...id] = header;
  const lengthBytes = (middle << 8) | low;
  const onStreamZero = id.every((byte) => byte === 0);
  return high === 0 && lengthBytes % ENTRY_BYTES === 0 && type === SETTINGS_TYPE && flags === 0 && onStreamZero;
}
