/** What the last stage of a Dockerfile says of the image: as much of the language as ours uses. */
import { AssertionFault } from "../../src/core/assert.ts";

/** An image, but for its base. */
export interface Image {
  /** What is copied into it from the stage `release`, in order. */
  readonly copies: readonly { readonly sources: readonly string[]; readonly target: string; readonly mode: number }[];
  readonly user: { readonly uid: number; readonly gid: number };
  readonly exposed: readonly string[];
  readonly stopSignal: string;
  readonly healthcheck: readonly string[];
  /** Entry point and default arguments. */
  readonly command: readonly string[];
  readonly base: string;
}

/** Reads the text of a Dockerfile. Throws on an instruction of the last stage that it does not know: it could change the image. */
export function readDockerfile(text: string): Image {
  const lines = text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n")
    .replaceAll("\\\n", " ")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM ")));
  const known = new Set([
    "FROM",
    "ARG",
    "LABEL",
    "COPY",
    "USER",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
    "CMD",
  ]);
  const all = (word: string): string[] =>
    last.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1).trim());
  const one = (word: string): string => {
    const [found, ...more] = all(word);
    if (found === undefined || more.length > 0) throw new AssertionFault(`there is one ${word} in the last stage`);
    return found;
  };
  const strange = last.find((line) => !known.has(line.split(" ")[0] ?? ""));
  if (strange !== undefined) throw new AssertionFault(`unknown in a Dockerfile: ${strange}`);
  const [uid = "", gid = ""] = one("USER").split(":");
  return {
    copies: all("COPY").map(readCopy),
    user: { uid: Number(uid), gid: Number(gid) },
    exposed: one("EXPOSE").split(/\s+/),
    stopSignal: one("STOPSIGNAL"),
    healthcheck: execForm(one("HEALTHCHECK").replace(/^.*?\bCMD /, "")),
    command: [...execForm(one("ENTRYPOINT")), ...execForm(one("CMD"))],
    base: one("FROM"),
  };
}

function readCopy(text: string): Image["copies"][number] {
  const words = text.split(/\s+/);
  const options = words.filter((word) => word.startsWith("--"));
  if (!options.includes("--from=release")) throw new AssertionFault(`not from the stage \`release\`: COPY ${text}`);
  const paths = words.filter((word) => !word.startsWith("--"));
  const mode = options.find((word) => word.startsWith("--chmod="))?.slice("--chmod=".length) ?? "644";
  return { sources: paths.slice(0, -1), target: paths.at(-1) ?? "", mode: Number.parseInt(mode, 8) };
}

/** The form without a shell: a JSON array. */
function execForm(text: string): readonly string[] {
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed)) throw new AssertionFault(`not in exec form: ${text}`);
  return parsed.map(String);
}
