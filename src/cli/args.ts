/** Arguments -> a command. Pure; a wrong argument is a usage error that names it and the nearest right one. */
import { nearest } from "../config/nearest.ts";

/** Where the configuration is when nothing else is said. */
export const DEFAULT_CONFIG_PATH = "/etc/spooky/config.yaml";

/** Something to ask of a program that runs. */
export interface ControlCommand {
  readonly kind: "upgrade" | "reload" | "status";
  /** Its control socket; null: where its configuration says. */
  readonly controlPath: string | null;
  readonly configPath: string;
  /** For an upgrade: the program to start; null: the one that is installed where the running one came from. */
  readonly binary: string | null;
  /** For an upgrade: former workers that finish what they have are waited for first. */
  readonly wait: boolean;
  /** For a status: the form for programs. */
  readonly json: boolean;
  /** For a reload: the configuration that was at work before. */
  readonly rollback: boolean;
}

/** Something to look at before a start. */
export interface CheckCommand {
  readonly kind: "check";
  readonly configPath: string;
  /** The form for programs. */
  readonly json: boolean;
  /** Warnings count for the exit code. */
  readonly strict: boolean;
  /** Backends are not asked. */
  readonly offline: boolean;
}

/** A running program to be asked how it is. */
export interface HealthcheckCommand {
  readonly kind: "healthcheck";
  readonly configPath: string;
  /** Null: where the configuration has it answer. */
  readonly url: string | null;
  /** Whether it is ready, and not only alive. */
  readonly ready: boolean;
}

/** What the program shall do. */
export type Command =
  | ControlCommand
  | { readonly kind: "serve"; readonly configPath: string }
  | CheckCommand
  | HealthcheckCommand
  | { readonly kind: "demo"; readonly port: number }
  | { readonly kind: "worker" }
  | { readonly kind: "trial" }
  | { readonly kind: "version" }
  | { readonly kind: "help" }
  | { readonly kind: "usage-error"; readonly message: string };

/** The text of `--help`. */
export const HELP = `spooky: an HTTP/3 to HTTP/2 edge proxy and load balancer

Usage:
  spooky [--config PATH]          validate the configuration, then serve it
  spooky check [--config PATH]    look at all that a start needs, and say what is wrong
  spooky upgrade [--binary PATH]  replace the running program by the installed one, without loss
  spooky reload [--rollback]      reload the configuration of the running program, without loss
  spooky status [--json]          print how the running program is
  spooky healthcheck [--ready]    ask the running program whether it lives, or is ready
  spooky demo [--port PORT]       serve a built-in demonstration on 127.0.0.1 (default port 9889)
  spooky --version                print versions and the build's target
  spooky --help                   print this text

Options:
  -c, --config PATH   configuration file (default ${DEFAULT_CONFIG_PATH})
  --control PATH      control socket of the running program (default: what its configuration says)
  --binary PATH       program to upgrade to (default: the path that the running one came from)
  --wait              for \`upgrade\`: first wait for former workers that finish what they have
  --rollback          for \`reload\`: the configuration that was at work before the present one
  --json              for programs: the status in full, the report of a check
  --strict            for \`check\`: warnings count, exit code 1
  --offline           for \`check\`: backends are not asked
  --ready             for \`healthcheck\`: is it ready?
  --port PORT         for \`demo\`: UDP port to listen on (default 9889; 0: the system chooses)
  --url URL           for \`healthcheck\`: where to ask (default: what the configuration says)
  -V, --version
  -h, --help

Signals:
  SIGTERM, SIGINT     finish the requests under way, then exit; a second one exits at once
  SIGHUP              reload
  SIGUSR1             open log files anew, after they were moved away
  SIGUSR2             upgrade

Exit codes:
  0   all went well (for \`check\`: no errors)
  1   a failure while running; for \`upgrade\` and \`reload\`: refused, and all is as before;
      for \`check --strict\`: warnings
  2   a usage error, a wrong configuration, an address that cannot be served, no program to ask;
      for \`check\`: errors
  3   it served and stopped, and requests outlived the drain time
`;

/** The demo's port: the one the original system listens on by default. */
const DEMO_PORT = 9889;
const PORT_MAX = 65_535;
/** What a supervisor calls this program with, alone; no command for people. */
export const WORKER_COMMAND = "worker";
/** What a supervisor asks another build of this program with, alone, whether it could go on in its place. */
export const TRIAL_COMMAND = "takeover-trial";
/** The commands for people. */
export const COMMANDS = ["check", "upgrade", "reload", "status", "healthcheck", "demo"] as const;
type Word = (typeof COMMANDS)[number];

/** An option: whether it takes a value, what is wrong without one, and with which command it goes; null for none of these limits. */
interface Option {
  readonly value: string | null;
  readonly only: readonly Word[] | null;
  readonly elsewhere: string;
}

