/** Plays the tables of HTTP/3: frames and streams, field sections, request heads. */
import { expect } from "bun:test";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";
import { GET, goodbye, REQUEST, request, resultOf } from "../frame-steps.ts";
import type { H3iField, H3iStep } from "../h3i.ts";
import type { Http3Case } from "../http3-case.ts";
import { FRAME_TABLE } from "../http3-frames.ts";
import { HEAD_TABLE } from "../http3-heads.ts";
import { SECTION_TABLE } from "../http3-sections.ts";
import type { Recorder } from "../recorder.ts";

/** Rows 1 to 31 and 43, as far as they can be said by frames and fields alone. */
export const HTTP3_CASES: readonly Case[] = [...FRAME_TABLE, ...SECTION_TABLE, ...HEAD_TABLE].map((entry) => ({
  row: entry.row,
  name: entry.name,
  needs: ["h3i"],
  ...(entry.gap === undefined ? {} : { gap: entry.gap }),
  run: (bed) => ("close" in entry.answer ? expectClose(bed, entry, entry.answer.close) : expectAnswer(bed, entry)),
}));

/** The connection is closed by the proxy, and no backend has seen a whole request. */
async function expectClose(bed: Bed, { steps }: Http3Case, code: number): Promise<void> {
  const { closed } = await bed.h3i({ steps });
  expect(closed).toMatchObject({ by: "peer", application: true, code });
  const { requests, text } = await bed.recorder();
  expect(requests).toEqual([]);
  if (!steps.some(isRequest)) expect(text).toBe("");
}

/**
 * The first request gets this answer and the connection lives: another request on it is served. Of both the backend has got what it must
 * have, and not a byte more.
 */
async function expectAnswer(bed: Bed, entry: Http3Case): Promise<void> {
  const { steps, answer } = entry;
  const next = REQUEST + 4;
  const wait: H3iStep = { do: "wait", stream: REQUEST, until: "end" };
  const outcome = await bed.h3i({ steps: [...steps, ...endOf(steps), wait, request(NEXT, next), ...goodbye(next)] });
  expect<unknown>(resultOf(outcome)).toEqual(answer);
  expect([outcome.closed.by, resultOf(outcome, next)]).toEqual(["client", { status: 200 }]);
  expectRecord(await bed.recorder(), entry);
}

function expectRecord({ connections, requests, text }: Recorder, { answer, sent, begun }: Http3Case): void {
  const isServed = "status" in answer && answer.status === 200;
  expect(requests).toHaveLength(isServed ? 2 : 1);
  if (isServed) expect(requests[0]?.match(sent ?? /^GET \/ HTTP\/1\.1$/gm)).toHaveLength(1);
  expect(requests.at(-1)).toStartWith("GET /next HTTP/1.1\r\n");
  // A GET that carried a body, be it an empty one, ends its connection: servers that leave it unread would take it for a request.
  const isCarried = isServed && /^transfer-encoding:/im.test(requests[0] ?? "");
  const ownText = isCarried ? requests.at(-1) : requests.join("");
  const own = connections.find((connection) => connection.text === ownText);
  expect(own?.ended).toBe(false);
  const others = connections.filter((connection) => connection !== own);
  if (isCarried) expect(others.map(({ text: bytes, ended }) => [bytes, ended])).toEqual([[requests[0] ?? "", true]]);
  else if (begun === true) expect(others.map(({ ended }) => ended)).toEqual(others.map(() => true));
  else expect(others).toEqual([]);
  expect(text).not.toContain("evil");
}

const NEXT: readonly H3iField[] = [...GET.slice(0, -1), [":path", "/next"]];

/** What is missing to end the request of the steps. */
function endOf(steps: readonly H3iStep[]): H3iStep[] {
  if (steps.some((step) => "fin" in step && step.fin === true && step.stream === REQUEST)) return [];
  return steps.some(isRequest) ? [{ do: "bytes", stream: REQUEST, fin: true }] : [request()];
}

function isRequest(step: H3iStep): boolean {
  return step.do === "headers" && step.stream === REQUEST;
}
