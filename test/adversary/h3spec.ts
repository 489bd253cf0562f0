/**
 * The cases of h3spec (github.com/kazu-yamamoto/h3spec, a server tester in Haskell) and the case of ours that sends the same. Its newest
 * source that could be read is 0.1.13: 49 cases, without one that it has in a comment as no MUST. 0.1.14 is said to have 77.
 */
import type { Http3Case } from "./http3-case.ts";
import { FRAME_TABLE } from "./http3-frames.ts";
import { HEAD_TABLE } from "./http3-heads.ts";
import { SECTION_TABLE } from "./http3-sections.ts";
import { PROBES } from "./transport-table.ts";

/** One case of h3spec. */
export interface H3specCase {
  /** Its name there, without "MUST send". */
  readonly name: string;
  /** Row and name of ours; null: there is none. */
  readonly ours: { readonly row: number; readonly name: string } | null;
  /** Null: it passes. Else why it does not, or why there is none of ours. */
  readonly missing: string | null;
}

const NO_EARLY_DATA = "0-RTT is off: such a packet cannot be read and is dropped";

/** Name, and row and name of ours, or why there is none. */
const NAMED: readonly (readonly [name: string, ours: readonly [row: number, name: string] | string])[] = [
  ["H3_FRAME_UNEXPECTED if DATA is received before HEADERS [HTTP/3 4.1]", [1, "DATA before HEADERS"]],
  ["H3_MESSAGE_ERROR if a pseudo-header is duplicated [HTTP/3 4.1.1]", [16, "two :method"]],
  ["H3_MESSAGE_ERROR if mandatory pseudo-header fields are absent [HTTP/3 4.1.3]", [26, "neither :authority nor Host"]],
  ["H3_MESSAGE_ERROR if prohibited pseudo-header fields are present [HTTP/3 4.1.3]", [16, "an unknown pseudo-field"]],
  ["H3_MESSAGE_ERROR if pseudo-header fields exist after fields [HTTP/3 4.1.3]", [16, "a pseudo-field after a field"]],
  [
    "H3_MISSING_SETTINGS if the first control frame is not SETTINGS [HTTP/3 6.2.1]",
    [2, "MAX_PUSH_ID is the first frame of the control stream"],
  ],
  [
    "H3_FRAME_UNEXPECTED if a DATA frame is received on a control stream [HTTP/3 7.2.1]",
    [5, "DATA on the control stream"],
  ],
  [
    "H3_FRAME_UNEXPECTED if a HEADERS frame is received on a control stream [HTTP/3 7.2.2]",
    [5, "HEADERS on the control stream"],
  ],
  ["H3_FRAME_UNEXPECTED if a second SETTINGS frame is received [HTTP/3 7.2.4]", [3, "SETTINGS twice"]],
  ["H3_SETTINGS_ERROR if HTTP/2 settings are included [HTTP/3 7.2.4.1]", [4, "setting 2 of HTTP/2"]],
  [
    "H3_FRAME_UNEXPECTED if CANCEL_PUSH is received in a request stream [HTTP/3 7.2.5]",
    [6, "CANCEL_PUSH on a request stream"],
  ],
  [
    "QPACK_DECOMPRESSION_FAILED if an invalid static table index exits in a field line representation [QPACK 3.1]",
    [13, "static index 99"],
  ],
  [
    "QPACK_ENCODER_STREAM_ERROR if a new dynamic table capacity value exceeds the limit [QPACK 4.1.3]",
    [13, "a table capacity over the limit"],
  ],
  ["H3_CLOSED_CRITICAL_STREAM if a control stream is closed [QPACK 4.2]", [8, "FIN on the control stream"]],
  ["QPACK_DECODER_STREAM_ERROR if Insert Count Increment is 0 [QPACK 4.4.3]", [13, "Insert Count Increment 0"]],
  [
    "FLOW_CONTROL_ERROR if a STREAM frame with a large offset is received [Transport 4.1]",
    [46, "STREAM with bytes beyond the stream's window"],
  ],
  ["STREAM_LIMIT_ERROR if a stream ID exceeding the limit", [46, "STREAM for a bidirectional stream over the limit"]],
  [
    "TRANSPORT_PARAMETER_ERROR if initial_source_connection_id is missing [Transport 7.3]",
    [48, "initial_source_connection_id missing"],
  ],
  [
    "TRANSPORT_PARAMETER_ERROR if original_destination_connection_id is received [Transport 18.2]",
    [48, "original_destination_connection_id, which is a server's"],
  ],
  [
    "TRANSPORT_PARAMETER_ERROR if preferred_address, is received [Transport 18.2]",
    [48, "preferred_address, which is a server's"],
  ],
  [
    "TRANSPORT_PARAMETER_ERROR if retry_source_connection_id is received [Transport 18.2]",
    [48, "retry_source_connection_id, which is a server's"],
  ],
  [
    "TRANSPORT_PARAMETER_ERROR if stateless_reset_token is received [Transport 18.2]",
    [48, "stateless_reset_token, which is a server's"],
  ],
  [
    "TRANSPORT_PARAMETER_ERROR if max_udp_payload_size < 1200 [Transport 7.4 and 18.2]",
    [48, "max_udp_payload_size 1199"],
  ],
  ["TRANSPORT_PARAMETER_ERROR if ack_delay_exponen > 20 [Transport 7.4 and 18.2]", [48, "ack_delay_exponent 21"]],
  ["TRANSPORT_PARAMETER_ERROR if max_ack_delay >= 2^14 [Transport 7.4 and 18.2]", [48, "max_ack_delay 2^14"]],
  [
    "FRAME_ENCODING_ERROR if a frame of unknown type is received [Transport 12.4]",
    [49, "an unknown frame type of one byte"],
  ],
  ["PROTOCOL_VIOLATION on no frames [Transport 12.4]", [49, "a packet without frames"]],
  [
    "PROTOCOL_VIOLATION if reserved bits in Handshake are non-zero [Transport 17.2]",
    [51, "reserved bits set in a Handshake packet"],
  ],
  [
    "PROTOCOL_VIOLATION if PATH_CHALLENGE in Handshake is received [Transport 17.2.4]",
    [49, "PATH_CHALLENGE in a Handshake packet"],
  ],
  [
    "PROTOCOL_VIOLATION if reserved bits in Short are non-zero [Transport 17.2]",
    [51, "reserved bits set in a 1-RTT packet"],
  ],
  [
    "STREAM_STATE_ERROR if RESET_STREAM is received for a send-only stream [Transport 19.4]",
    [47, "RESET_STREAM on a stream that only the server sends on"],
  ],
  [
    "STREAM_STATE_ERROR if STOP_SENDING is received for a non-existing stream [Transport 19.5]",
    [47, "STOP_SENDING on a server's stream that does not exist"],
  ],
  ["PROTOCOL_VIOLATION if NEW_TOKEN is received [Transport 19.7]", [50, "NEW_TOKEN"]],
  [
    "STREAM_STATE_ERROR if it receives a STREAM frame for a locally-initiated stream that has not yet been created [Transport 19.8]",
    [47, "STREAM on a server's stream that does not exist"],
  ],
  [
    "STREAM_STATE_ERROR if it receives a STREAM frame for a send-only stream [Transport 19.8]",
    [47, "STREAM on a stream that only the server sends on"],
  ],
  [
    "STREAM_STATE_ERROR if MAX_STREAM_DATA is received for a stream that has not yet been created [Transport 19.10]",
    [47, "MAX_STREAM_DATA on a server's stream that does not exist"],
  ],
  [
    "STREAM_STATE_ERROR if MAX_STREAM_DATA is received for a receive-only stream [Transport 19.10]",
    [47, "MAX_STREAM_DATA on a stream that only the client sends on"],
  ],
  ["FRAME_ENCODING_ERROR if invalid MAX_STREAMS is received [Transport 19.11]", [46, "MAX_STREAMS of more than 2^60"]],
  [
    "STREAM_LIMIT_ERROR or FRAME_ENCODING_ERROR if invalid STREAMS_BLOCKED is received [Transport 19.14]",
    [46, "STREAMS_BLOCKED at more than 2^60"],
  ],
  [
    "FRAME_ENCODING_ERROR if NEW_CONNECTION_ID with invalid Retire_Prior_To is received [Transport 19.15]",
    [49, "NEW_CONNECTION_ID that retires more than there are"],
  ],
  [
    "FRAME_ENCODING_ERROR if NEW_CONNECTION_ID with 0-byte CID is received [Transport 19.15]",
    [49, "NEW_CONNECTION_ID with an id of no bytes"],
  ],
  ["PROTOCOL_VIOLATION if HANDSHAKE_DONE is received [Transport 19.20]", [50, "HANDSHAKE_DONE"]],
  [
    "unexpected_message TLS alert if KeyUpdate in Handshake is received [TLS 6]",
    [49, "KeyUpdate of TLS in a Handshake packet"],
  ],
  [
    "unexpected_message TLS alert if KeyUpdate in 1-RTT is received [TLS 6]",
    [49, "KeyUpdate of TLS in a 1-RTT packet"],
  ],
  ["no_application_protocol TLS alert if no application protocols are supported [TLS 8.1]", [52, "no ALPN at all"]],
  [
    "missing_extension TLS alert if the quic_transport_parameters extension does not included [TLS 8.2]",
    [48, "no transport parameters at all"],
  ],
  [
    "missing_extension TLS alert if the quic_transport_parameters extension does not included [TLS 8.2]",
    [48, "no transport parameters at all"],
  ],
  [
    "unexpected_message TLS alert if EndOfEarlyData is received [TLS 8.3]",
    [49, "EndOfEarlyData of TLS in a Handshake packet"],
  ],
  ["PROTOCOL_VIOLATION if CRYPTO in 0-RTT is received [TLS 8.3]", NO_EARLY_DATA],
];

/** All of them, in its order. */
export const H3SPEC: readonly H3specCase[] = NAMED.map(([name, ours]) => {
  if (typeof ours === "string") return { name, ours: null, missing: ours };
  const [row, own] = ours;
  return { name, ours: { row, name: own }, missing: gapOf(row, own) };
});

function gapOf(row: number, name: string): string | null {
  const tables: readonly Http3Case[] = [...FRAME_TABLE, ...SECTION_TABLE, ...HEAD_TABLE];
  const http = tables.find((entry) => entry.row === row && entry.name === name);
  const probe = PROBES.find((entry) => entry.row === row && entry.stimulus === name);
  if (http === undefined && probe === undefined) return `no table has row ${row}, ${name}`;
  return http?.gap ?? probe?.gap ?? null;
}