/** Every option by its long name. */
export const OPTIONS: ReadonlyMap<string, Option> = new Map([
  ["--config", { value: "needs the path of a configuration file", only: null, elsewhere: "" }],
  ["--version", { value: null, only: null, elsewhere: "" }],
  ["--help", { value: null, only: null, elsewhere: "" }],
  [
    "--port",
    {
      value: `needs a number from 0 to ${PORT_MAX} (0: the system chooses)`,
      only: ["demo"],
      elsewhere: "--port belongs to `spooky demo`; a configuration names its own listen.port",
    },
  ],
  [
    "--control",
    {
      value: "needs the path of a control socket",
      only: ["upgrade", "reload", "status"],
      elsewhere:
        "--control belongs to `spooky upgrade`, `reload` and `status`; a configuration names its own control.socket",
    },
  ],
  [
    "--binary",
    { value: "needs the path of a program", only: ["upgrade"], elsewhere: "--binary belongs to `spooky upgrade`" },
  ],
  ["--ready", { value: null, only: ["healthcheck"], elsewhere: "--ready belongs to `spooky healthcheck`" }],
  ["--url", { value: "needs a URL", only: ["healthcheck"], elsewhere: "--url belongs to `spooky healthcheck`" }],
  ["--wait", { value: null, only: ["upgrade"], elsewhere: "--wait belongs to `spooky upgrade`" }],
  ["--rollback", { value: null, only: ["reload"], elsewhere: "--rollback belongs to `spooky reload`" }],
  ["--json", { value: null, only: ["status", "check"], elsewhere: "--json belongs to `spooky status` and `check`" }],
  ["--strict", { value: null, only: ["check"], elsewhere: "--strict belongs to `spooky check`" }],
  ["--offline", { value: null, only: ["check"], elsewhere: "--offline belongs to `spooky check`" }],
]);

/** The short names of options. */
export const SHORT: ReadonlyMap<string, string> = new Map([
  ["-c", "--config"],
  ["-V", "--version"],
  ["-h", "--help"],
]);

/** Reads the arguments after the program's name. */
export function parseArgs(args: readonly string[]): Command {
  if (args.length === 1 && args[0] === WORKER_COMMAND) return { kind: "worker" };
  if (args.length === 1 && args[0] === TRIAL_COMMAND) return { kind: "trial" };
  const reader = new ArgReader(args);
  while (!reader.done) {
    const message = reader.take();
    if (message !== null) return { kind: "usage-error", message };
  }
  return reader.command();
}

class ArgReader {
  readonly #args: readonly string[];
  #at = 0;
  #word: Word | null = null;
  /** Options so far, by their long names; "" for those without a value. */
  readonly #given = new Map<string, string>();

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  get done(): boolean {
    return this.#at >= this.#args.length;
  }

  /** Takes one argument with its value; a message when it is wrong. */
  take(): string | null {
    const arg = this.#args[this.#at++] ?? "";
    if (!arg.startsWith("-")) return this.#takeWord(arg);
    const equals = arg.startsWith("--") ? arg.indexOf("=") : -1;
    const written = equals < 0 ? arg : arg.slice(0, equals);
    const inline = equals < 0 ? null : arg.slice(equals + 1);
    const name = SHORT.get(written) ?? written;
    const option = OPTIONS.get(name);
    if (option === undefined) return `unknown option ${written}${suggestion(written, [...OPTIONS.keys()])}`;
    return option.value === null
      ? this.#takeFlag(written, name, inline)
      : this.#takeValue(written, name, inline, option.value);
  }

  command(): Command {
    const given = this.#given;
    if (given.has("--version")) return { kind: "version" };
    if (given.has("--help")) return { kind: "help" };
    for (const [name, { only, elsewhere }] of OPTIONS) {
      const fits = only === null || only.some((word) => word === this.#word);
      if (given.has(name) && !fits) return { kind: "usage-error", message: elsewhere };
    }
    const configPath = given.get("--config") ?? DEFAULT_CONFIG_PATH;
    switch (this.#word) {
      case "demo":
        return this.#demo();
      case "check":
        return {
          ...{ kind: "check", configPath, json: given.has("--json") },
          ...{ strict: given.has("--strict"), offline: given.has("--offline") },
        };
      case "healthcheck":
        return { kind: "healthcheck", configPath, url: given.get("--url") ?? null, ready: given.has("--ready") };
      case null:
        return { kind: "serve", configPath };
      default:
        return this.#control(this.#word, configPath);
    }
  }

  #demo(): Command {
    if (!this.#given.has("--config")) return { kind: "demo", port: Number(this.#given.get("--port") ?? DEMO_PORT) };
    return { kind: "usage-error", message: "`spooky demo` has a configuration of its own: leave --config out" };
  }

  #control(kind: ControlCommand["kind"], configPath: string): Command {
    const given = this.#given;
    const controlPath = given.get("--control") ?? null;
    if (controlPath !== null && given.has("--config"))
      return { kind: "usage-error", message: "--control and --config name the same thing: leave one of them out" };
    return {
      kind,
      controlPath,
      configPath,
      binary: given.get("--binary") ?? null,
      wait: given.has("--wait"),
      json: given.has("--json"),
      rollback: given.has("--rollback"),
    };
  }

  #takeWord(word: string): string | null {
    const command = COMMANDS.find((known) => known === word);
    if (command === undefined) return `unknown command ${word}${suggestion(word, COMMANDS)}`;
    if (this.#word !== null) return `two commands: ${this.#word} and ${command}`;
    this.#word = command;
    return null;
  }

  #takeFlag(written: string, name: string, inline: string | null): string | null {
    if (inline !== null) return `${written} takes no value`;
    this.#given.set(name, "");
    return null;
  }

  #takeValue(written: string, name: string, inline: string | null, wanted: string): string | null {
    if (this.#given.has(name)) return `${name} is given twice`;
    const value = inline ?? this.#next();
    if (value === null || value === "") return `${written} ${wanted}`;
    if (name === "--port" && !(/^\d{1,5}$/.test(value) && Number(value) <= PORT_MAX)) return `${written} ${wanted}`;
    this.#given.set(name, value);
    return null;
  }

  /** The next argument as a value; null when there is none or it is an option. */
  #next(): string | null {
    const value = this.#args[this.#at];
    if (value === undefined || (value.startsWith("-") && value !== "-")) return null;
    this.#at += 1;
    return value;
  }
}

function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === null ? "; see spooky --help" : `; did you mean ${near.word}?`;
}
