/** What the peer's SETTINGS say (RFC 9113 6.5), beginning with the values that hold before the first of them. */
import { LIMITS } from "../core/limits.ts";
import { type ConnectionFault, FRAME_BYTES_DEFAULT, SETTING, WINDOW_BYTES_DEFAULT, WINDOW_BYTES_MAX } from "./codes.ts";
import { readU32 } from "./frame-reader.ts";

const ENTRY_BYTES = 6;
const TABLE_BYTES_DEFAULT = 4096;
const FRAME_BYTES_MAX = 2 ** 24 - 1;

/** The peer's settings, as the last frame left them. */
export class PeerSettings {
  headerTableBytes = TABLE_BYTES_DEFAULT;
  /** The lowest that it was since the frame before the last one: a table shrinks to it even if it may grow again at once. */
  headerTableBytesLeast = TABLE_BYTES_DEFAULT;
  streamsMax: number = LIMITS.h2StreamsBeforeSettingsMax;
  windowBytes = WINDOW_BYTES_DEFAULT;
  frameBytesMax = FRAME_BYTES_DEFAULT;
  /** How large a field list the peer wants to see; it may answer larger ones with 431. */
  fieldListBytesMax = Infinity;
  /** A SETTINGS frame was applied. */
  received = false;

  /** Applies a frame's payload, entry by entry; unknown ones are passed over. */
  apply(bytes: Uint8Array, at: number, end: number): ConnectionFault | null {
    if ((end - at) % ENTRY_BYTES !== 0) return "frame-size";
    // A server that names no maximum has none.
    if (!this.received) this.streamsMax = Infinity;
    this.received = true;
    this.headerTableBytesLeast = this.headerTableBytes;
    for (let p = at; p < end; p += ENTRY_BYTES) {
      const fault = this.#applyOne(((bytes[p] ?? 0) << 8) | (bytes[p + 1] ?? 0), readU32(bytes, p + 2));
      if (fault !== null) return fault;
    }
    return null;
  }

  #applyOne(id: number, value: number): ConnectionFault | null {
    switch (id) {
      case SETTING.headerTableSize:
        this.headerTableBytes = value;
        this.headerTableBytesLeast = Math.min(this.headerTableBytesLeast, value);
        return null;
      case SETTING.enablePush:
        // Only a client may set it (RFC 9113 6.5.2).
        return value === 0 ? null : "settings-value";
      case SETTING.maxConcurrentStreams:
        this.streamsMax = value;
        return null;
      case SETTING.initialWindowSize:
        if (value > WINDOW_BYTES_MAX) return "settings-window";
        this.windowBytes = value;
        return null;
      case SETTING.maxFrameSize:
        if (value < FRAME_BYTES_DEFAULT || value > FRAME_BYTES_MAX) return "settings-value";
        this.frameBytesMax = value;
        return null;
      case SETTING.maxHeaderListSize:
        this.fieldListBytesMax = value;
        return null;
      default:
        return null;
    }
  }
}
