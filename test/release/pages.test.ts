/** The manual pages and completions: they tell all of the command line, and the programs that read them have nothing to complain of. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { COMMANDS, OPTIONS, SHORT } from "../../src/cli/args.ts";
import { CONFIG_SHAPE } from "../../src/config/schema.ts";
import { keyRows, schemaPathText } from "../../src/config/shape.ts";
import { runProcess } from "../support/process.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { projectFile } from "./releases.ts";

const COMPLETIONS = { bash: "spooky.bash", zsh: "_spooky", fish: "spooky.fish" } as const;
const PAGES = ["spooky.1", "spooky.yaml.5"];
const READERS: Readonly<Record<string, readonly string[]>> = {
  man: ["man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"],
  mandoc: ["mandoc", "-Tlint", "-Wwarning"],
};

function page(name: string): string {
  return readFileSync(projectFile(`packaging/man/${name}`), "utf8");
}

/** As a reader would see it: without the escapes of hyphens. */
function shown(name: string): string {
  return page(name).replaceAll("\\-", "-");
}

function completion(shell: keyof typeof COMPLETIONS): string {
  return projectFile(`packaging/completions/${COMPLETIONS[shell]}`);
}

test("spooky(1) tells of every command and every option", () => {
  const text = shown("spooky.1");
  for (const command of COMMANDS) expect(text).toContain(`\n.TP\n\\fB${command}\\fR\n`);
  for (const option of OPTIONS.keys())
    expect(text).toMatch(new RegExp(`\n\\.TP\n(\\\\fB-\\w\\\\fR, )?\\\\fB${option}\\\\fR`));
  for (const short of SHORT.keys()) expect(text).toContain(`\\fB${short}\\fR`);
});

test("spooky.yaml(5) tells of every key", () => {
  const text = shown("spooky.yaml.5");
  for (const { path } of keyRows(CONFIG_SHAPE)) expect(text).toContain(`\n.TP\n\\fB${schemaPathText(path)}\\fR\n`);
});

for (const [reader, command] of Object.entries(READERS)) {
  const missing = Bun.which(reader) === null;
  test.skipIf(missing).each(PAGES)(
    `${missing ? `${reader} is not there (./scripts/readers.sh installs it): ` : `${reader} renders without a warning: `}%s`,
    async (name) => {
      const file = writeTemp(tempFolder("man"), name, page(name).replace("@DATE@", "2026-01-01"));
      const { code, stderr, stdout } = await runProcess({ command: [...command, file], env: { MANWIDTH: "100" } });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      if (reader === "mandoc") expect(stdout).toBe("");
    },
  );
}

/** What a shell offers after these words, the last of which is being written. */
async function offered(shell: keyof typeof COMPLETIONS, words: readonly string[]): Promise<readonly string[]> {
  const script = { bash: BASH, zsh: ZSH, fish: FISH }[shell];
  const command = [
    shell,
    ...(shell === "zsh" ? ["-f"] : shell === "bash" ? ["--norc"] : ["--no-config"]),
    "-c",
    script,
  ];
  const parameters =
    shell === "fish" ? [completion(shell), ["spooky", ...words].join(" ")] : [shell, completion(shell), ...words];
  const { code, stdout, stderr } = await runProcess({ command: [...command, ...parameters], env: { TERM: "dumb" } });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}

const BASH = `. "$1"; shift
COMP_WORDS=(spooky "$@"); COMP_CWORD=$#
_spooky; printf '%s\\n' "\${COMPREPLY[@]}"`;

const FISH = `source $argv[1]; complete -C "$argv[2]" | string split -f 1 \\t; or true`;

/**
 * zsh completes only at a terminal: one of its own, which prints what the completion system is given. Words that are waited for are typed in two
 * pieces, for whatever is typed may be echoed before it is obeyed.
 */
const ZSH = `zmodload zsh/zpty
zpty shell zsh -f -i
file=$1; shift
zpty -w shell "PROMPT=; autoload -Uz compinit; compinit -D -u"
zpty -w shell "compadd() { local -a shown dummy; case \\" \\$* \\" in *' -O '*|*' -A '*|*' -D '*) builtin compadd \\"\\$@\\"; return;; esac; builtin compadd -A shown \\"\\$@\\"; print -l -- FOUND:\\$^shown; builtin compadd \\"\\$@\\" }"
zpty -w shell "_spooky_file() { source \${(q)file} }; compdef _spooky_file spooky"
zpty -w shell 'completed() { print "DO""NE" }; comppostfuncs=(completed)'
zpty -w shell 'print "REA""DY"'
zpty -r shell answer '*READY*'
zpty -n -w shell "spooky $*"$'\\t'
zpty -r shell answer '*DONE*'
print -r -- $answer | tr -d '\\r' | sed -n 's/.*FOUND://p'`;

for (const shell of ["bash", "zsh", "fish"] as const) {
  const missing = Bun.which(shell) === null;
  describe.skipIf(missing)(
    missing ? `${shell} is not there (./scripts/readers.sh installs it)` : `completion in ${shell}`,
    () => {
      test("offers every command", async () => {
        const words = await offered(shell, [""]);
        for (const command of COMMANDS) expect(words).toContain(command);
      });

      test("goes on from the beginning of a command", async () => {
        expect(await offered(shell, ["he"])).toEqual(["healthcheck"]);
      });

      test("offers with a command its options and no others, and no second command", async () => {
        const words = await offered(shell, ["reload", "--"]);
        for (const option of ["--config", "--control", "--rollback"]) expect(words.join(" ")).toContain(option);
        for (const option of ["--port", "--url", "--binary", "--strict"]) expect(words.join(" ")).not.toContain(option);
        expect(await offered(shell, ["reload", "che"])).not.toContain("check");
      });
    },
  );
}
