/** Which runtime this is: the only question of that kind. */
import type { Runtime } from "./runtime.ts";

/** Loads the runtime that runs us; the other one's file is not even loaded. */
export async function selectRuntime(): Promise<Runtime> {
  if ("Deno" in globalThis) return (await import("./deno.ts")).denoRuntime;
  return (await import("./bun.ts")).bunRuntime;
}
