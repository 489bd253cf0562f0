/** Numbers of HTTP/2 (RFC 9113 6 and 7), and the closed lists of what may go wrong with a connection or a stream. */

/** Frame types. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Frame flags; `ack` and `endStream` are the same bit. */
export const FLAG = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** Settings. */
export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Error codes (RFC 9113 7). */
export const H2_CODE = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const;

/** Bytes of a frame's header. */
export const FRAME_HEADER_BYTES = 9;
/** Bytes of the largest payload that every peer takes. */
export const FRAME_BYTES_DEFAULT = 16_384;
/** The largest window. */
export const WINDOW_BYTES_MAX = 2 ** 31 - 1;
/** The window that connections and streams begin with. */
export const WINDOW_BYTES_DEFAULT = 65_535;
/** The highest stream id. */
export const STREAM_ID_MAX = 2 ** 31 - 1;

/** Why a connection failed, each with the code that its GOAWAY carries. */
export const CONNECTION_FAULTS = {
  /** The socket ended or broke; nothing can be sent. */
  lost: H2_CODE.noError,
  /** What came first was no SETTINGS frame: this peer does not speak HTTP/2. */
  "no-settings": H2_CODE.protocolError,
  "frame-size": H2_CODE.frameSizeError,
  "frame-stream": H2_CODE.protocolError,
  padding: H2_CODE.protocolError,
  continuation: H2_CODE.protocolError,
  push: H2_CODE.protocolError,
  "idle-stream": H2_CODE.protocolError,
  "closed-stream": H2_CODE.streamClosed,
  "settings-value": H2_CODE.protocolError,
  "settings-window": H2_CODE.flowControlError,
  "window-update": H2_CODE.protocolError,
  "window-overflow": H2_CODE.flowControlError,
  "flow-control": H2_CODE.flowControlError,
  compression: H2_CODE.compressionError,
  "block-too-large": H2_CODE.enhanceYourCalm,
  "continuation-flood": H2_CODE.enhanceYourCalm,
  flood: H2_CODE.enhanceYourCalm,
  /** We could not send what the peer makes us answer: it does not read. */
  "output-full": H2_CODE.enhanceYourCalm,
  "settings-timeout": H2_CODE.settingsTimeout,
  "ping-timeout": H2_CODE.noError,
} as const;

/** Why a connection failed. */
export type ConnectionFault = keyof typeof CONNECTION_FAULTS;

/** Why we reset a stream, each with the code that its RST_STREAM carries. */
export const STREAM_FAULTS = {
  status: H2_CODE.protocolError,
  "pseudo-field": H2_CODE.protocolError,
  "field-name": H2_CODE.protocolError,
  "connection-field": H2_CODE.protocolError,
  "section-too-large": H2_CODE.cancel,
  "informational-count": H2_CODE.enhanceYourCalm,
  "informational-end": H2_CODE.protocolError,
  "data-before-head": H2_CODE.protocolError,
  /** The body is longer or shorter than its head says, or there is one where there is none to be (RFC 9113 8.1.1). */
  "body-length": H2_CODE.protocolError,
  "trailers-without-end": H2_CODE.protocolError,
  "after-end": H2_CODE.streamClosed,
  "flow-control": H2_CODE.flowControlError,
  "window-update": H2_CODE.protocolError,
  "window-overflow": H2_CODE.flowControlError,
} as const;

/** Why we reset a stream. */
export type StreamFault = keyof typeof STREAM_FAULTS;
