/**
 * Hostile HTTP/1.1 backends as the rest of the proxy meets them: one typed failure that names the fault, a connection that is never
 * used again, other requests that go on, and a next request on a fresh connection.
 */
import { describe, expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { H1Upstream } from "../../../src/upstream/native/h1-upstream.ts";
import { ManualTimers } from "../../support/manual-timers.ts";
import { ScriptedNetwork } from "../../support/scripted-streams.ts";
import { backendOf, begin, type Outcome, PATIENT, poolOf, requestTo } from "../../support/upstream-calls.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const FINE = `${OK}Content-Length: 4\r\n\r\nfine`;
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

function make() {
  const network = new ScriptedNetwork();
  const counters = new Counters();
  const upstream = new H1Upstream({
    ...{ timers: new ManualTimers(), counters, connect: network.connect, timeouts: PATIENT },
    targetOf: ({ host, port }) => ({ host, port, tls: null, connectTimeoutMs: 5000 }),
  });
  const pool = poolOf([backendOf("http://10.0.0.1:80")]);
  const ask = (): Outcome => begin(upstream, requestTo(pool)).outcome;
  return { network, counters, ask };
}

/** Until what was written in this turn has gone. */
async function settled(): Promise<void> {
  for (let i = 0; i < 4; i++) await Promise.resolve();
}

function expectFine(outcome: Outcome): void {
  expect([outcome.status, outcome.text, outcome.ended, outcome.failure]).toEqual([200, "fine", true, null]);
}

type Counter = "upstreamH1Refused" | "upstreamH1Limits";

const CASES: readonly (readonly [name: string, fault: string, counter: Counter, text: string])[] = [
  ["no HTTP", "not-http", "upstreamH1Refused", "\x15\x03\x01\x00\x02\x02\x46"],
  ["a bare LF", "bare-lf", "upstreamH1Refused", "HTTP/1.1 200 OK\n\n"],
  ["a folded line", "obs-fold", "upstreamH1Refused", `${OK}A: b\r\n c\r\n\r\n`],
  ["a space before the colon", "name-whitespace", "upstreamH1Refused", `${OK}Content-Length : 4\r\n\r\nfine`],
  ["a NUL in a value", "value-character", "upstreamH1Refused", `${OK}A: \0\r\n\r\n`],
  [
    "a length and a coding",
    "length-and-coding",
    "upstreamH1Refused",
    `${CHUNKED.slice(0, -2)}Content-Length: 4\r\n\r\n`,
  ],
  [
    "two lengths",
    "content-length-conflict",
    "upstreamH1Refused",
    `${OK}Content-Length: 4\r\nContent-Length: 5\r\n\r\n`,
  ],
  ["an unknown coding", "transfer-coding", "upstreamH1Refused", `${OK}Transfer-Encoding: x\r\n\r\n`],
  ["a 101 that nobody asked for", "unexpected-upgrade", "upstreamH1Refused", "HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n"],
  ["a chunk that is no chunk", "chunk-size", "upstreamH1Refused", `${CHUNKED}zz\r\n`],
  ["a chunk without its end", "chunk-end", "upstreamH1Refused", `${CHUNKED}1\r\nabc`],
  ["a head without end", "head-too-large", "upstreamH1Limits", `${OK}A: ${"b".repeat(LIMITS.h1HeadBytesMax)}`],
  [
    "fields without end",
    "too-many-fields",
    "upstreamH1Limits",
    `${OK}${"A: b\r\n".repeat(LIMITS.fieldsPerSectionMax + 1)}`,
  ],
  [
    "interim heads without end",
    "too-many-informational",
    "upstreamH1Limits",
    "HTTP/1.1 103 X\r\n\r\n".repeat(LIMITS.h1InformationalMax + 1),
  ],
  [
    "extensions without end",
    "chunk-extensions-too-large",
    "upstreamH1Limits",
    `${CHUNKED}1;${"x".repeat(LIMITS.h1ChunkExtensionBytesMax + 1)}`,
  ],
  [
    "trailers without end",
    "trailers-too-large",
    "upstreamH1Limits",
    `${CHUNKED}0\r\nA: ${"b".repeat(LIMITS.h1TrailerBytesMax)}`,
  ],
];

describe("a response that is refused:", () => {
  for (const [name, fault, counter, text] of CASES)
    test(`${name}: ${fault}, counted as ${counter}`, async () => {
      const { network, counters, ask } = make();
      const first = ask();
      const hostile = network.last.open();
      const second = ask();
      const friendly = network.last.open();
      await settled();
      // Byte strings: one byte for each character.
      hostile.send(Array.from(text, (character) => character.charCodeAt(0)));
      await settled();
      expect(first.failure?.code).toBe("UPSTREAM_PROTOCOL");
      expect(first.failure?.message).toContain(`(${fault})`);
      expect([first.late, counters[counter], hostile.abandoned]).toEqual([0, 1, true]);
      friendly.send(FINE);
      expectFine(second);
      // The friendly one is used again, the hostile one never.
      const third = ask();
      await settled();
      expect(network.streams.length).toBe(2);
      friendly.send(FINE);
      expectFine(third);
    });
});

describe("a connection is not used again", () => {
  for (const [name, first, behind] of [
    ["after surplus bytes with the answer", `${FINE}x`, ""],
    ["after surplus bytes while it is idle", FINE, "x"],
    ["after a whole second answer", `${FINE}${FINE}`, ""],
    ["after a second answer while it is idle", FINE, FINE],
    ["after an answer that says close", `${OK}Connection: close\r\nContent-Length: 4\r\n\r\nfine`, ""],
    ["after an answer of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine", ""],
  ] as const)
    test(name, async () => {
      const { network, ask } = make();
      const outcome = ask();
      const stream = network.last.open();
      await settled();
      stream.send(first);
      if (behind !== "") stream.send(behind);
      expectFine(outcome);
      expect(stream.abandoned).toBe(true);
      const next = ask();
      expect(network.streams.length).toBe(2);
      network.last.open();
      await settled();
      network.last.send(FINE);
      expectFine(next);
    });
});
