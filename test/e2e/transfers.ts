/** Transfers that last until their client has heard both GOAWAYs. */
import type { AioquicStep } from "../interop/aioquic.ts";

/** The id of the first GOAWAY, 2^62 - 4, as JSON reads it. */
export const HIGHEST_ID = 2 ** 62;
const HELD_BYTES = 50_000;

/** What each connection does: two downloads and two uploads that end only after both GOAWAYs, and a request that is begun after them. */
export const TRANSFERS: readonly AioquicStep[] = [
  { do: "start", id: "body", path: `/hold-body?bytes=${HELD_BYTES}` },
  { do: "start", id: "head", path: "/hold" },
  { do: "start", id: "echo", method: "POST", path: "/echo", body: { text: "before " }, fin: false },
  { do: "start", id: "upload", method: "POST", path: "/upload", body: { bytes: 200_000 }, fin: false },
  { do: "start", id: "long", path: "/bytes/3000000?seed=long" },
  { do: "wait_bytes", id: "body", bytes: HELD_BYTES },
  { do: "wait_bytes", id: "echo", bytes: 7 },
  { do: "say", text: "here" },
  { do: "wait_goaway", count: 2 },
  { do: "say", text: "told" },
  { do: "send", id: "echo", text: "after" },
  { do: "finish", id: "echo" },
  { do: "send", id: "upload", text: "and the end" },
  { do: "finish", id: "upload" },
  { do: "request", id: "late", path: "/small" },
  { do: "wait" },
  { do: "wait_closed" },
];

/** Bytes of the answers to those that have no answer in JSON. */
export const TRANSFER_BYTES = { body: HELD_BYTES + 8, head: 5, echo: 12, long: 3_000_000 } as const;
