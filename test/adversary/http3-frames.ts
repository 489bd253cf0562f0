/**
 * Frames and streams where HTTP/3 does not allow them (RFC 9114 4.1, 6 and 7). quiche reads them and decides; cases whose answer is
 * not the required one are gaps.
 */
import {
  CONTROL,
  FRAME,
  GET,
  hello,
  QPACK_DECODER,
  QPACK_ENCODER,
  REQUEST,
  SPARE,
  UNI,
  varint,
} from "./frame-steps.ts";
import type { H3iStep } from "./h3i.ts";
import type { Http3Case } from "./http3-case.ts";

const H3_STREAM_CREATION_ERROR = 0x103;
const H3_CLOSED_CRITICAL_STREAM = 0x104;
const H3_FRAME_UNEXPECTED = 0x105;
const H3_FRAME_ERROR = 0x106;
const H3_ID_ERROR = 0x108;
const H3_SETTINGS_ERROR = 0x109;
const H3_MISSING_SETTINGS = 0x10a;
const H3_REQUEST_CANCELLED = 0x10c;
const H3_REQUEST_INCOMPLETE = 0x10d;
const H3_MESSAGE_ERROR = 0x10e;
/** quiche's own number for a frame that ends too early, in place of a code of HTTP/3. */
const BUFFER_TOO_SHORT = 0x999;

const HEAD: H3iStep = { do: "headers", stream: REQUEST, fields: GET };
/** Answered without a backend. */
const BAD_HEAD = [...GET.slice(0, -1), [":path", ""]] as const;
const BODY: H3iStep = { do: "frame", stream: REQUEST, type: FRAME.data, hex: "6162" };
const TRAILERS: H3iStep = { do: "headers", stream: REQUEST, fields: [["x-end", "1"]] };
const CUT_HEADERS = {
  do: "frame",
  stream: REQUEST,
  type: FRAME.headers,
  hex: "0000d1",
  length: 100,
  fin: true,
} as const;
const CUT_BODY = { do: "frame", stream: REQUEST, type: FRAME.data, hex: "6162", length: 9, fin: true } as const;

/** A frame without FIN. */
function frame(stream: number, type: number, hex: string = ""): H3iStep {
  return { do: "frame", stream, type, hex };
}

