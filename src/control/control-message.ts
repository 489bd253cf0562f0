/**
 * What is said on the control socket: one JSON object a line, each with the version of this form. Pure. A request has `do`, an answer has
 * `is`; `refused` keeps its form in all versions, so that programs of different ones can at least say no to each other.
 */
import { LIMITS } from "../core/limits.ts";
import { readHistograms } from "../core/histogram.ts";
import type { NodeStatus, RenewalRequest } from "./renewal.ts";

/** Goes up with every change that the other side would not understand. */
const CONTROL_VERSION = 1;

/** What can be asked for. */
export type ControlRequest =
  | { readonly do: "upgrade"; readonly binary: string | null }
  | { readonly do: "reload" }
  | { readonly do: "rollback" }
  | { readonly do: "reopen" }
  | { readonly do: "status" };

/** Why something is refused: a version or a command that is not known, what does not read, too many at once, or what the reason says. */
export type RefusalCode = "version" | "command" | "form" | "busy" | "failed";

/** A no, for people. */
export interface Refusal {
  readonly is: "refused";
  readonly code: RefusalCode;
  readonly reason: string;
  readonly remedy: string | null;
}

/** Fields of a status as they travel; more may come with later releases. */
export type StatusDocument = Readonly<Record<string, unknown>>;

/**
 * An answer. `progress` lines may come before the last one. `replacing`: the workers of that generation serve, and the program is about
 * to go on as another one; the connection ends, and `status` has the last word.
 */
export type ControlAnswer =
  | { readonly is: "progress"; readonly text: string }
  | { readonly is: "replacing"; readonly generation: number }
  | { readonly is: "done"; readonly generation: number; readonly text?: string }
  | { readonly is: "status"; readonly status: StatusDocument }
  | Refusal;

/** A message as its line. */
export function writeControl(message: ControlRequest | ControlAnswer): string {
  return `${JSON.stringify({ v: CONTROL_VERSION, ...message })}\n`;
}

/** A request from its line, or what is wrong with it. */
export function readRequest(line: string): ControlRequest | Refusal {
  const message = readObject(line);
  if (message === null) return refusal("form", "a request is one JSON object on one line");
  const { v } = message;
  if (v !== CONTROL_VERSION) {
    const asked = typeof v === "number" ? String(v) : "unknown";
    return refusal(
      "version",
      `the running program speaks version ${CONTROL_VERSION} of the control protocol and was asked in version ${asked}`,
      "use the `spooky` command of the release that runs, or signals: SIGHUP reloads, SIGUSR2 upgrades",
    );
  }
  const { binary = null } = message;
  switch (message["do"]) {
    case "status":
    case "reload":
    case "rollback":
    case "reopen":
      return { do: message["do"] };
    case "upgrade": {
      const isPath = typeof binary === "string" && binary.startsWith("/") && !binary.includes("\0");
      if (binary !== null && !isPath) return refusal("form", "`binary` is the absolute path of a program");
      return { do: "upgrade", binary };
    }
    default:
      return refusal("command", "the running program knows the commands upgrade, reload, rollback, reopen and status");
  }
}

/** An answer from its line; null when it is none that this program understands. */
export function readAnswer(line: string): ControlAnswer | null {
  const message = readObject(line);
  if (message === null) return null;
  const { is, text, generation, status, code, reason, remedy = null } = message;
  if (is === "refused" && typeof reason === "string" && (remedy === null || typeof remedy === "string"))
    return { is, code: CODES.find((known) => known === code) ?? "failed", reason, remedy };
  if (message["v"] !== CONTROL_VERSION) return null;
  if (is === "progress" && typeof text === "string") return { is, text };
  if (is === "done" && isCount(generation))
    return typeof text === "string" ? { is, generation, text } : { is, generation };
  if (is === "replacing" && isCount(generation)) return { is, generation };
  if (is === "status" && isRecord(status)) return { is, status };
  return null;
}

const CODES: readonly RefusalCode[] = ["version", "command", "form", "busy", "failed"];

/** A refusal. */
export function refusal(code: RefusalCode, reason: string, remedy: string | null = null): Refusal {
  return { is: "refused", code, reason, remedy };
}

/** What was asked for, as whoever renews takes it; null when nothing is to be renewed. */
export function renewalOf(request: ControlRequest): RenewalRequest | null {
  if (request.do === "upgrade") return { kind: "upgrade", binary: request.binary };
  return request.do === "reload" || request.do === "rollback" ? { kind: request.do, binary: null } : null;
}

/** A status as it is shown to programs: names in snake case, counters and histograms apart, a border of `null` for what has none. */
export function statusDocument(status: NodeStatus): StatusDocument {
  const { counters, histograms } = readHistograms(status.counts);
  const shown = Object.entries(histograms).map(([name, { count, sumMs, buckets }]) => [
    name,
    {
      count,
      sum_ms: sumMs,
      buckets: buckets.map(([border, inside]) => [Number.isFinite(border) ? border : null, inside]),
    },
  ]);
  return {
    pid: status.pid,
    version: status.version,
    generation: status.generation,
    config_path: status.configPath,
    listeners: status.listeners,
    started_epoch_ms: status.startedEpochMs,
    notice: status.notice,
    configuration: {
      at_work_since_epoch_ms: status.configuration.atWorkSinceEpochMs,
      reloads: status.configuration.reloads,
      last_success_epoch_ms: status.configuration.lastSuccessEpochMs,
      last_failure_epoch_ms: status.configuration.lastFailureEpochMs,
      last_successful: status.configuration.lastSuccessful,
      kept: status.configuration.kept,
    },
    crews: status.crews.map(({ workers, ...crew }) => ({
      ...crew,
      workers: workers.map(({ unusablePools, ...worker }) => ({ ...worker, unusable_pools: unusablePools })),
    })),
    counters,
    histograms: Object.fromEntries(shown),
  };
}

function readObject(line: string): Readonly<Record<string, unknown>> | null {
  if (line.length > LIMITS.linkMessageBytesMax) return null;
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** An object that is no list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
