/** What this program is: its version, and what it was built from and for. */
import { arch } from "node:process";

/** Set by `scripts/build.ts` in the executable; absent when run from source. */
interface BuildInfo {
  readonly version: string;
  readonly commit: string;
  readonly target: string;
}

declare const SPOOKY_BUILD: BuildInfo | undefined;

/** Must equal the version in `package.json`; a test compares them. */
const SOURCE_VERSION = "0.1.0";

/** The build, or what is known when run from source. */
export function buildInfo(): BuildInfo {
  if (typeof SPOOKY_BUILD !== "undefined") return SPOOKY_BUILD;
  return { version: SOURCE_VERSION, commit: "source", target: `linux-${arch}` };
}
