/** The page that lists the cases of HTTP/3 which the adversarial suite plays: what is sent, what comes, and whose decision it is. */
import { H3SPEC } from "../test/adversary/h3spec.ts";
import type { Http3Answer, Http3Case } from "../test/adversary/http3-case.ts";
import { FRAME_TABLE } from "../test/adversary/http3-frames.ts";
import { HEAD_TABLE } from "../test/adversary/http3-heads.ts";
import { SECTION_TABLE } from "../test/adversary/http3-sections.ts";

/** Codes of RFC 9114 8.1 and RFC 9204 6. */
const NAMES: Readonly<Record<number, string>> = {
  0x103: "H3_STREAM_CREATION_ERROR",
  0x104: "H3_CLOSED_CRITICAL_STREAM",
  0x105: "H3_FRAME_UNEXPECTED",
  0x106: "H3_FRAME_ERROR",
  0x107: "H3_EXCESSIVE_LOAD",
  0x108: "H3_ID_ERROR",
  0x109: "H3_SETTINGS_ERROR",
  0x10a: "H3_MISSING_SETTINGS",
  0x10d: "H3_REQUEST_INCOMPLETE",
  0x10e: "H3_MESSAGE_ERROR",
  0x200: "QPACK_DECOMPRESSION_FAILED",
};

/** The page, as Markdown that is not laid out yet. `table` makes a table of a head and rows. */
export function http3CasesPage(
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => string,
): string {
  const all = [...FRAME_TABLE, ...SECTION_TABLE, ...HEAD_TABLE];
  const gaps = all.filter(({ gap }) => gap !== undefined);
  const passing = H3SPEC.filter(({ missing }) => missing === null).length;
  return [
    "# What becomes of broken HTTP/3",
    INTRODUCTION,
    "## Known gaps",
    `${gaps.length} of ${all.length} cases are answered otherwise than their row requires. quiche decides all of them; what can be mended around it is.`,
    table(
      ["Row", "What is sent", "What comes", "Why"],
      gaps.map((entry) => [...cells(entry), entry.gap ?? ""]),
    ),
    "## Frames and streams",
    table(HEAD, FRAME_TABLE.map(row)),
    "## Field sections",
    table(HEAD, SECTION_TABLE.map(row)),
    "## Request heads",
    "A reset is one of the stream, with that code in RESET_STREAM and in STOP_SENDING; the connection goes on.",
    table(HEAD, HEAD_TABLE.map(row)),
    "## Beside h3spec",
    `[h3spec](https://github.com/kazu-yamamoto/h3spec) 0.1.13 has ${H3SPEC.length} cases. ${passing} of them pass here. They are sent by the clients of this suite, since h3spec itself needs a Haskell compiler newer than those that systems ship. Its version 0.1.14 has more, and its list could not be read.`,
    table(["h3spec: MUST send", "Row", "Case", "Passes"], H3SPEC.map(specRow)),
  ].join("\n\n");
}

const HEAD = ["Row", "What is sent", "What comes", "Decided by"];

const INTRODUCTION = `Rows are those of the adversarial suite (\`test/adversary/rows.ts\`), which plays each of these cases against the program with Cloudflare's h3i: it
sends what is written here, and then a good request, on the same connection where that is still there and on a fresh one in any case. Where the answer is a reset or a
status that the proxy gives itself, the record of the backend, byte by byte, holds the good request alone. quiche reads frames and decodes fields, and closes the connection where it finds a fault;
what a message may say is ours to judge. The transport has [a page of its own](transport-cases.md), and so have [attacks](attacks.md).`;

function row(entry: Http3Case): readonly string[] {
  return [...cells(entry), entry.gap === undefined ? entry.by : `${entry.by}, gap`];
}

function cells({ row: number, name, answer }: Http3Case): readonly string[] {
  return [String(number), name, answerText(answer)];
}

function answerText(answer: Http3Answer): string {
  if ("status" in answer) return String(answer.status);
  return "close" in answer ? `connection closed, ${codeText(answer.close)}` : `reset, ${codeText(answer.reset)}`;
}

function codeText(code: number): string {
  const name = NAMES[code];
  return `0x${code.toString(16)}${name === undefined ? "" : ` ${name}`}`;
}

function specRow({ name, ours, missing }: (typeof H3SPEC)[number]): readonly string[] {
  const own = ours === null ? ["", ""] : [String(ours.row), ours.name];
  return [name, ...own, missing === null ? "yes" : `no: ${missing}`];
}
