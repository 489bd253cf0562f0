/** curl with HTTP/3, where the system has one: nghttp3 and ngtcp2 (or another stack), as many users have it. */
import { randomUUID } from "node:crypto";
import { runProcess } from "../support/process.ts";

/** What curl got. */
export interface CurlAnswer {
  /** Exit code of curl; 0 is good, 95 an HTTP/3 error, 28 a timeout. */
  readonly code: number | null;
  readonly status: number;
  /** "3", "2" or "1.1"; "0" when there was no response. */
  readonly version: string;
  /** Fields of the last response, as sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body as UTF-8 text; bodies of other bytes are for `--output` and `bodyBytes`. */
  readonly body: string;
  readonly bodyBytes: number;
  readonly stderr: string;
}

/** Path of a curl that says HTTP3 in `curl -V`: SPOOKY_TEST_CURL, else the one in the search path. Null: none. */
export async function findCurl(): Promise<string | null> {
  const named = process.env["SPOOKY_TEST_CURL"] ?? Bun.which("curl");
  if (named === null || named === "") return null;
  const { code, stdout } = await runProcess({ command: [named, "-V"] });
  return code === 0 && /^Features:.*\bHTTP3\b/m.test(stdout) ? named : null;
}

/** Why a test is skipped without it. */
export const CURL_MISSING = "curl: none with HTTP3 in the search path (SPOOKY_TEST_CURL names another)";

/** Asks over HTTP/3 only. `options` are curl's own; `-k` or `--cacert` is for the caller to say. */
export async function curlHttp3(curl: string, url: string, options: readonly string[] = []): Promise<CurlAnswer> {
  const mark = randomUUID();
  const { code, stdout, stderr } = await runProcess({
    command: [
      curl,
      ...["--silent", "--show-error", "--http3-only", "--include", "--no-buffer"],
      ...["--write-out", `${mark}%{http_version} %{response_code} %{size_download}`],
      ...options,
      url,
    ],
  });
  const [printed = "", summary = ""] = stdout.split(mark);
  const [version = "0", status = "0", size = "0"] = summary.split(" ");
  const { headers, body } = splitHead(printed);
  return { code, status: Number(status), version, headers, body, bodyBytes: Number(size), stderr };
}

/** Takes the last head off the front: interim responses come before it. */
function splitHead(printed: string): Pick<CurlAnswer, "headers" | "body"> {
  let rest = printed;
  let headers: CurlAnswer["headers"] = [];
  while (/^HTTP\/[0-9.]+ /.test(rest)) {
    const end = /\r?\n\r?\n/.exec(rest);
    const head = end === null ? rest : rest.slice(0, end.index);
    rest = end === null ? "" : rest.slice(end.index + end[0].length);
    headers = head
      .split(/\r?\n/)
      .slice(1)
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()] as const);
  }
  return { headers, body: rest };
}
