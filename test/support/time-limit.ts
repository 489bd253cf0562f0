/** For tests that do something a thousand times, which takes longer than bun's own limit on a busy machine. */

/** No test is proved by its time; this only ends one that hangs. */
export const HANGS_AFTER_MS = 180_000;
