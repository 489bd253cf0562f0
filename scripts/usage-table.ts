/**
 * The command line as a table, for the pages and completions that are made of it: what is there comes from `src/cli/args.ts`, what goes
 * with what from asking its parser, and the words from the text of `--help`.
 */
import { COMMANDS, HELP, OPTIONS, parseArgs, SHORT } from "../src/cli/args.ts";
import { must } from "../src/core/assert.ts";

/** One option. */
export interface UsageOption {
  /** Long name, with its dashes. */
  readonly name: string;
  readonly short: string | null;
  /** What its value is called in `--help`; null for one that takes none. */
  readonly value: string | null;
  readonly summary: string;
  /** The commands that it may stand with; "" is the program without one. */
  readonly commands: readonly string[];
}

/** One command. */
export interface UsageCommand {
  readonly name: string;
  readonly summary: string;
}

/** All commands, in the order of `--help`. */
export function usageCommands(): readonly UsageCommand[] {
  return COMMANDS.map((name) => {
    const found = new RegExp(`^  spooky ${name} .*?  +(\\S.*)$`, "m").exec(HELP);
    return { name, summary: must(found?.[1], `--help tells what ${name} does`) };
  });
}

/** All options, in the order of the parser's table. */
export function usageOptions(): readonly UsageOption[] {
  const shorts = new Map(Array.from(SHORT, ([short, long]) => [long, short]));
  return Array.from(OPTIONS, ([name, option]) => {
    const value = option.value === null ? null : must(valueName(name), `--help names the value of ${name}`);
    const commands = ["", ...COMMANDS].filter((command) => fits(command, name, value));
    return { name, short: shorts.get(name) ?? null, value, summary: summaryOf(name), commands };
  });
}

function valueName(name: string): string | null {
  return new RegExp(`^  (?:-\\w, )?${name} ([A-Z]+)`, "m").exec(HELP)?.[1] ?? null;
}

/** Options that are commands of their own are told of among the commands. */
function summaryOf(name: string): string {
  const among = new RegExp(`^  (?:-\\w, )?${name}(?: [A-Z]+)?  +(\\S.*)$`, "m").exec(HELP);
  const alone = new RegExp(`^  spooky ${name}  +(\\S.*)$`, "m").exec(HELP);
  return must(among?.[1] ?? alone?.[1], `--help tells what ${name} means`);
}

/** The parser takes the option with that command. A number is a path, too, and a URL of sorts. */
function fits(command: string, name: string, value: string | null): boolean {
  const words = command === "" ? [] : [command];
  return parseArgs([...words, name, ...(value === null ? [] : ["1"])]).kind !== "usage-error";
}
