/**
 * A program that executes itself in place, twice, and says what became of its descriptors, signals and children. Nothing is loaded before
 * signals have somebody to hear them, as in the program's own entry.
 */
import process from "node:process";

const heard: string[] = [];
const [, , stage = "first"] = process.argv;
if (stage === "third") {
  for (const name of ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTERM"]) process.on(name, () => heard.push(name));
}
const { runStage } = await import("./replace.stages.ts");
await runStage(stage, heard);

export {};
