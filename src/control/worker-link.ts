/**
 * What supervisor and worker say to each other: one JSON object a line, each with the version of this form. Pure; the channel is the
 * runtime's. What does not read is null, and whoever gets it takes the other side for broken.
 */
import { asciiJson } from "../core/ascii-json.ts";
import { LIMITS } from "../core/limits.ts";
import { type ClusterSecret, SECRET_BYTES } from "../quic/secrets.ts";
import type { HeldFiles } from "./certificates.ts";
import type { ClusterSecrets } from "./cluster-keys.ts";
import type { Counts } from "./counter-sums.ts";
import type { NodeSecretLists } from "./node-keys.ts";

/** Goes up with every change that the other side would not understand. */
export const LINK_VERSION = 3;

/** Exit code of a process that had to break off requests which outlived the drain time; they are counted and logged by itself. */
export const CUT_OFF_CODE = 3;

/** All that a worker needs to know; secrets travel here and never on a command line or in an environment. */
export interface StartOrder {
  readonly type: "start";
  readonly slot: number;
  /** The configuration as the supervisor read and checked it: the file may be another one by now. */
  readonly configPath: string;
  readonly configText: string;
  /** The core to stay on; null for any. */
  readonly core: number | null;
  readonly secrets: NodeSecretLists;
  /** Others may have given out session tickets by these secrets, and have taken early data with them. */
  readonly ticketsAreOlder: boolean;
  /** What the files of its listeners held, where they cannot be used as they are now; null: they can. */
  readonly held: HeldFiles | null;
}

/**
 * From the supervisor. `retire`: others take the new clients from now on; tell yours to go over to them, serve whoever still comes, and
 * end when nobody is left; at listeners of the names `gone`, which those others do not have, nobody is let in. `drain`: the program stops; finish what runs, then end. `end`: now. Each may follow those before it. `reopen`,
 * at any time: log files were moved away, open them anew.
 */
export type Order =
  | StartOrder
  | PrepareOrder
  | SecretsOrder
  | ReopenOrder
  | { readonly type: "retire"; readonly gone: readonly string[] }
  | { readonly type: "drain" | "end" }
  | { readonly type: "commit" | "abandon"; readonly attempt: number };

/** Log files were moved away. */
export interface ReopenOrder {
  readonly type: "reopen";
}

/** Tokens and session tickets are made and taken by these from now on. Only workers of the supervisor's own build are told. */
export interface SecretsOrder {
  readonly type: "secrets";
  readonly secrets: NodeSecretLists;
}

/**
 * Make another configuration ready beside the one at work. `commit` of the same attempt puts it to work, `abandon` drops it; either may
 * come for an attempt that the worker has refused, and then means nothing.
 */
export interface PrepareOrder {
  readonly type: "prepare";
  /** Tells attempts apart. */
  readonly attempt: number;
  /** The number that this configuration has for people. */
  readonly generation: number;
  readonly configPath: string;
  readonly configText: string;
}

/** How an attempt goes: the other configuration is ready, or at work; or it cannot be had, with the words for people. */
export type ReloadReport =
  | { readonly type: "prepared" | "committed"; readonly attempt: number }
  | { readonly type: "unprepared"; readonly attempt: number; readonly text: string };

/** What a worker has counted, and how many native objects it holds. */
export interface Beat {
  readonly type: "beat";
  /** Since its start, and how things are now (`core/labels.ts`); what has not changed since its last beat is left out. */
  readonly counts: Counts;
  readonly nativeHandles: number;
  /** Alive now, those that are closing included. */
  readonly connections?: number;
}

/** From a worker. `ready`: it serves, as that process. `failed`: it cannot, with the words for people; `isConfig`: for a reason in the configuration. */
export type Report =
  | Beat
  | { readonly type: "ready"; readonly pid?: number }
  | { readonly type: "failed"; readonly text: string; readonly isConfig: boolean }
  | ReloadReport;

/** A message as its line, in ASCII: wherever its stream is cut when a supervisor hands over to another, no character is. */
export function writeMessage(message: Order | Report): string {
  const secrets =
    message.type === "start" || message.type === "secrets" ? { secrets: writeSecrets(message.secrets) } : {};
  const held = message.type === "start" ? { held: writeHeld(message.held) } : {};
  return `${asciiJson({ v: LINK_VERSION, ...message, ...secrets, ...held })}\n`;
}

/** Cuts a stream of text into lines. */
export class LineCutter {
  readonly #charactersMax: number;
  #rest: string;

  /** `rest`: what another cutter of this stream had left. */
  constructor(rest = "", charactersMax: number = LIMITS.linkMessageBytesMax) {
    this.#rest = rest;
    this.#charactersMax = charactersMax;
  }

