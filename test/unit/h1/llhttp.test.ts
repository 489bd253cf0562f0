import { expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { bytesOf, exchange } from "./exchanges.ts";
import { cutAtRandom, ResponseGenerator } from "./generated-responses.ts";
import { readByLlhttp } from "./llhttp.ts";

const SEED = 20_261_122;

/** Without what llhttp does not tell. */
function comparable(events: readonly string[], withReuse: boolean): string[] {
  return events.map((event) => (event === "end reusable" && !withReuse ? "end" : event.replace(" bodyless", "")));
}

/** Fails, and shows the message, unless both read it alike. */
function expectAgreement(
  text: string,
  method: string,
  events: readonly string[],
  theirs: readonly string[],
  withReuse: boolean,
): void {
  const ours = comparable(events, withReuse);
  const wanted = comparable(theirs, withReuse);
  if (JSON.stringify(ours) !== JSON.stringify(wanted))
    expect({ text, method, events: ours }).toEqual({ text, method, events: wanted });
}

/** The events of the first answer. */
function firstOf(events: readonly string[]): readonly string[] {
  const end = events.findIndex((event) => event.startsWith("end"));
  return end < 0 ? events : events.slice(0, end + 1);
}

/** llhttp judges the connection before it hears that the request was HEAD. */
function isReuseKnown(method: string): boolean {
  return method !== "HEAD";
}

test(`5,000 good responses are read as llhttp reads them, however they are cut (seed ${SEED})`, () => {
  const random = Random.fromEntropy([SEED]);
  const generator = new ResponseGenerator(random);
  const seen = { reusable: 0, last: 0, trailers: 0, interim: 0, data: 0 };
  for (let round = 0; round < 5000; round++) {
    const { method, text } = generator.next();
    const { events } = exchange({ method, pieces: cutAtRandom(bytesOf(text), random) });
    expectAgreement(text, method, events, readByLlhttp(text, method) ?? ["refused"], isReuseKnown(method));
    if (events.at(-1) === "end reusable") seen.reusable += 1;
    else seen.last += 1;
    for (const event of events) {
      if (event.startsWith("trailers")) seen.trailers += 1;
      if (event.startsWith("1xx")) seen.interim += 1;
      if (event.startsWith("data")) seen.data += 1;
    }
  }
  // The comparison means something only while every kind of message is common.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(300);
});

test(`what we take of 30,000 damaged responses, llhttp takes and reads alike (seed ${SEED})`, () => {
  const random = Random.fromEntropy([SEED, 1]);
  const generator = new ResponseGenerator(random);
  const seen = { refused: 0, taken: 0, open: 0 };
  for (let round = 0; round < 30_000; round++) {
    const { method, text } = generator.next();
    const damaged = damage(text, random);
    const { events, connection } = exchange({ method, pieces: cutAtRandom(bytesOf(damaged), random) });
    const last = events.at(-1) ?? "";
    if (last.startsWith("error")) {
      seen.refused += 1;
      continue;
    }
    if (!last.startsWith("end")) {
      // Without its end there is nothing that two readers could disagree about yet.
      seen.open += 1;
      continue;
    }
    seen.taken += 1;
    // llhttp does not count a tab as white space around a coding, RFC 9110 5.6.3 does.
    if (/transfer-encoding:[^\r]*\t/i.test(damaged)) continue;
    // On a connection that is not used again bytes may have come after the answer; llhttp takes them for a part of it or the next.
    const isClean = connection.state === "idle";
    const theirs = readByLlhttp(damaged, method);
    if (theirs === null && !isClean) continue;
    expectAgreement(
      damaged,
      method,
      events,
      isClean ? (theirs ?? ["refused"]) : firstOf(theirs ?? []),
      isClean && isReuseKnown(method),
    );
  }
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(1000);
});

/** Bytes that parsers are known to disagree about. */
const SPICE = [
  "\r",
  "\n",
  "\r\n",
  " ",
  "\t",
  "\0",
  ":",
  ",",
  ";",
  "0",
  "9",
  "f",
  "x",
  "\x0b",
  "\x7f",
  "\x80",
  "-",
  "+",
];

function damage(text: string, random: Random): string {
  const at = random.nextBelow(text.length + 1);
  const spice = SPICE[random.nextBelow(SPICE.length)] ?? "";
  switch (random.nextBelow(3)) {
    case 0:
      return text.slice(0, at) + spice + text.slice(at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + random.nextBelow(3));
    default:
      return text.slice(0, at) + spice + text.slice(at + 1);
  }
}
