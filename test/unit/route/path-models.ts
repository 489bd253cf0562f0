/**
 * Paths once more, slowly: the normal form as plain steps over strings, and servers that read paths in all the ways that servers do.
 * Shares no code with what it checks.
 */

/** What the normal form of a path without faults is, step by step. */
export function referenceForm(path: string): string {
  if (!path.startsWith("/")) return path;
  const [, before = "", query = ""] = /^([^?]*)(.*)$/s.exec(path) ?? [];
  const decoded = before
    .replace(/%([0-9a-f]{2})/gi, (escape, digits: string) => {
      const character = String.fromCharCode(Number.parseInt(digits, 16));
      return /^[!-~]$/.test(character) && !"%?#".includes(character) ? character : escape.toUpperCase();
    })
    .replaceAll("\\", "/")
    .split("/")
    .map((segment) => segment.replace(/;.*$/s, ""));
  return resolved(decoded.slice(1), true) + query;
}

/** How a server reads paths. */
export interface Reading {
  /** Which escapes it decodes before it looks at segments. */
  readonly decodes: "nothing" | "unreserved" | "all";
  /** When it leaves parameters out, if it does. */
  readonly parameters: "kept" | "left out before decoding" | "left out after decoding";
  readonly isBackslashSlash: boolean;
  readonly mergesSlashes: boolean;
  /** Resolves dot segments in the path as it came, and again behind all the rest. */
  readonly resolvesTwice: boolean;
}

/** Every server that can be put together. */
const READINGS: readonly Reading[] = (["nothing", "unreserved", "all"] as const).flatMap((decodes) =>
  (["kept", "left out before decoding", "left out after decoding"] as const).flatMap((parameters) =>
    [false, true].flatMap((isBackslashSlash) =>
      [false, true].flatMap((mergesSlashes) =>
        [false, true].map((resolvesTwice) => ({
          ...{ decodes, parameters, isBackslashSlash },
          ...{ mergesSlashes, resolvesTwice },
        })),
      ),
    ),
  ),
);

/** Those of them that can differ over this path. */
export function readingsOf(path: string): readonly Reading[] {
  const isEscaped = path.includes("%");
  const hasBackslash = isEscaped || path.includes("\\");
  const hasParameter = isEscaped || path.includes(";");
  return READINGS.filter(
    (reading) =>
      (isEscaped || reading.decodes === "nothing") &&
      (hasParameter || reading.parameters === "kept") &&
      (hasBackslash || !reading.isBackslashSlash),
  );
}

/** The path that a server acts on: what it has decoded and resolved, written so that it can be routed again. */
export function readPath(path: string, reading: Reading): string {
  let text = reading.resolvesTwice ? resolved(path.split("/").slice(1), reading.mergesSlashes) : path;
  if (reading.parameters === "left out before decoding") text = text.replace(/;[^/]*/g, "");
  if (reading.decodes !== "nothing") text = decoded(text, reading.decodes === "all");
  if (reading.isBackslashSlash) text = text.replaceAll("\\", "/");
  if (reading.parameters === "left out after decoding") text = text.replace(/;[^/]*/g, "");
  return resolved(text.split("/").slice(1), reading.mergesSlashes);
}

/** How many segments resolving takes away or acts on, once all has been decoded `times` times. */
export function dotSegmentsAfter(path: string, times: number): number {
  let text = path;
  for (let time = 0; time < times; time++) {
    text = text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  }
  return text.split(/[/\\]/).filter((segment) => /^\.\.?(;|$)/.test(segment)).length;
}

/** A percent sign that was escaped stays escaped, for what is routed again would take it for the beginning of an escape. */
function decoded(text: string, all: boolean): string {
  return text.replace(/%([0-9a-f]{2})/gi, (escape, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    if (all) return "%?#".includes(character) || !/^[!-~]$/.test(character) ? escape : character;
    return /^[A-Za-z0-9._~-]$/.test(character) ? character : escape;
  });
}

/** RFC 3986 5.2.4 on the segments behind the first slash. */
function resolved(segments: readonly string[], mergesSlashes: boolean): string {
  const kept: string[] = [];
  segments.forEach((segment, i) => {
    const isLast = i === segments.length - 1;
    if (segment === "." || segment === "..") {
      if (segment === "..") kept.pop();
      if (isLast) kept.push("");
    } else if (segment !== "" || isLast || !mergesSlashes) kept.push(segment);
  });
  return `/${kept.join("/")}`;
}
