/** What plans of h3i are made of: a good client's beginning, good requests, and bytes of QUIC and QPACK by hand. */
import type { H3iField, H3iOutcome, H3iStep } from "./h3i.ts";

/** Frame types (RFC 9114 7.2). */
export const FRAME = {
  data: 0x0,
  headers: 0x1,
  cancelPush: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  goaway: 0x7,
  maxPushId: 0xd,
  priorityUpdateRequest: 0xf0700,
} as const;

/** Types of unidirectional streams (RFC 9114 6.2, RFC 9204 4.2). */
export const UNI = { control: 0x0, push: 0x1, qpackEncoder: 0x2, qpackDecoder: 0x3 } as const;

/** A client's unidirectional streams, in the order in which `hello` opens them; `spare` are opened by nobody. */
export const CONTROL = 2;
export const QPACK_ENCODER = 6;
export const QPACK_DECODER = 10;
export const SPARE = 14;

/** A client's first request stream. */
export const REQUEST = 0;

/** A good GET. */
export const GET: readonly H3iField[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "shop.test"],
  [":path", "/"],
];

/** What every client says first: SETTINGS on its control stream, and its QPACK streams. */
export function hello(settings: string = ""): H3iStep[] {
  return [
    { do: "uni", stream: CONTROL, type: UNI.control },
    { do: "frame", stream: CONTROL, type: FRAME.settings, hex: settings },
    { do: "uni", stream: QPACK_ENCODER, type: UNI.qpackEncoder },
    { do: "uni", stream: QPACK_DECODER, type: UNI.qpackDecoder },
  ];
}

/** A request without a body. */
export function request(fields: readonly H3iField[] = GET, stream: number = REQUEST): H3iStep {
  return { do: "headers", stream, fields, fin: true };
}

/** Waits for the end of a request's answer, then leaves as a good client does. */
export function goodbye(stream: number = REQUEST): H3iStep[] {
  return [
    { do: "wait", stream, until: "end" },
    { do: "close", application: true, code: H3_NO_ERROR },
  ];
}

const H3_NO_ERROR = 0x100;

/** A number in QUIC's variable length (RFC 9000 16), hexadecimal. */
export function varint(value: number): string {
  const [bytes, prefix] =
    value < 0x40 ? [1, 0] : value < 0x4000 ? [2, 0x40] : value < 0x4000_0000 ? [4, 0x80] : [8, 0xc0];
  const digits = value.toString(16).padStart(bytes * 2, "0");
  return (Number.parseInt(digits.slice(0, 2), 16) | prefix).toString(16).padStart(2, "0") + digits.slice(2);
}

/** Fields of the answer on a stream. The proxy sends an unknown frame before its first answer, which clients must ignore. */
export function answerOf(outcome: H3iOutcome, stream: number = REQUEST): readonly H3iField[] | null {
  for (const seen of outcome.streams[stream] ?? []) if ("headers" in seen) return seen.headers;
  return null;
}

/** The status of the answer on a stream, or the code of its reset, or null. */
export function resultOf(outcome: H3iOutcome, stream: number = REQUEST): { status?: number; reset?: number } {
  const status = answerOf(outcome, stream)?.find(([name]) => name === ":status")?.[1];
  const reset = outcome.streams[stream]?.find((seen) => "reset" in seen);
  return {
    ...(status === undefined ? {} : { status: Number(status) }),
    ...(reset === undefined ? {} : { reset: reset.reset }),
  };
}
