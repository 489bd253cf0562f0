import { describe, expect, test } from "bun:test";
import {
  type CheckCommand,
  type Command,
  type ControlCommand,
  DEFAULT_CONFIG_PATH,
  HELP,
  parseArgs,
} from "../../../src/cli/args.ts";

const serve = (configPath: string): Command => ({ kind: "serve", configPath });
const check = (configPath: string, given: Partial<CheckCommand> = {}): Command => ({
  ...{ kind: "check", configPath, json: false, strict: false, offline: false },
  ...given,
});
const demo = (port: number): Command => ({ kind: "demo", port });
const control = (kind: ControlCommand["kind"], given: Partial<ControlCommand> = {}): Command => ({
  ...{
    kind,
    controlPath: null,
    configPath: DEFAULT_CONFIG_PATH,
    binary: null,
    wait: false,
    json: false,
    rollback: false,
  },
  ...given,
});
const DEMO_PORT = 9889;

/** Arguments as one would type them; none of these has blanks in it. */
function parse(line: string): Command {
  return parseArgs(line === "" ? [] : line.split(" "));
}

describe("arguments that are right", () => {
  const table: readonly (readonly [string, Command])[] = [
    ["", serve("/etc/spooky/config.yaml")],
    ["--config my.yaml", serve("my.yaml")],
    ["--config=my.yaml", serve("my.yaml")],
    ["-c my.yaml", serve("my.yaml")],
    ["--config=-odd-name", serve("-odd-name")],
    ["--config=a=b", serve("a=b")],
    ["--config -", serve("-")],
    ["check", check(DEFAULT_CONFIG_PATH)],
    ["check --strict --json --offline", check(DEFAULT_CONFIG_PATH, { strict: true, json: true, offline: true })],
    ["healthcheck", { kind: "healthcheck", configPath: DEFAULT_CONFIG_PATH, url: null, ready: false }],
    [
      "healthcheck --ready --url http://a/b",
      { kind: "healthcheck", configPath: DEFAULT_CONFIG_PATH, url: "http://a/b", ready: true },
    ],
    ["check --config my.yaml", check("my.yaml")],
    ["--config my.yaml check", check("my.yaml")],
    ["-c my.yaml check", check("my.yaml")],
    ["demo", demo(DEMO_PORT)],
    ["demo --port 8443", demo(8443)],
    ["--port=8443 demo", demo(8443)],
    ["demo --port 0", demo(0)],
    ["demo --port 65535", demo(65_535)],
    ["demo --port 00443", demo(443)],
    ["reload --rollback", control("reload", { rollback: true })],
    ["upgrade --wait", control("upgrade", { wait: true })],
    ["upgrade", control("upgrade")],
    ["upgrade --binary ./next", control("upgrade", { binary: "./next" })],
    ["--binary=-odd upgrade -c my.yaml", control("upgrade", { binary: "-odd", configPath: "my.yaml" })],
    ["reload", control("reload")],
    ["reload --control /run/s", control("reload", { controlPath: "/run/s" })],
    ["status", control("status")],
    ["status --json --config my.yaml", control("status", { json: true, configPath: "my.yaml" })],
    ["--version", { kind: "version" }],
    ["-V", { kind: "version" }],
    ["--help", { kind: "help" }],
    ["-h", { kind: "help" }],
    ["check --help", { kind: "help" }],
    ["--config my.yaml --version", { kind: "version" }],
  ];
  for (const [line, command] of table) test(`spooky ${line}`, () => expect(parse(line)).toEqual(command));

  test("keep blanks and other characters in a path", () => {
    expect(parseArgs(["--config", "my config ü.yaml"])).toEqual(serve("my config ü.yaml"));
  });
});

