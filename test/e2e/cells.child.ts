/**
 * A server that counts what its requests leave to the collector: `cells.child.ts CONFIGURATION`, with `BUN_JSC_useGC=0` in the environment.
 * Says its port; for each line of its input it prints that line and how many cells of each type its heap holds, as JSON.
 */
import { heapStats } from "bun:jsc";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { loadConfig } from "../../src/config/load.ts";
import { Log } from "../../src/observe/log.ts";
import { Server } from "../../src/cli/server.ts";
import { bunRuntime } from "../../src/runtime/bun.ts";
import { openTestLibrary } from "../support/native.ts";

const loaded = loadConfig(process.argv[2] ?? "", "cells.yaml");
const snapshot = must("snapshot" in loaded ? loaded.snapshot : null, "the configuration is right");
const counters = new Counters();
const log = new Log(snapshot.log, { counters, epochMs: () => Date.now(), terminal: false });
const server = new Server(snapshot, { runtime: bunRuntime, library: openTestLibrary(), log, counters });
await server.start();
console.log(JSON.stringify(server.port));
for await (const line of console) console.log(`${line} ${JSON.stringify(heapStats().objectTypeCounts)}`);
