/** HTTP/1.1 responses under damage: whatever comes, in whatever pieces, has one outcome. See `../rounds.ts`. */
import { expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { H1Connection } from "../../../src/h1/connection.ts";
import { bytesOf, everyCut, exchange, latin1Of, requestOf } from "../../unit/h1/exchanges.ts";
import { cutAtRandom } from "../../unit/h1/generated-responses.ts";
import { RecordingSink } from "../../unit/h1/recording-sink.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";
import { loadSeeds, mutate, pick } from "./corpus.ts";

const ROUNDS = fuzzRounds(20_000);
const SEED = FUZZ_SEED;
const SEEDS = loadSeeds();
const REQUESTS = [{}, { method: "HEAD" }, { upgradeTo: "websocket" }] as const;

/** What came of it; a byte too many may be noticed with the answer's end or after it. */
function eventsOf(pieces: readonly Uint8Array[], request: (typeof REQUESTS)[number]): string {
  const { events } = exchange({ ...request, pieces, close: "clean" });
  return events.map((event) => (event === "end reusable" ? "end" : event)).join("\n");
}

function expectOneOutcome(bytes: Uint8Array, cuts: Iterable<readonly Uint8Array[]>): void {
  for (const request of REQUESTS) {
    const whole = eventsOf([bytes], request);
    const last = whole.split("\n").at(-1) ?? "";
    // Data may hold line feeds; the last line is an event of its own all the same.
    if (!/^(end|error [a-z-]+( received)?)$/.test(last)) expect(latin1Of(bytes)).toBe("an exchange that ends once");
    for (const pieces of cuts) {
      const inPieces = eventsOf(pieces, request);
      if (inPieces !== whole)
        expect({ bytes: latin1Of(bytes), events: inPieces }).toEqual({ bytes: latin1Of(bytes), events: whole });
    }
  }
}

test("every kept seed has one outcome, however it is cut", () => {
  expect(SEEDS.length).toBeGreaterThan(20);
  for (const { bytes } of SEEDS) expectOneOutcome(bytes, [...everyCut(bytes)]);
});

test(
  `${ROUNDS} damaged seeds have one outcome each, however they are cut (seed ${SEED})`,
  () => {
    const random = Random.fromEntropy([SEED]);
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = mutate(SEEDS, random);
      expectOneOutcome(bytes, [cutAtRandom(bytes, random)]);
    }
  },
  FUZZ_HANGS_AFTER_MS,
);

test("nothing endless is taken for longer than its limit", () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
  const headBytesMax = LIMITS.h1HeadBytesMax;
  const endless: readonly (readonly [start: string, filling: string, bytesMax: number])[] = [
    ["HTTP/1.1 200 ", "r", headBytesMax],
    [ok, "n", headBytesMax],
    [`${ok}A: `, "v", headBytesMax],
    [`${ok}A:`, " ", headBytesMax],
    [ok, "A: b\r\n", headBytesMax],
    ["", "HTTP/1.1 103 X\r\n\r\n", headBytesMax],
    [chunked, "0", 1000],
    [`${chunked}1;`, "x", LIMITS.h1ChunkExtensionBytesMax + 1000],
    [chunked, "1;abcdef\r\nx\r\n", 3 * LIMITS.h1ChunkExtensionBytesMax],
    [`${chunked}0\r\n`, "A: b\r\n", LIMITS.h1TrailerBytesMax + 1000],
    [`${chunked}0\r\nA: `, "v", LIMITS.h1TrailerBytesMax + 1000],
  ];
  for (const [start, filling, bytesMax] of endless) {
    const connection = new H1Connection(new Counters());
    connection.start(requestOf(), false, new RecordingSink());
    connection.sent(connection.output.waitingBytes);
    connection.feed(bytesOf(start));
    const piece = bytesOf(filling);
    let fed = 0;
    for (; connection.state === "busy" && fed <= bytesMax; fed += piece.length) connection.feed(piece);
    expect({ start, filling, state: connection.state }).toEqual({ start, filling, state: "closed" });
  }
});

test(
  `owners that keep to the rules see each exchange end once, whatever the order of things (seed ${SEED})`,
  () => {
    const random = Random.fromEntropy([SEED, 2]);
    const ends = { reusable: 0, last: 0, failed: 0, cancelled: 0 };
    for (let round = 0; round < ROUNDS / 4; round++) {
      const connection = new H1Connection(new Counters());
      for (let exchanges = 0; exchanges < 4 && connection.state === "idle"; exchanges++) {
        ends[runExchange(connection, random)] += 1;
      }
    }
    for (const count of Object.values(ends)) expect(count).toBeGreaterThan(ROUNDS / 200);
  },
  FUZZ_HANGS_AFTER_MS,
);

function runExchange(connection: H1Connection, random: Random): "reusable" | "last" | "failed" | "cancelled" {
  const sink = new RecordingSink();
  const hasBody = random.nextBelow(2) === 0;
  const contentLengthBytes = hasBody && random.nextBelow(2) === 0 ? 40_000 : -1;
  connection.start(requestOf({ method: "PUT", contentLengthBytes }), hasBody, sink);
  const answer = random.nextBelow(3) === 0 ? mutate(SEEDS, random) : pick(SEEDS, random).bytes;
  const pieces = cutAtRandom(answer, random);
  if (random.nextBelow(8) > 0) connection.sent(1 + random.nextBelow(connection.output.waitingBytes));
  let bodyPieces = hasBody ? 4 : 0;
  let cancelled = false;
  for (let step = 0; step < 60 && connection.state === "busy"; step++) {
    const chance = random.nextBelow(40);
    if (chance < 14) connection.sent(random.nextBelow(connection.output.waitingBytes + 1));
    else if (chance < 18) connection.sent(connection.output.waitingBytes);
    else if (chance < 28 && bodyPieces > 0 && !connection.isFull) {
      connection.sendBody(new Uint8Array(10_000));
      bodyPieces -= 1;
      if (bodyPieces === 0) connection.endBody();
    } else if (chance < 37) connection.feed(pieces.shift() ?? new Uint8Array(0));
    else if (chance === 38) connection.onClose(random.nextBelow(2) === 0);
    else if (chance === 39 && random.nextBelow(3) === 0) {
      connection.cancel();
      cancelled = true;
    }
  }
  if (connection.state === "busy") connection.onClose(true);
  const last = sink.events.at(-1) ?? "";
  if (cancelled) {
    expect(last).not.toMatch(/^(end|error)/);
    return "cancelled";
  }
  expect(sink.events.filter((event) => /^(end|error)/.test(event))).toHaveLength(1);
  expect(last).not.toContain("after the exchange was over");
  expect(connection.state).toBe(last === "end reusable" ? "idle" : "closed");
  if (last === "end reusable") return "reusable";
  return last === "end" ? "last" : "failed";
}
