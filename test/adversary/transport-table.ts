/**
 * What a client may do wrong below HTTP/3, and what the server then sends: rows 46 to 52 of the adversarial suite. The cases play this
 * table, and `docs/transport-cases.md` is made from it. All of it is decided inside quiche; where that is not what the row requires, the
 * table holds what is seen, and `gap` says what is missing.
 */
import type { TransportPlan } from "./transport.ts";

/** One wrong thing. */
export interface Probe {
  readonly row: number;
  /** What is sent, in words. */
  readonly stimulus: string;
  /** Frames of one 1-RTT packet (hexadecimal), or a plan of its own. */
  readonly plan: string | Omit<TransportPlan, "port">;
  /** Code of the transport's CONNECTION_CLOSE that comes; null: none, and requests on the connection go on being answered. */
  readonly sent: number | null;
  /** What the row requires instead. */
  readonly gap?: string;
}

/** Codes of RFC 9000 20.1. */
export const CODES: Readonly<Record<number, string>> = {
  0x02: "CONNECTION_REFUSED",
  0x03: "FLOW_CONTROL_ERROR",
  0x04: "STREAM_LIMIT_ERROR",
  0x05: "STREAM_STATE_ERROR",
  0x06: "FINAL_SIZE_ERROR",
  0x07: "FRAME_ENCODING_ERROR",
  0x08: "TRANSPORT_PARAMETER_ERROR",
  0x0a: "PROTOCOL_VIOLATION",
  0x0d: "CRYPTO_BUFFER_EXCEEDED",
  0x10a: "CRYPTO_ERROR, alert unexpected_message",
  0x16d: "CRYPTO_ERROR, alert missing_extension",
  0x178: "CRYPTO_ERROR, alert no_application_protocol",
};

const [LIMIT, FLOW, STATE, FINAL, ENCODING, PARAMETER, VIOLATION] = [0x04, 0x03, 0x05, 0x06, 0x07, 0x08, 0x0a];
/** TLS's alert 10, as QUIC sends it. */
const UNEXPECTED_MESSAGE = 0x10a;
/** A varint of eight bytes. */
const wide = (value: bigint): string => (0xc000000000000000n + value).toString(16);
const TWO_60 = 1n << 60n;
/** A client's unidirectional stream that was opened: aioquic's QPACK decoder stream. */
const CLIENT_UNI = "0a";
/** The server's control stream. */
const SERVER_UNI = "03";
/** The server's first bidirectional stream, which HTTP/3 never opens. */
const SERVER_BIDI = "01";
const NCID = "18";
const TOKEN = "00".repeat(16);

/** In a packet of type Handshake, before the handshake is done. */
function inHandshake(frames: string, reserved: number = 0): Omit<TransportPlan, "port"> {
  return {
    steps: [
      { do: "handshake_keys" },
      { do: "packet", epoch: "handshake", frames, reserved },
      ...[{ do: "handshake" } as const, { do: "get", path: "/" } as const],
    ],
  };
}

/** With these transport parameters. */
function withParameters(parameters: TransportPlan["parameters"]): Omit<TransportPlan, "port"> {
  return {
    ...(parameters === undefined ? {} : { parameters }),
    steps: [{ do: "handshake" }, { do: "get", path: "/" }],
  };
}

const offering = (alpn: readonly string[]): Omit<TransportPlan, "port"> => ({
  alpn,
  steps: [{ do: "handshake" }, { do: "get", path: "/" }],
});

type Entry = readonly [stimulus: string, plan: Probe["plan"], sent: number | null, gap?: string];

