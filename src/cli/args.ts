/** Arguments -> a command. Pure; a wrong argument is a usage error that names it and the nearest right one. */
import { nearest } from "../config/nearest.ts";

/** Where the configuration is when nothing else is said. */
export const DEFAULT_CONFIG_PATH = "/etc/spooky/config.yaml";

/** What the program shall do. */
export type Command =
  | { readonly kind: "serve"; readonly configPath: string }
  | { readonly kind: "check"; readonly configPath: string }
  | { readonly kind: "demo"; readonly port: number }
  | { readonly kind: "worker" }
  | { readonly kind: "version" }
  | { readonly kind: "help" }
  | { readonly kind: "usage-error"; readonly message: string };

/** The text of `--help`. */
export const HELP = `spooky: an HTTP/3 to HTTP/2 edge proxy and load balancer

Usage:
  spooky [--config PATH]          validate the configuration, then serve it
  spooky check [--config PATH]    validate the configuration and what it names, then exit
  spooky demo [--port PORT]       serve a built-in demonstration on 127.0.0.1 (default port 9889)
  spooky --version                print versions and the build's target
  spooky --help                   print this text

Options:
  -c, --config PATH   configuration file (default ${DEFAULT_CONFIG_PATH})
  -V, --version
  -h, --help

Signals:
  SIGTERM, SIGINT     finish the requests under way, then exit; a second one exits at once

Exit codes:
  0   all went well (for \`check\`: the configuration is valid)
  1   a failure while running
  2   a usage error, an invalid configuration, or an address that cannot be served
  3   it served and stopped, and requests outlived the drain time
`;

/** The demo's port: the one the original system listens on by default. */
const DEMO_PORT = 9889;
const PORT_MAX = 65_535;
/** What a supervisor calls this program with, alone; no command for people. */
export const WORKER_COMMAND = "worker";
const COMMANDS = ["check", "demo"] as const;
const OPTIONS = ["--config", "--version", "--help", "--port"] as const;

/** Reads the arguments after the program's name. */
export function parseArgs(args: readonly string[]): Command {
  if (args.length === 1 && args[0] === WORKER_COMMAND) return { kind: "worker" };
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
  #word: (typeof COMMANDS)[number] | null = null;
  #flag: "version" | "help" | null = null;
  #configPath: string | null = null;
  #port: number | null = null;

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
    const name = equals < 0 ? arg : arg.slice(0, equals);
    const inline = equals < 0 ? null : arg.slice(equals + 1);
    switch (name) {
      case "--config":
      case "-c":
        return this.#takeConfig(name, inline);
      case "--port":
        return this.#takePort(inline);
      case "--version":
      case "-V":
        return this.#takeFlag(name, inline, "version");
      case "--help":
      case "-h":
        return this.#takeFlag(name, inline, "help");
      default:
        return `unknown option ${name}${suggestion(name, OPTIONS)}`;
    }
  }

  command(): Command {
    if (this.#flag !== null) return { kind: this.#flag };
    if (this.#port !== null && this.#word !== "demo") {
      return {
        kind: "usage-error",
        message: "--port belongs to `spooky demo`; a configuration names its own listen.port",
      };
    }
    if (this.#word === "demo") {
      if (this.#configPath !== null) {
        return { kind: "usage-error", message: "`spooky demo` has a configuration of its own: leave --config out" };
      }
      return { kind: "demo", port: this.#port ?? DEMO_PORT };
    }
    const configPath = this.#configPath ?? DEFAULT_CONFIG_PATH;
    return { kind: this.#word === "check" ? "check" : "serve", configPath };
  }

  #takeWord(word: string): string | null {
    const command = COMMANDS.find((known) => known === word);
    if (command === undefined) return `unknown command ${word}${suggestion(word, COMMANDS)}`;
    if (this.#word !== null) return `two commands: ${this.#word} and ${command}`;
    this.#word = command;
    return null;
  }

  #takeConfig(name: string, inline: string | null): string | null {
    if (this.#configPath !== null) return "--config is given twice";
    const value = inline ?? this.#next();
    if (value === null || value === "") return `${name} needs the path of a configuration file`;
    this.#configPath = value;
    return null;
  }

  #takePort(inline: string | null): string | null {
    if (this.#port !== null) return "--port is given twice";
    const value = inline ?? this.#next();
    const port = value !== null && /^\d{1,5}$/.test(value) ? Number(value) : -1;
    if (port < 0 || port > PORT_MAX) return `--port needs a number from 0 to ${PORT_MAX} (0: the system chooses)`;
    this.#port = port;
    return null;
  }

  #takeFlag(name: string, inline: string | null, flag: "version" | "help"): string | null {
    if (inline !== null) return `${name} takes no value`;
    this.#flag = flag;
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
