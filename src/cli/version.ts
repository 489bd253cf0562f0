/** `spooky --version`. */
import process from "node:process";
import { writeNow } from "../observe/sink.ts";
import { openLibrary } from "../../ffi/library.ts";
import { buildInfo } from "./build-info.ts";
import { type CommandContext, EXIT } from "./command.ts";
import { libraryPlaces } from "./places.ts";

/** Tells the version of the program, of quiche, of the runtime, and the commit. Throws `LIBRARY`. */
export function runVersion({ runtime, embedded }: CommandContext): number {
  const build = buildInfo();
  const { quiche, buildHash } = openLibrary(runtime.foreign, libraryPlaces(embedded, process.env)).describe();
  const lines = [
    `spooky ${build.version}`,
    `quiche ${quiche} (library ${buildHash})`,
    `${runtime.name} ${runtime.version}`,
    `commit ${build.commit}`,
    `target ${build.target}`,
  ];
  writeNow(1, `${lines.join("\n")}\n`);
  return EXIT.ok;
}