  /** What came behind the last line. */
  get rest(): string {
    return this.#rest;
  }

  /** The lines that are whole now; null when one is longer than any message may be. */
  push(text: string): readonly string[] | null {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    const isTooLong = (line: string): boolean => line.length > this.#charactersMax;
    return isTooLong(this.#rest) || parts.some(isTooLong) ? null : parts;
  }
}

/** An order from its line; null when it is none of this version. */
export function readOrder(line: string): Order | null {
  const message = readObject(line);
  if (message === null) return null;
  const { type } = message;
  // Supervisors of releases with one listener name none.
  if (type === "retire") return { type, gone: textsOf(message["gone"]) };
  if (type === "drain" || type === "end" || type === "reopen") return { type };
  const { slot, configPath, configText, core, ticketsAreOlder, attempt, generation } = message;
  if (type === "commit" || type === "abandon") return isCount(attempt) ? { type, attempt } : null;
  if (type === "prepare") {
    if (!isCount(attempt) || !isCount(generation)) return null;
    if (typeof configPath !== "string" || typeof configText !== "string") return null;
    return { type, attempt, generation, configPath, configText };
  }
  const secrets = readSecrets(message["secrets"]);
  if (type === "secrets") return secrets === null ? null : { type, secrets };
  if (type !== "start" || !isCount(slot) || !(core === null || isCount(core))) return null;
  if (typeof configPath !== "string" || typeof configText !== "string") return null;
  if (typeof ticketsAreOlder !== "boolean") return null;
  const held = readHeld(message["held"]);
  return secrets === null ? null : { type, slot, configPath, configText, core, secrets, ticketsAreOlder, held };
}

/** A report from its line; null when it is none of this version. */
export function readReport(line: string): Report | null {
  const message = readObject(line);
  if (message === null) return null;
  const { type, text, isConfig, counts, nativeHandles, connections = 0, pid, attempt } = message;
  if (type === "prepared" || type === "committed") return isCount(attempt) ? { type, attempt } : null;
  if (type === "unprepared") return isCount(attempt) && typeof text === "string" ? { type, attempt, text } : null;
  if (type === "ready") return isCount(pid) ? { type, pid } : { type };
  if (type === "failed" && typeof text === "string" && typeof isConfig === "boolean") return { type, text, isConfig };
  if (type !== "beat" || !isRecord(counts) || !isCount(nativeHandles) || !isCount(connections)) return null;
  const pairs = Object.entries(counts).filter((pair): pair is [string, number] => typeof pair[1] === "number");
  if (pairs.length < Object.keys(counts).length) return null;
  return { type, counts: Object.fromEntries(pairs), nativeHandles, connections };
}

/** Secrets as JSON has them: number and hexadecimal digits. */
export function writeSecrets({ shared, ids }: NodeSecretLists): Readonly<Record<string, unknown>> {
  const text = ({ id, bytes }: ClusterSecret): object => ({ id, hex: bytes.toHex() });
  return { shared: shared.map(text), ids: ids.map(text) };
}

/** What `writeSecrets` wrote; null when it is something else. */
export function readSecrets(value: unknown): NodeSecretLists | null {
  if (!isRecord(value)) return null;
  const [shared, ids] = [readSecretList(value["shared"]), readSecretList(value["ids"])];
  return shared === null || ids === null ? null : { shared, ids };
}

function writeHeld(held: HeldFiles | null): Readonly<Record<string, string>> | null {
  return held && Object.fromEntries([...held].map(([path, bytes]) => [path, bytes.toBase64()]));
}

/** Supervisors of before say nothing of it, and what does not read is not there: then the files are. */
function readHeld(value: unknown): HeldFiles | null {
  if (!isRecord(value)) return null;
  const pairs = Object.entries(value);
  if (!pairs.every((pair): pair is [string, string] => typeof pair[1] === "string")) return null;
  try {
    return new Map(pairs.map(([path, base64]) => [path, Uint8Array.fromBase64(base64)]));
  } catch {
    return null;
  }
}

function readSecretList(value: unknown): ClusterSecrets | null {
  if (!Array.isArray(value)) return null;
  const [first, ...others] = value.map(readSecret).filter((secret) => secret !== null);
  return first === undefined || others.length + 1 < value.length ? null : [first, ...others];
}

function readSecret(value: unknown): ClusterSecret | null {
  if (!isRecord(value)) return null;
  const { id, hex } = value;
  if (!isCount(id) || typeof hex !== "string" || !SECRET_HEX.test(hex)) return null;
  return { id, bytes: Uint8Array.fromHex(hex) };
}

const SECRET_HEX = new RegExp(`^[0-9a-f]{${2 * SECRET_BYTES}}$`);

function readObject(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) && value["v"] === LINK_VERSION ? value : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}
