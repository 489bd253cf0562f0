import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { DEFAULT_CONFIG_PATH, HELP, parseArgs } from "../../../src/cli/args.ts";

const GOOD: readonly (readonly [readonly string[], object])[] = [
  [[], { kind: "serve", configPath: "/etc/spooky/config.yaml" }],
  [["--config", "a.yaml"], { kind: "serve", configPath: "a.yaml" }],
  [["--config=a.yaml"], { kind: "serve", configPath: "a.yaml" }],
  [["--config=a=b.yaml"], { kind: "serve", configPath: "a=b.yaml" }],
  [["-c", "a.yaml"], { kind: "serve", configPath: "a.yaml" }],
  [["check"], { kind: "check", configPath: DEFAULT_CONFIG_PATH }],
  [["check", "--config", "a.yaml"], { kind: "check", configPath: "a.yaml" }],
  [["-c", "a.yaml", "check"], { kind: "check", configPath: "a.yaml" }],
  [["demo"], { kind: "demo", port: 9889 }],
  [["demo", "--port", "0"], { kind: "demo", port: 0 }],
  [["demo", "--port=65535"], { kind: "demo", port: 65535 }],
  [["--version"], { kind: "version" }],
  [["-V"], { kind: "version" }],
  [["--help"], { kind: "help" }],
  [["check", "-h"], { kind: "help" }],
];

const BAD: readonly (readonly [readonly string[], string])[] = [
  [["--confg", "a.yaml"], "unknown option --confg; did you mean --config?"],
  [["--confg=a.yaml"], "unknown option --confg; did you mean --config?"],
  [["--verson"], "did you mean --version?"],
  [["-x"], "unknown option -x"],
  [["--"], "unknown option --"],
  [["-"], "unknown option -"],
  [["chek"], "unknown command chek; did you mean check?"],
  [["a.yaml"], "unknown command a.yaml"],
  [[""], "unknown command"],
  [["check", "demo"], "two commands: check and demo"],
  [["check", "a.yaml"], "unknown command a.yaml"],
  [["--config"], "--config needs the path"],
  [["-c"], "-c needs the path"],
  [["--config", "--version"], "--config needs the path"],
  [["--config="], "--config needs the path"],
  [["-c", "a", "--config", "b"], "given twice"],
  [["--version=1"], "--version takes no value"],
  [["--help=x"], "--help takes no value"],
  [["--port", "80"], "--port belongs to"],
  [["demo", "--port", "65536"], "--port needs a number"],
  [["demo", "--port", "x"], "--port needs a number"],
  [["demo", "--port"], "--port needs a number"],
  [["demo", "--config", "a"], "has a configuration of its own"],
];

describe("parseArgs", () => {
  test.each(GOOD.map(([args, command]) => [args.join(" "), args, command] as const))(
    "spooky %s",
    (_text, args, command) => {
      expect(parseArgs(args)).toEqual(expect.objectContaining(command));
    },
  );

  test.each(BAD.map(([args, message]) => [args.join(" "), args, message] as const))(
    "spooky %s is an error",
    (_text, args, message) => {
      const command = parseArgs(args);
      expect(command.kind).toBe("usage-error");
      expect(command.kind === "usage-error" ? command.message : "").toContain(message);
    },
  );

  test("a mistake beside --help or --version is still a mistake", () => {
    expect(parseArgs(["--help", "--nonsense"]).kind).toBe("usage-error");
    expect(parseArgs(["--version", "nonsense"]).kind).toBe("usage-error");
  });

  test("every option and command that is taken stands in the help and in docs/cli.md", () => {
    const page = readFileSync(`${import.meta.dirname}/../../../docs/cli.md`, "utf8");
    const names = ["--config", "-c", "check", "demo", "--port", "--version", "-V", "--help", "-h", DEFAULT_CONFIG_PATH];
    for (const name of names) {
      expect(HELP).toContain(name);
      expect(page).toContain(name);
    }
    for (const code of ["0", "1", "2"]) {
      expect(HELP).toMatch(new RegExp(`^  ${code}   `, "m"));
      expect(page).toMatch(new RegExp(`^\\| ${code} `, "m"));
    }
  });
});
