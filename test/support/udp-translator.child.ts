/**
 * A translator as a process of its own. The first line of its input is its options, the first of its output `{"port":N}`; each further
 * line is a command (`forget`, `counts`) and answered with the counts once it is obeyed. It ends with its input.
 */
import { createInterface } from "node:readline";
import { openTranslator, type Translator } from "./udp-translator.ts";

let translator: Translator | null = null;

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function obey(line: string): Promise<void> {
  if (translator === null) {
    translator = await openTranslator(JSON.parse(line));
    say({ port: translator.port });
    return;
  }
  if (line === "forget") translator.forget();
  say({ counts: translator.counts });
}

const input = createInterface({ input: process.stdin });
input.on("line", (line) => void obey(line));
input.on("close", () => process.exit());
