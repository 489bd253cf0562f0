/** Where the native library may be, in the order in which it is looked for. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LibraryPlace } from "../../ffi/library.ts";

const FILE = "libspooky_native.so";

/** `embedded` is the path the executable carries the library under, null when run from source. */
export function libraryPlaces(
  embedded: string | null,
  env: Readonly<Record<string, string | undefined>>,
): readonly LibraryPlace[] {
  const named = env["SPOOKY_NATIVE_LIBRARY"];
  if (named !== undefined && named !== "") return [{ kind: "path", path: named }];
  if (embedded !== null) return [{ kind: "embedded", path: embedded }];
  const here = dirname(fileURLToPath(import.meta.url));
  return [{ kind: "path", path: join(here, "..", "..", "dist", "native", FILE) }];
}
