import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { libraryPlaces } from "../../../src/cli/places.ts";

const BUILT = join(import.meta.dir, "../../../dist/native/libspooky_native.so");

describe("the native library is looked for", () => {
  test("where the environment says, and nowhere else", () => {
    const places = libraryPlaces("/$bunfs/embedded.so", { SPOOKY_NATIVE_LIBRARY: "/opt/other.so" });
    expect(places).toEqual([{ kind: "path", path: "/opt/other.so" }]);
  });

  test("in the executable when it carries one", () => {
    expect(libraryPlaces("/$bunfs/embedded.so", {})).toEqual([{ kind: "embedded", path: "/$bunfs/embedded.so" }]);
  });

  test("in the build folder of this project when run from source", () => {
    expect(libraryPlaces(null, {})).toEqual([{ kind: "path", path: BUILT }]);
  });

  test("as if nothing was said when the variable is empty", () => {
    expect(libraryPlaces(null, { SPOOKY_NATIVE_LIBRARY: "" })).toEqual([{ kind: "path", path: BUILT }]);
  });
});
