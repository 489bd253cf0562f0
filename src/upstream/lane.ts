/** One backend as fetch reaches it: its origin, its connections, and what was learned of it. */
import type { BackendSettings } from "../config/snapshot.ts";
import type { ReceivedProtocol } from "../proxy/ports.ts";
import type { FetchLane, FetchWire, RuntimeFetch, TrustMaterial } from "../runtime/fetch-options.ts";

/** How a backend is reached. */
export interface Lane {
  readonly backend: BackendSettings;
  /** Scheme, host and port, without a path. */
  readonly origin: string;
  readonly fetch: FetchLane;
  /** The version to ask for next. */
  wire: FetchWire;
  /** When the backend last showed that it can be reached: by an answer, or by a connection made to find out. */
  reachedMs: number;
  /** A connection is being made to find out. */
  dialing: boolean;
  /** Calls whose receiver takes nothing: over HTTP/2 they hold the one window that all calls of the runtime's connection share. */
  stalledCalls: number;
}

/** What stands in the way of reaching a backend by fetch; null when nothing does. For people. */
export function laneGap(backend: BackendSettings, trust: TrustMaterial, runtime: RuntimeFetch): string | null {
  const gap = usesTls(backend) ? runtime.gap(firstWire(backend), trust) : null;
  return gap === null ? null : `${gap} (${backend.address})`;
}

/** The version a backend is first asked for; `https` falls back to HTTP/1.1 when the backend says so. */
export function firstWire(backend: BackendSettings): FetchWire {
  if (backend.scheme === "h3") return "http3";
  return backend.scheme === "https" && backend.protocol !== "http1" ? "http2" : "http1";
}

/** `https://[::1]:8443`: what stands before the path of every URL. */
export function originOf(backend: BackendSettings): string {
  const host = backend.host.includes(":") ? `[${backend.host}]` : backend.host;
  return `${usesTls(backend) ? "https" : "http"}://${host}:${backend.port}`;
}

function usesTls(backend: BackendSettings): boolean {
  return backend.scheme === "https" || backend.scheme === "h3";
}

/**
 * What an answer came by, for the version asked for. Bun speaks that one or none, and an answer of HTTP/1.0 is not told from one of HTTP/1.1; on Deno, which
 * agrees with the backend itself, the two may differ.
 */
export const WIRE_PROTOCOLS: Readonly<Record<FetchWire, ReceivedProtocol>> = { http1: "1.1", http2: "2", http3: "3" };

/** True when HTTP/1.1 may be tried where HTTP/2 is not spoken. */
export function mayFallBack({ protocol }: BackendSettings): boolean {
  return protocol !== "h2";
}