/** Rows 1 to 12 and 15. */
export const FRAME_TABLE: readonly Http3Case[] = [
  closes(1, "DATA before HEADERS", H3_FRAME_UNEXPECTED, [...hello(), BODY]),
  ...(["GOAWAY", "MAX_PUSH_ID"] as const).map((name) =>
    closes(2, `${name} is the first frame of the control stream`, H3_MISSING_SETTINGS, [
      { do: "uni", stream: CONTROL, type: UNI.control },
      frame(CONTROL, name === "GOAWAY" ? FRAME.goaway : FRAME.maxPushId, "00"),
    ]),
  ),
  closes(3, "SETTINGS twice", H3_FRAME_UNEXPECTED, [...hello(), frame(CONTROL, FRAME.settings)]),
  ...[0x2, 0x3, 0x4, 0x5].map((id) => closes(4, `setting ${id} of HTTP/2`, H3_SETTINGS_ERROR, hello(setting(id, 1)))),
  serves(4, "the same setting twice", hello(setting(0x6, 100) + setting(0x6, 100)), {
    gap: "quiche takes the last one; RFC 9114 7.2.4 lets a receiver close with 0x109 and does not make it",
  }),
  closes(5, "DATA on the control stream", H3_FRAME_UNEXPECTED, [...hello(), frame(CONTROL, FRAME.data, "61")]),
  closes(5, "HEADERS on the control stream", H3_FRAME_UNEXPECTED, [
    ...hello(),
    { do: "headers", stream: CONTROL, fields: GET },
  ]),
  ...(
    [
      ["CANCEL_PUSH", FRAME.cancelPush, "00"],
      ["SETTINGS", FRAME.settings, ""],
      ["GOAWAY", FRAME.goaway, "00"],
      ["MAX_PUSH_ID", FRAME.maxPushId, "00"],
    ] as const
  ).map(([name, type, hex]) =>
    closes(6, `${name} on a request stream`, H3_FRAME_UNEXPECTED, [...hello(), frame(REQUEST, type, hex)]),
  ),
  ...[0x2, 0x6, 0x8, 0x9].map((type) =>
    serves(6, `frame type ${type} of HTTP/2 on a request stream`, [...hello(), frame(REQUEST, type, "00"), HEAD], {
      gap: "quiche skips it like any unknown frame; RFC 9114 7.2.8 asks for 0x105",
    }),
  ),
  closes(7, "a second control stream", H3_STREAM_CREATION_ERROR, secondStream(UNI.control)),
  closes(7, "a second QPACK encoder stream", H3_STREAM_CREATION_ERROR, secondStream(UNI.qpackEncoder)),
  closes(7, "a second QPACK decoder stream", H3_STREAM_CREATION_ERROR, secondStream(UNI.qpackDecoder)),
  ...(
    [
      ["control stream", CONTROL],
      ["QPACK encoder stream", QPACK_ENCODER],
      ["QPACK decoder stream", QPACK_DECODER],
    ] as const
  ).flatMap(([name, stream]) => [
    closes(8, `FIN on the ${name}`, H3_CLOSED_CRITICAL_STREAM, [
      ...hello(),
      { do: "flush" },
      { do: "bytes", stream, fin: true },
    ]),
    // A reset takes what was not read yet along, the stream's type too: an answer shows that all before it was read.
    closes(8, `RESET_STREAM on the ${name}`, H3_CLOSED_CRITICAL_STREAM, [
      ...hello(),
      { do: "headers", stream: REQUEST, fields: BAD_HEAD, fin: true },
      { do: "wait", stream: REQUEST, until: "end" },
      { do: "reset", stream, code: H3_REQUEST_CANCELLED },
    ]),
  ]),
  closes(9, "PUSH_PROMISE on a request stream", H3_FRAME_UNEXPECTED, [
    ...hello(),
    frame(REQUEST, FRAME.pushPromise, "000000"),
  ]),
  closes(9, "PUSH_PROMISE on the control stream", H3_FRAME_UNEXPECTED, [
    ...hello(),
    frame(CONTROL, FRAME.pushPromise, "000000"),
  ]),
  closes(9, "a push stream", H3_STREAM_CREATION_ERROR, secondStream(UNI.push)),
  closes(9, "MAX_PUSH_ID that shrinks", H3_ID_ERROR, [
    ...hello(),
    frame(CONTROL, FRAME.maxPushId, "05"),
    frame(CONTROL, FRAME.maxPushId, "04"),
  ]),
  serves(10, "unknown settings, frames around HEADERS, and a stream of an unknown type", [
    ...hello(setting(reserved(0), 7) + setting(reserved(9), 2 ** 40)),
    frame(CONTROL, reserved(3), "0102"),
    { do: "uni", stream: SPARE, type: reserved(5) },
    { do: "bytes", stream: SPARE, hex: "00ff00ff" },
    frame(REQUEST, reserved(7), "03"),
    HEAD,
    frame(REQUEST, reserved(8)),
  ]),
  incomplete(
    11,
    "FIN inside a HEADERS frame",
    CUT_HEADERS,
    "quiche tells of an empty stream's end, so the stream gets 0x10d and not the connection 0x106",
  ),
  incomplete(
    11,
    "FIN inside a frame's type",
    { do: "bytes", stream: REQUEST, hex: "40", fin: true },
    "as inside a HEADERS frame",
  ),
  serves(11, "FIN inside a DATA frame of a request without Content-Length", [...hello(), HEAD, CUT_BODY], {
    gap: "quiche gives the bytes and then an end like any other, so the body passes for whole; RFC 9114 7.1 asks for 0x106",
  }),
  {
    row: 11,
    name: "FIN inside a DATA frame of a request with Content-Length",
    steps: [...hello(), { do: "headers", stream: REQUEST, fields: [...GET, ["content-length", "9"]] }, CUT_BODY],
    answer: { reset: H3_MESSAGE_ERROR },
    by: "Spooky",
    begun: true,
    gap: "quiche does not tell of the cut frame, but the length does: the stream gets 0x10e and not the connection 0x106",
  },
  serves(11, "FIN inside trailers", [...hello(), HEAD, BODY, CUT_HEADERS], {
    gap: "quiche tells of an end like any other: the trailers are lost and the request passes for whole",
  }),
  serves(11, "GOAWAY with bytes behind its id", [...hello(), frame(CONTROL, FRAME.goaway, "0000"), HEAD], {
    gap: "quiche does not look behind the id; RFC 9114 7.1 asks for 0x106",
  }),
  closes(11, "MAX_PUSH_ID without an id", H3_FRAME_ERROR, [...hello(), frame(CONTROL, FRAME.maxPushId)]),
  closes(
    11,
    "SETTINGS cut inside a setting",
    BUFFER_TOO_SHORT,
    hello("06"),
    "quiche closes with 0x999, a number of its own, and not with 0x106",
  ),
  closes(12, "HEADERS after trailers", H3_FRAME_UNEXPECTED, [...hello(), HEAD, BODY, TRAILERS, TRAILERS]),
  closes(12, "HEADERS after trailers of a request without a body", H3_FRAME_UNEXPECTED, [
    ...hello(),
    HEAD,
    TRAILERS,
    TRAILERS,
  ]),
  closes(12, "DATA after trailers", H3_FRAME_UNEXPECTED, [...hello(), HEAD, BODY, TRAILERS, BODY]),
  {
    row: 12,
    name: "DATA after trailers of a request without a body",
    steps: [...hello(), HEAD, TRAILERS, BODY],
    answer: { reset: H3_MESSAGE_ERROR },
    by: "Spooky",
    begun: true,
    gap: "quiche lets it pass where no DATA came before the trailers; the stream gets 0x10e and not the connection 0x105",
  },
  incomplete(15, "FIN on an empty request stream", { do: "bytes", stream: REQUEST, fin: true }),
];

/** A good beginning, and then a unidirectional stream that there may not be. */
function secondStream(type: number): H3iStep[] {
  return [...hello(), { do: "uni", stream: SPARE, type }];
}

/** The connection is closed with a code of HTTP/3. */
function closes(row: number, name: string, close: number, steps: readonly H3iStep[], gap?: string): Http3Case {
  return { row, name, steps, answer: { close }, by: "quiche", ...(gap === undefined ? {} : { gap }) };
}

/** Nothing of it disturbs the request of the steps, or the one after them if they have none. */
function serves(row: number, name: string, steps: readonly H3iStep[], rest: { readonly gap?: string } = {}): Http3Case {
  return { row, name, steps, answer: { status: 200 }, by: "quiche", ...rest };
}

/** The stream ends without a request. */
function incomplete(row: number, name: string, step: H3iStep, gap?: string): Http3Case {
  const answer = { reset: H3_REQUEST_INCOMPLETE };
  return { row, name, steps: [...hello(), step], answer, by: "Spooky", ...(gap === undefined ? {} : { gap }) };
}

/** A type or id that is kept free so that nobody may know it (RFC 9114 7.2.8). */
function reserved(n: number): number {
  return 0x1f * n + 0x21;
}

function setting(id: number, value: number): string {
  return varint(id) + varint(value);
}
