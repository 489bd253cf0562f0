/**
 * Exchanges in every order of events that client, connection and backends can bring about, seeded. The fakes throw at whatever breaks
 * a port's rules: anything written after the end of the stream, two resets, an attempt cancelled or resumed after it was over.
 */
import { expect, test } from "bun:test";
import { assert, AssertionFault } from "../../../src/core/assert.ts";
import type { ErrorCode } from "../../../src/core/error.ts";
import { Availability } from "../../../src/balance/availability.ts";
import { InFlight } from "../../../src/core/in-flight.ts";
import { Random } from "../../../src/core/random.ts";
import { FakeExchange, type FakeExchangeOptions } from "../../support/fake-exchange.ts";
import type { FakeCall } from "../../support/fake-upstream.ts";
import { oneOf } from "../../support/sections.ts";

const RUNS = 10_000;
const STEPS_MAX = 60;
const FAILURES: readonly ErrorCode[] = [
  "UPSTREAM_REFUSED",
  "UPSTREAM_RESET",
  "UPSTREAM_BODY_TIMEOUT",
  "BAD_REQUEST",
  "CLIENT_GONE",
];

/** What a run has met, so that the test knows that it has looked everywhere. */
type Sights = Map<string, number>;

function optionsOf(random: Random): FakeExchangeOptions {
  const hasBody = random.nextBelow(2) === 0;
  const early = random.nextBelow(6);
  const backends = 1 + random.nextBelow(3);
  return {
    ...limitsOf(random, backends),
    method: hasBody ? "POST" : oneOf(random, ["GET", "HEAD"]),
    hasBody,
    fields: hasBody && random.nextBelow(2) === 0 ? [["content-length", `${random.nextBelow(12)}`]] : [],
    path: random.nextBelow(20) === 0 ? "/elsewhere" : "/",
    backends,
    balancing: oneOf(random, ["round-robin", "random", "consistent-hash"]),
    onStart: (call, world) => {
      if (early === 0) call.fail(oneOf(random, FAILURES));
      if (early === 1) pull(call, world, random);
    },
  };
}

/** Places of which others have some, a small body, little time: each in some of the runs. */
function limitsOf(random: Random, backends: number): Partial<FakeExchangeOptions> {
  const inFlight = new InFlight(2);
  for (let taken = random.nextBelow(20) === 0 ? 2 : 1; taken > 0; taken--) inFlight.take();
  const availability = new Availability(backends, 1);
  if (random.nextBelow(8) === 0) availability.take(random.nextBelow(backends));
  return {
    ...{ inFlight, availability },
    poolInFlight: { taken: random.nextBelow(20) === 0 ? 3 : 2, max: 3 },
    ...(random.nextBelow(3) === 0 ? { bodyBytesMax: random.nextBelow(8) } : {}),
    ...(random.nextBelow(3) === 0 ? { requestTotalMs: 20 } : {}),
  };
}

/** The transport reads from the body, whatever state the client has left it in. */
function pull(call: FakeCall, world: FakeExchange, random: Random): void {
  if (random.nextBelow(3) === 0) world.client.inputReset = true;
  world.stream.onData();
  call.request.body?.pull();
}

/** One event of the backend's side. */
function backendActs(call: FakeCall, random: Random): void {
  if (call.over) return;
  const chance = random.nextBelow(10);
  if (chance === 0) call.fail(oneOf(random, FAILURES));
  else if (chance === 1) call.request.body?.pull();
  else if (chance === 2) call.request.body?.stop();
  else if (call.state === "sent") call.head(oneOf(random, [200, 200, 204, 304, 404, 99]));
  else if (chance < 7 && !call.full) call.body("some of a body");
  // A piece may be under way when the receiver says that it is full.
  else if (chance < 8) call.body("one more");
  else call.end();
}

/** One event of the client's side. */
function clientActs(world: FakeExchange, random: Random): void {
  const { client, stream } = world;
  switch (random.nextBelow(10)) {
    case 0:
      client.room = random.nextBelow(20);
      break;
    case 1:
      client.room = Infinity;
      break;
    case 2:
      client.sectionsPass = random.nextBelow(3) > 0;
      break;
    case 3:
      if (!client.inputEnded) world.sendBody("body");
      break;
    case 4:
      if (!client.inputEnded) world.sendEnd();
      break;
    case 5:
      if (random.nextBelow(4) === 0) client.stopped = true;
      break;
    case 6:
      if (random.nextBelow(4) === 0) client.inputReset = true;
      break;
    case 7:
      if (random.nextBelow(8) === 0) stream.onAborted(oneOf(random, ["reset", "closed", "malformed"]));
      break;
    case 8:
      world.timers.advance(random.nextBelow(30));
      world.deadlines?.sweep(world.timers.nowMs());
      break;
    default:
      world.process();
  }
}

