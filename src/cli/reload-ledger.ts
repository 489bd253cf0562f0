/** The account of reloads as the program before has left it. What does not read is left: then it begins anew. */
import {
  byName,
  count,
  finite,
  flag,
  list,
  nullable,
  record,
  type Reader,
  ShapeError,
  text,
} from "../control/json-shape.ts";
import type { ReloadResult } from "../control/renewal.ts";

/** A configuration that was at work. */
export interface FormerConfiguration {
  readonly generation: number;
  readonly sinceEpochMs: number;
  readonly path: string;
  readonly text: string;
}

/** What outlives the program. */
export interface ReloadLedger {
  readonly sinceEpochMs: number;
  readonly lastSuccessEpochMs: number | null;
  readonly lastFailureEpochMs: number | null;
  readonly lastSuccessful: boolean;
  readonly reloads: Readonly<Record<ReloadResult, number>>;
  /** The latest comes last. */
  readonly former: readonly FormerConfiguration[];
  /** One was asked for and not begun. */
  readonly isReloadPending: boolean;
}

const readFormer = record<FormerConfiguration>({ generation: count, sinceEpochMs: finite, path: text, text });

/** Programs that did not know have left none. */
const readPending: Reader<boolean> = (value, place) => value !== undefined && flag(value, place);

const readReloads: Reader<ReloadLedger["reloads"]> = (value, place) => {
  const { in_place = 0, new_workers = 0, unchanged = 0, failed = 0 } = byName(count)(value, place);
  return { in_place, new_workers, unchanged, failed };
};

const readBody = record<ReloadLedger>({
  sinceEpochMs: finite,
  lastSuccessEpochMs: nullable(finite),
  lastFailureEpochMs: nullable(finite),
  lastSuccessful: flag,
  reloads: readReloads,
  former: list(readFormer),
  isReloadPending: readPending,
});

/** Null where there is none. */
export function readLedger(value: unknown): ReloadLedger | null {
  try {
    return value === undefined || value === null ? null : readBody(value, "reloads");
  } catch (thrown) {
    if (thrown instanceof ShapeError) return null;
    throw thrown;
  }
}