describe("arguments that are wrong are a usage error that says which", () => {
  const table: readonly (readonly [string, string])[] = [
    ["--confg my.yaml", "unknown option --confg; did you mean --config?"],
    ["--Config my.yaml", "unknown option --Config; did you mean --config?"],
    ["--verson", "unknown option --verson; did you mean --version?"],
    ["--halp", "unknown option --halp; did you mean --help?"],
    ["--prot 1 demo", "unknown option --prot; did you mean --port?"],
    ["--confg=x", "unknown option --confg; did you mean --config?"],
    ["--workers 4", "unknown option --workers; see spooky --help"],
    ["-x", "unknown option -x; see spooky --help"],
    ["-cmy.yaml", "unknown option -cmy.yaml; see spooky --help"],
    ["--", "unknown option --; see spooky --help"],
    ["-", "unknown option -; see spooky --help"],
    ["chek", "unknown command chek; did you mean check?"],
    ["dmeo", "unknown command dmeo; did you mean demo?"],
    ["config.yaml", "unknown command config.yaml; see spooky --help"],
    ["start", "unknown command start; see spooky --help"],
    ["check demo", "two commands: check and demo"],
    ["check check", "two commands: check and check"],
    ["--config", "--config needs the path of a configuration file"],
    ["-c", "-c needs the path of a configuration file"],
    ["--config=", "--config needs the path of a configuration file"],
    ["--config --version", "--config needs the path of a configuration file"],
    ["--config -V", "--config needs the path of a configuration file"],
    ["--config a --config b", "--config is given twice"],
    ["-c a --config=b", "--config is given twice"],
    ["demo --port", "--port needs a number from 0 to 65535 (0: the system chooses)"],
    ["demo --port=", "--port needs a number from 0 to 65535 (0: the system chooses)"],
    ["demo --port x", "--port needs a number from 0 to 65535 (0: the system chooses)"],
    ["demo --port -1", "--port needs a number from 0 to 65535 (0: the system chooses)"],
    ["demo --port=-1", "--port needs a number from 0 to 65535 (0: the system chooses)"],
    ["demo --port 65536", "--port needs a number from 0 to 65535 (0: the system chooses)"],
    ["demo --port 1e3", "--port needs a number from 0 to 65535 (0: the system chooses)"],
    ["demo --port 0x10", "--port needs a number from 0 to 65535 (0: the system chooses)"],
    ["demo --port 1 --port 2", "--port is given twice"],
    ["--port 443", "--port belongs to `spooky demo`; a configuration names its own listen.port"],
    ["check --port 443", "--port belongs to `spooky demo`; a configuration names its own listen.port"],
    ["demo --config x", "`spooky demo` has a configuration of its own: leave --config out"],
    ["--json", "--json belongs to `spooky status` and `check`"],
    ["reload --json", "--json belongs to `spooky status` and `check`"],
    ["status --json=1", "--json takes no value"],
    ["reload --binary x", "--binary belongs to `spooky upgrade`"],
    ["upgrade --binary", "--binary needs the path of a program"],
    [
      "--control x",
      "--control belongs to `spooky upgrade`, `reload` and `status`; a configuration names its own control.socket",
    ],
    ["status --control x --config y", "--control and --config name the same thing: leave one of them out"],
    ["statu", "unknown command statu; did you mean status?"],
    ["--version=1", "--version takes no value"],
    ["--help=me", "--help takes no value"],
    ["--help --nonsense", "unknown option --nonsense; see spooky --help"],
  ];
  for (const [line, message] of table) {
    test(`spooky ${line}`, () => expect(parse(line)).toEqual({ kind: "usage-error", message }));
  }

  test("also when an argument is empty", () => {
    expect(parseArgs([""])).toEqual({ kind: "usage-error", message: "unknown command ; see spooky --help" });
  });
});

test("every option of the help text is known, with its value", () => {
  const options = [...HELP.matchAll(/(?<=\s|\[)--?[a-zA-Z]+/g)].map(([option]) => option);
  expect(new Set(options)).toEqual(
    new Set([
      "-c",
      "--config",
      "-V",
      "--version",
      "-h",
      "--help",
      "--port",
      "--control",
      "--binary",
      "--wait",
      "--rollback",
      "--json",
      "--strict",
      "--offline",
      "--ready",
      "--url",
    ]),
  );
  for (const option of options) {
    const command = parseArgs([option, "1", "demo"]);
    if (command.kind === "usage-error") expect(command.message).not.toStartWith("unknown option");
  }
});
