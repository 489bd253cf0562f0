/** What the runtimes say when a connection cannot be made or breaks, as errors of ours. */
import { messageOf, ProxyError } from "../core/error.ts";
import { lacksDescriptors } from "./process-facts.ts";

const REFUSED: readonly string[] = ["ECONNREFUSED"];
const NAME: readonly string[] = ["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NONAME", "EAI_NODATA", "DNS_ENOTFOUND"];

/** A failure before the stream was open: surely nothing was sent. */
export function connectError(thrown: unknown, where: string): ProxyError {
  const code = codeOf(thrown);
  if (lacksDescriptors()) return noDescriptor(where, thrown);
  if (code === "ENOENT") return new ProxyError("UPSTREAM_REFUSED", `there is no socket ${where}`, { cause: thrown });
  if (REFUSED.includes(code))
    return new ProxyError("UPSTREAM_REFUSED", `connection refused by ${where}`, { cause: thrown });
  if (NAME.includes(code))
    return new ProxyError("UPSTREAM_NAME", `the name of ${where} cannot be resolved (${code})`, { cause: thrown });
  if (code === "ETIMEDOUT") return connectTimeout(where);
  return new ProxyError(
    "UPSTREAM_UNREACHABLE",
    `${where} cannot be reached: ${code === "" ? messageOf(thrown) : code}`,
    { cause: thrown },
  );
}

/** It is this process that cannot, whatever the backend would have said. */
export function noDescriptor(where: string, cause: unknown): ProxyError {
  return new ProxyError("OVERLOADED", `no descriptor is left for a connection to ${where} (process_max_fds)`, {
    cause,
  });
}

/** The certificate or the handshake is not what the pool trusts. */
export function tlsError(thrown: unknown, where: string): ProxyError {
  const code = codeOf(thrown);
  return new ProxyError("UPSTREAM_TLS", `TLS to ${where} failed: ${code === "" ? messageOf(thrown) : code}`, {
    cause: thrown,
  });
}

/** No connection within the time for it. */
export function connectTimeout(where: string): ProxyError {
  return new ProxyError("UPSTREAM_CONNECT_TIMEOUT", `no connection to ${where} in time`);
}

/** An open stream broke. */
export function brokenStream(thrown: unknown, where: string): ProxyError {
  const code = codeOf(thrown);
  return new ProxyError(
    "UPSTREAM_RESET",
    `the connection to ${where} broke: ${code === "" ? messageOf(thrown) : code}`,
    { cause: thrown },
  );
}

function codeOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return "";
  const code: unknown = Reflect.get(thrown, "code");
  return typeof code === "string" ? code : "";
}
