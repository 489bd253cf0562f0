/** The entry of the executable only: `scripts/build.ts` compiles it, with the native library inside. */
import library from "../dist/native/libspooky_native.so" with { type: "file" };
import { main } from "./main.ts";

await main(library);