function run(seed: number, sights: Sights): void {
  const random = Random.fromEntropy([seed]);
  const options = optionsOf(random);
  const taken = placesOf(options);
  const world = new FakeExchange(options);
  for (let step = 0; step < STEPS_MAX && world.outcomes.length === 0; step++) {
    const call = world.upstream.calls.at(-1);
    if (call !== undefined && random.nextBelow(2) === 0) backendActs(call, random);
    else clientActs(world, random);
  }
  // Whatever is left ends with the connection.
  world.stream.onAborted("closed");
  const late = world.upstream.calls.find((call) => !call.over);
  while (late !== undefined && !late.over) backendActs(late, random);
  check(world);
  assert(placesOf(options, world) === taken, `all places are given back: ${placesOf(options, world)}, before ${taken}`);
  assert((world.deadlines?.size ?? 0) === 0, "what is over has no deadline");
  const { status, error, attempts } = world.outcome;
  for (const sight of [`status ${status}`, `error ${error?.code ?? "none"}`, `attempts ${attempts}`, stateOf(world)]) {
    sights.set(sight, (sights.get(sight) ?? 0) + 1);
  }
}

/** What must be true when an exchange is over, however it went. (`expect` in so tight a loop would be most of the test's time.) */
function check(world: FakeExchange): void {
  const { client, counters, outcomes } = world;
  const { calls } = world.upstream;
  assert(outcomes.length === 1, `an exchange is recorded once, and not ${outcomes.length} times`);
  const { status, error, attempts, bytesOut } = world.outcome;
  assert(counters.requestsCompleted === (error === null ? 1 : 0), "what went well is counted as completed");
  assert(counters.requestsCompleted + counters.requestsFailed === 1, "an exchange is counted once");
  assert(
    calls.length === attempts && attempts <= 2,
    "each attempt is one call of the transport, and there are two at most",
  );
  const [first, second] = calls.map((call) => call.request.backend.id);
  assert(first === undefined || first !== second, "a second attempt goes to another backend");
  assert(bytesOut === client.body.length, "what is recorded is what the client got");
  const whole = client.ended && client.status === `${status}` && client.resets.length === 0;
  assert(error !== null || whole, "without an error the client has a whole answer of the recorded status");
  const reset = client.resets.length === 1 && client.resets[0] === 0x102;
  assert(error?.source !== "upstream" || client.ended || reset, "an answer that a backend broke off is reset");
  assert(status !== 499 || !client.ended, "a client that has its whole answer is not gone");
}

/** All places taken, in one text: in the process, in the pool, at each backend. */
function placesOf(
  { inFlight, availability, poolInFlight, backends = 0 }: FakeExchangeOptions,
  world?: FakeExchange,
): string {
  const pool = world === undefined ? poolInFlight?.taken : world.pool.inFlight.count;
  const each = Array.from({ length: backends }, (_, index) => availability?.inFlight(index));
  return [inFlight?.count, pool, ...each].join(" ");
}

function stateOf(world: FakeExchange): string {
  return `state ${world.upstream.calls.at(-1)?.state ?? "none"}`;
}

test(`${RUNS} exchanges in random order are recorded once each, and what the client gave up is cancelled`, () => {
  const sights: Sights = new Map();
  for (let seed = 1; seed <= RUNS; seed++) {
    try {
      run(seed, sights);
    } catch (thrown) {
      throw new AssertionFault(`seed ${seed}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
    }
  }
  const rare = [
    ...["status 0", "status 200", "status 204", "status 304", "status 400", "status 404", "status 499", "status 502"],
    ...["status 504", "error none", "error UPSTREAM_RESET", "error UPSTREAM_PROTOCOL", "error CLIENT_GONE"],
    ...["error BAD_REQUEST", "error NO_ROUTE", "error OVERLOADED", "error REQUEST_BODY_TOO_LARGE"],
    ...["error REQUEST_TOTAL_TIMEOUT", "status 413", "status 503"],
    ...["attempts 0", "attempts 1", "attempts 2"],
    ...["state ended", "state failed", "state cancelled", "state none"],
  ].filter((sight) => (sights.get(sight) ?? 0) < 20);
  expect(rare.map((sight) => `${sight}: ${sights.get(sight) ?? 0} times`)).toEqual([]);
});