const ENTRIES: Readonly<Record<number, readonly Entry[]>> = {
  46: [
    ["STREAM for a bidirectional stream over the limit", `08${(0x80000000 + 400_000).toString(16)}00`, LIMIT],
    ["STREAM for a unidirectional stream over the limit", `08${(0x80000000 + 400_002).toString(16)}00`, LIMIT],
    ["STREAM with bytes beyond the stream's window", `0c00${wide(1n << 40n)}00`, FLOW],
    ["STREAM that ends beyond 2^62 - 1", `0c00${wide((1n << 62n) - 1n)}0000`, ENCODING],
    ["STREAM with bytes behind a final size", "0f000a000e00140100", FINAL],
    ["RESET_STREAM with a final size below what was received", "0a0005aabbccddee04000002", FINAL],
    ["MAX_STREAMS of more than 2^60", `12${wide(TWO_60 + 1n)}`, ENCODING],
    ["STREAMS_BLOCKED at more than 2^60", `16${wide(TWO_60 + 1n)}`, ENCODING],
  ],
  47: [
    ["RESET_STREAM on a stream that only the server sends on", `04${SERVER_UNI}0000`, STATE],
    ["RESET_STREAM on a server's stream that does not exist", `04${SERVER_BIDI}0000`, STATE],
    ["STOP_SENDING on a stream that only the client sends on", `05${CLIENT_UNI}00`, STATE],
    ["STOP_SENDING on a server's stream that does not exist", `05${SERVER_BIDI}00`, STATE],
    ["STREAM on a stream that only the server sends on", `0a${SERVER_UNI}0100`, STATE],
    ["STREAM on a server's stream that does not exist", `0a${SERVER_BIDI}0100`, STATE],
    ["MAX_STREAM_DATA on a stream that only the client sends on", `11${CLIENT_UNI}4400`, STATE],
    ["MAX_STREAM_DATA on a server's stream that does not exist", `11${SERVER_BIDI}4400`, STATE],
    [
      "STREAM_DATA_BLOCKED on a stream that only the server sends on",
      ...([
        `15${SERVER_UNI}00`,
        null,
        "0x05 (RFC 9000 19.13); quiche reads the frame and does nothing with it",
      ] as const),
    ],
  ],
  48: [
    ["initial_source_connection_id missing", withParameters({ drop: ["f"] }), PARAMETER],
    [
      "initial_source_connection_id of another connection",
      withParameters({ set: { f: "0102030405060708" } }),
      PARAMETER,
    ],
    [
      "original_destination_connection_id, which is a server's",
      withParameters({ set: { 0: "0102030405060708" } }),
      PARAMETER,
    ],
    ["stateless_reset_token, which is a server's", withParameters({ set: { 2: TOKEN } }), PARAMETER],
    [
      "preferred_address, which is a server's",
      withParameters({ set: { d: `7f00000101bb${"00".repeat(18)}0401020304${TOKEN}` } }),
      PARAMETER,
    ],
    ["retry_source_connection_id, which is a server's", withParameters({ set: { 10: "0102" } }), PARAMETER],
    ["max_udp_payload_size 1199", withParameters({ set: { 3: "44af" } }), PARAMETER],
    ["ack_delay_exponent 21", withParameters({ set: { a: "15" } }), PARAMETER],
    ["max_ack_delay 2^14", withParameters({ set: { b: "80004000" } }), PARAMETER],
    ["active_connection_id_limit 1", withParameters({ set: { e: "01" } }), PARAMETER],
    ["initial_max_streams_bidi of more than 2^60", withParameters({ set: { 8: wide(TWO_60 + 1n) } }), PARAMETER],
    ["initial_max_data twice", withParameters({ add: [["4", "44ff"]] }), PARAMETER],
    ["no transport parameters at all", withParameters({ none: true }), 0x16d],
    ["an unknown parameter, which is none of these", withParameters({ set: { 1: "00" } }), null],
  ],
  49: [
    ["an unknown frame type of one byte", "21", ENCODING],
    ["an unknown frame type of two bytes", "4242", ENCODING],
    ["an unknown frame type in a Handshake packet", inHandshake("21000000"), ENCODING],
    ["a packet without frames", "", VIOLATION],
    ["a Handshake packet without frames", inHandshake(""), VIOLATION],
    [
      "a frame that ends before its fields do",
      "08",
      VIOLATION,
      "0x07 (RFC 9000 12.4); quiche has one code for all frames cut short",
    ],
    ["NEW_CONNECTION_ID with an id of no bytes", `${NCID}010000${TOKEN}`, ENCODING],
    ["NEW_CONNECTION_ID with an id of 21 bytes", `${NCID}010015${"11".repeat(21)}${TOKEN}`, ENCODING],
    ["NEW_CONNECTION_ID that retires more than there are", `${NCID}010508${"11".repeat(8)}${TOKEN}`, ENCODING],
    ["RETIRE_CONNECTION_ID of an id that was never given", "1920", VIOLATION],
    ["ACK of a packet that was never sent", "02800f4240000000", VIOLATION],
    ["CRYPTO far beyond what was read", `06${wide(1n << 30n)}0100`, 0x0d],
    ["STREAM in a Handshake packet", inHandshake("080000"), VIOLATION],
    ["PATH_CHALLENGE in a Handshake packet", inHandshake("1a0102030405060708"), VIOLATION],
    ["KeyUpdate of TLS in a Handshake packet", inHandshake("0600051800000100"), UNEXPECTED_MESSAGE],
    ["KeyUpdate of TLS in a 1-RTT packet", "0600051800000100", UNEXPECTED_MESSAGE],
    ["EndOfEarlyData of TLS in a Handshake packet", inHandshake("06000405000000"), UNEXPECTED_MESSAGE],
    ["DATAGRAM, which was not agreed on", "3000", VIOLATION],
  ],
  50: [
    ["NEW_TOKEN", "070401020304", VIOLATION],
    ["NEW_TOKEN without a token", "0700", ENCODING],
    ["HANDSHAKE_DONE", "1e", VIOLATION],
    ["HANDSHAKE_DONE in a Handshake packet", inHandshake("1e000000"), VIOLATION],
  ],
  51: [
    [
      "reserved bits set in a Handshake packet",
      ...([inHandshake("01000000", 3), null, "0x0a (RFC 9000 17.2); quiche does not look at these bits"] as const),
    ],
    [
      "reserved bits set in a 1-RTT packet",
      {
        steps: [{ do: "handshake" }, { do: "packet", frames: "01000000", reserved: 3 }, { do: "get", path: "/" }],
      },
      ...([null, "0x0a (RFC 9000 17.3.1); quiche does not look at these bits"] as const),
    ],
  ],
  52: [
    ["ALPN without h3", offering(["h2", "http/1.1"]), 0x178],
    ["no ALPN at all", offering([]), 0x178],
  ],
};

/** All of them, by row. */
export const PROBES: readonly Probe[] = Object.entries(ENTRIES).flatMap(([row, entries]) =>
  entries.map(([stimulus, plan, sent, gap]) => ({
    ...{ row: Number(row), stimulus, plan, sent },
    ...(gap === undefined ? {} : { gap }),
  })),
);
