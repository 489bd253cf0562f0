/** The native library for tests, opened once per test process. */
import { fileURLToPath } from "node:url";
import { type Library, openLibrary } from "../../ffi/library.ts";
import { bunForeign } from "../../ffi/open.bun.ts";

/** Where the native library lies. */
export const NATIVE_LIBRARY =
  process.env["SPOOKY_NATIVE_LIBRARY"] ??
  fileURLToPath(new URL("../../dist/native/libspooky_native.so", import.meta.url));

/** A library with a ledger of its own, so that live handles are counted per caller. */
export function openTestLibrary(): Library {
  return openLibrary(bunForeign, [{ kind: "path", path: NATIVE_LIBRARY }]);
}

/** Where quiche's header lies. */
export const QUICHE_HEADER = fileURLToPath(new URL("../../dist/native/quiche.h", import.meta.url));
