/** h2load as a client: load by ngtcp2 and nghttp3, which keep their connections until the server sends them away, and open no others. */
import { AssertionFault, must } from "../../src/core/assert.ts";
import type { NetworkPlace } from "../support/netns.ts";
import { runProcess } from "../support/process.ts";

/** The program, or null: `scripts/ok.ts` names it in SPOOKY_TEST_H2LOAD. */
export const h2loadProgram: string | null = process.env["SPOOKY_TEST_H2LOAD"] || null;

/** Why a test is skipped without it. */
export const H2LOAD_MISSING =
  "h2load: SPOOKY_TEST_H2LOAD names none that was built with HTTP/3 (distributions build theirs without)";

/** What to ask for. */
export interface H2loadPlan {
  readonly url: string;
  readonly connections: number;
  /** Requests at once of each. */
  readonly streams: number;
  readonly requests: number;
  /** A second, of each connection. */
  readonly rate: number;
}

/** Its own counts: requests that it has sent, and those of them that were answered with 2xx or 3xx. What it did not send is in neither. */
export interface H2loadCounts {
  readonly started: number;
  readonly succeeded: number;
}

/** Plays it to its end; in another network if one is given. */
export async function runH2load(plan: H2loadPlan, place?: NetworkPlace): Promise<H2loadCounts> {
  const { url, connections, streams, requests, rate } = plan;
  const shape = [`-c${connections}`, `-m${streams}`, `-n${requests}`, `--rps=${rate}`];
  const command = [must(h2loadProgram, H2LOAD_MISSING), "--h3", "--sni=localhost", "-t1", ...shape, url];
  const { stdout, stderr } = await runProcess({ command: place?.command(command) ?? command });
  const counts = /^requests: \d+ total, (\d+) started, \d+ done, (\d+) succeeded/m.exec(stdout);
  if (counts === null) throw new AssertionFault(`h2load has counted nothing:\n${stdout}${stderr}`);
  const [started = 0, succeeded = 0] = counts.slice(1).map(Number);
  return { started, succeeded };
}
