/** Routes that no request can take. */
import type { Snapshot } from "../../config/snapshot.ts";
import { compileRoutes } from "../../route/table.ts";
import { type Findings, numbered } from "./finding.ts";

const CHECK = "routes";

/** What is the same as another one only in the form that requests are compared in passes the rules of the configuration. */
export function checkRoutes({ pools }: Snapshot, found: Findings): void {
  for (const { pool, by } of compileRoutes(pools).shadowed) {
    const [lost, first] = [pools[pool]?.name ?? "", pools[by]?.name ?? ""];
    const text = `no request comes here: ${first}, earlier in the file, takes all of the same host, path and method`;
    found.warn(CHECK, ["upstream", lost, "route"], text, "change one of the two routes, or take this pool away");
  }
  if (found.isFine(CHECK)) found.ok(CHECK, `every route can be taken (${numbered(pools.length, "route")})`);
}
