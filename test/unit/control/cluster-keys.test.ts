import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadClusterSecrets, parseKeyFile } from "../../../src/control/cluster-keys.ts";
import { ProxyError } from "../../../src/core/error.ts";
import { tempFolder } from "../../support/temp.ts";

const folder = tempFolder("keys");

const A = "aa".repeat(32);
const B = "bb".repeat(32);
const C = "0123456789abcdefABCDEF9876543210".repeat(2);

describe("a key file", () => {
  test("has a current key, and may have the ones before and after it; in any order, with comments and blanks", () => {
    const text = `# keys of the cluster\n\nnext 8 ${C}\n  current\t7  ${A}  \r\nprevious 6 ${B}`;
    const keys = parseKeyFile(text, "f");
    expect(keys.map(({ id, bytes }) => [id, bytes.toHex()])).toEqual([
      [7, A],
      [6, B],
      [8, C.toLowerCase()],
    ]);
    expect(parseKeyFile(`current 0 ${A}`, "f").length).toBe(1);
  });

  test("counts on from 255 to 0", () => {
    expect(parseKeyFile(`current 255 ${A}\nnext 0 ${B}\nprevious 254 ${C}`, "f").map(({ id }) => id)).toEqual([
      255, 254, 0,
    ]);
    expect(parseKeyFile(`current 0 ${A}\nprevious 255 ${B}`, "f").map(({ id }) => id)).toEqual([0, 255]);
  });

  const refused: readonly [string, string, RegExp][] = [
    ["nothing", "", /no current key/],
    ["no current key", `next 8 ${A}`, /no current key/],
    ["a word that is none", `curent 7 ${A}`, /^f:1: expected previous, current or next/],
    ["two of one kind", `current 7 ${A}\ncurrent 8 ${B}`, /^f:2: there are two current keys/],
    ["a number too large", `current 256 ${A}`, /^f:1: expected the key's number/],
    ["a number that is none", `current x ${A}`, /^f:1: expected the key's number/],
    ["no number", `current ${A}`, /^f:1: expected the key's number/],
    ["too few digits", `# c\ncurrent 7 ${A.slice(2)}`, /^f:2: expected 64 hexadecimal digits/],
    ["too many digits", `current 7 ${A}00`, /expected 64 hexadecimal digits/],
    ["other than digits", `current 7 ${A.slice(1)}g`, /expected 64 hexadecimal digits/],
    ["something behind", `current 7 ${A} # mine`, /nothing behind/],
    ["a next that is not the next", `current 7 ${A}\nnext 9 ${B}`, /the next key has number 9, expected 8/],
    ["a previous that is not", `current 7 ${A}\nprevious 7 ${B}`, /the previous key has number 7, expected 6/],
    ["one key twice", `current 7 ${A}\nnext 8 ${A}`, /two keys are the same/],
    ["one key twice, beside the current", `current 7 ${C}\nnext 8 ${A}\nprevious 6 ${A}`, /two keys are the same/],
  ];
  for (const [name, text, message] of refused) {
    test(`with ${name} is refused, and no message shows a key`, () => {
      const error = thrownBy(() => parseKeyFile(text, "f"));
      expect(error.code).toBe("CONFIG_INVALID");
      expect(error.message).toMatch(message);
      for (const digits of [A, B, C]) expect(`${error.message} ${error.remedy}`).not.toContain(digits.slice(2, 20));
    });
  }
});

describe("secrets of a cluster", () => {
  test("come from the file, the current ones first", () => {
    const file = write("good", `previous 6 ${B}\ncurrent 7 ${A}\n`, 0o600);
    expect(loadClusterSecrets(file).map(({ id }) => id)).toEqual([7, 6]);
  });

  for (const mode of [0o600, 0o400, 0o640, 0o440]) {
    test(`may be readable by owner and group: ${mode.toString(8)}`, () => {
      expect(loadClusterSecrets(write(`m${mode}`, `current 7 ${A}`, mode)).length).toBe(1);
    });
  }
  for (const mode of [0o644, 0o604, 0o602, 0o601, 0o620, 0o666, 0o777]) {
    test(`may not be open to others, nor be written by the group: ${mode.toString(8)}`, () => {
      const error = thrownBy(() => loadClusterSecrets(write(`m${mode}`, `current 7 ${A}`, mode)));
      expect(error.code).toBe("CONFIG_INVALID");
      expect(error.message).toContain(`open to others (mode ${mode.toString(8)})`);
      expect(error.remedy).toContain("chmod 600");
    });
  }

  test("are not sought in a folder, a pipe that nobody writes to, a file that is not there, or one that is far too long", () => {
    mkdirSync(join(folder, "folder"), { mode: 0o700 });
    const codes = ["folder", "missing"].map((name) => thrownBy(() => loadClusterSecrets(join(folder, name))).code);
    expect(codes).toEqual(["CONFIG_INVALID", "CONFIG_UNREADABLE"]);
    const pipe = join(folder, "pipe");
    expect(Bun.spawnSync(["mkfifo", "-m", "600", pipe]).exitCode).toBe(0);
    expect(thrownBy(() => loadClusterSecrets(pipe)).message).toContain("is no file");
    const long = write("long", `current 7 ${A}\n#`.padEnd(5000, "x"), 0o600);
    expect(thrownBy(() => loadClusterSecrets(long)).message).toContain("no key file");
  });
});

function write(name: string, text: string, mode: number): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  // Past the mask that the process has for new files.
  chmodSync(path, mode);
  return path;
}

function thrownBy(run: () => unknown): ProxyError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof ProxyError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}
