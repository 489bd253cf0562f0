/** Calls of one program in a shell script, as far as documentation needs it: no shell, only words. */

/** Words that stand before a command and are none. */
const PREFIXES: ReadonlySet<string> = new Set(["if", "then", "else", "do", "while", "until", "!", "exec", "{", "time"]);
/** Programs that call the rest of their words, and those of their options that take a value. */
const WRAPPERS: ReadonlyMap<string, readonly string[]> = new Map([
  ["sudo", ["-u", "-g"]],
  ["env", []],
  ["nice", ["-n"]],
]);

/** Arguments of every call of a program of that name, under any folder. */
export function callsOf(program: string, script: string): string[][] {
  const joined = script.replaceAll(/\\\n\s*/g, " ").replaceAll(/^\s*#.*$/gm, "");
  const commands = joined.split(/&&|\|\||[|;&\n]|\$\(|`|<<<?/);
  return commands.flatMap((command) => {
    const words = commandWords(command);
    const name = words[0]?.split("/").at(-1);
    return name === program ? [words.slice(1)] : [];
  });
}

/** Words of a command from the program on, without quotes, redirections, comments and what stands before it. */
function commandWords(command: string): string[] {
  const words = [...command.matchAll(/"[^"]*"|'[^']*'|[^\s"']+/g)].map(([word]) => word);
  const comment = words.findIndex((word) => word.startsWith("#"));
  if (comment >= 0) words.splice(comment);
  const end = words.findIndex((word) => /^(\d?[<>]|&>|\)|\})/.test(word));
  if (end >= 0) words.splice(end);
  let at = 0;
  for (;;) {
    const word = words[at] ?? "";
    const valued = WRAPPERS.get(word);
    if (valued !== undefined) {
      at += 1;
      while (words[at]?.startsWith("-") === true) at += valued.includes(words[at] ?? "") ? 2 : 1;
    } else if (PREFIXES.has(word) || /^[A-Za-z_]\w*=/.test(word)) at += 1;
    else break;
  }
  return words.slice(at).map((word) => word.replace(/\)+$/, "").replaceAll(/^["']|["']$/g, ""));
}
