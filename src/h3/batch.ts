/** What one batch of datagrams brought a session, for its client's budget and for the search for heads that do not become whole. */
import type { EngineSession } from "../quic/engine.ts";
import type { BatchFacts } from "./peer-budget.ts";

/** The batch at hand. One object for all batches of a connection. */
export class Batch implements BatchFacts {
  packets = 0;
  bytes = 0;
  acknowledgedBytes = 0;
  /** Events and frames of no use. */
  idleFrames = 0;
  /** A head, an end, or body bytes; those that were read since the last batch count for this one. */
  brought = false;
  /** Events came from so many streams, as far as those of one come in a row. */
  #streams = 0;
  #lastId = -1;
  readonly #engine: EngineSession;
  #packetsSeen: number;
  #bytesSeen: number;
  #acknowledgedSeen: number;
  #emptyFramesSeen: number;

  /** What came before there was a session is left out. */
  constructor(engine: EngineSession) {
    this.#engine = engine;
    engine.refreshCounts();
    this.#packetsSeen = engine.packetsReceived;
    this.#bytesSeen = engine.bytesReceived;
    this.#acknowledgedSeen = engine.bytesAcknowledged;
    this.#emptyFramesSeen = engine.emptyFrames;
  }

  /** Counts what has come; its events are still to be asked for. */
  begin(): void {
    const engine = this.#engine;
    engine.refreshCounts();
    this.packets = engine.packetsReceived - this.#packetsSeen;
    this.bytes = engine.bytesReceived - this.#bytesSeen;
    this.acknowledgedBytes = engine.bytesAcknowledged - this.#acknowledgedSeen;
    this.#packetsSeen += this.packets;
    this.#bytesSeen += this.bytes;
    this.#acknowledgedSeen += this.acknowledgedBytes;
    this.#streams = 0;
    this.#lastId = -1;
  }

  /** An event came, of the stream that the engine names. */
  onEvent(): void {
    const { streamId } = this.#engine;
    if (streamId !== this.#lastId) this.#streams += 1;
    this.#lastId = streamId;
  }

  /** Streams had bytes of which no event came: they are parts of heads, frames of no use, or body that nobody reads yet. */
  get isUnexplained(): boolean {
    return this.#engine.readableStreams > this.#streams;
  }

  /** All its events were heard. */
  close(): void {
    this.idleFrames += this.#engine.emptyFrames - this.#emptyFramesSeen;
    this.#emptyFramesSeen = this.#engine.emptyFrames;
  }

  /** It was judged. */
  forget(): void {
    this.idleFrames = 0;
    this.brought = false;
  }
}
