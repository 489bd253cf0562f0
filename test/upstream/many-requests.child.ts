/** Starts many requests at once over fetch and prints how they ended: `bun many-requests.child.ts <address> <count>`; CA in CA_PEM. */
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { PLAIN_TRUST, runtimeFetch } from "../../src/runtime/fetch-options.ts";
import { systemTimers } from "../../src/runtime/timers.ts";
import { dialTcp } from "../../src/upstream/dial.ts";
import { FetchUpstream } from "../../src/upstream/fetch.ts";
import { backendOf, exchange, PATIENT, poolOf, requestTo } from "../support/upstream-calls.ts";

const [, , address = "", count = ""] = process.argv;
const pool = poolOf([backendOf(address)]);
const upstream = new FetchUpstream({
  snapshot: { pools: [pool], timeouts: PATIENT },
  runtime: must(runtimeFetch(globalThis), "the runtime has a fetch"),
  timers: systemTimers,
  readTrust: () => ({ ...PLAIN_TRUST, roots: [process.env["CA_PEM"] ?? ""] }),
  dial: dialTcp,
  counters: new Counters(),
});
const outcomes = await Promise.all(
  Array.from({ length: Number(count) }, () => exchange(upstream, requestTo(pool, { path: "/hold" }))),
);
const good = outcomes.filter(({ status, ended, text }) => status === 200 && ended && text === "held\n");
console.log(
  `ended well: ${good.length}, first failure: ${outcomes.find(({ failure }) => failure !== null)?.failure?.message}`,
);
