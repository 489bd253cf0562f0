/** Connected byte streams to backends, plain or over TLS: the port that native transports stand on. */
import type { ProxyError } from "../core/error.ts";
import type { TrustMaterial } from "./fetch-options.ts";

/** TLS towards a backend. */
export interface StreamTls {
  readonly trust: TrustMaterial;
  /** Name in SNI and in the certificate; null sends none and checks the address (for IP literals). */
  readonly serverName: string | null;
  /** In order of preference. */
  readonly alpn: readonly string[];
}

/** Where to connect. */
export interface StreamTarget {
  /** Name, IP literal without brackets, or a path of a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  readonly tls: StreamTls | null;
  /** From the first step to the end of the TLS handshake, milliseconds. */
  readonly connectTimeoutMs: number;
}

/** A target for people: `10.0.0.1:80`, `[::1]:80`, `/run/app.sock`. */
export function targetText({ host, port }: StreamTarget): string {
  if (port === 0) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A connected stream. After `onClose` every call does nothing. */
export interface ByteStream {
  /** What ALPN chose; null without TLS or without a choice. */
  readonly alpn: string | null;
  /** Offers `bytes[at..end)`; returns how many were taken. When fewer than offered, `onDrain` follows. */
  write(bytes: Uint8Array, at: number, end: number): number;
  /** Stops and restarts `onData`; what the kernel has taken in stays there. */
  pause(): void;
  resume(): void;
  /** Closes now; `onClose` follows. */
  close(): void;
}

/** Who uses a stream. */
export interface StreamUser {
  /** Connected, TLS included and verified. */
  onOpen(stream: ByteStream): void;
  /** `bytes` is valid during the call only. */
  onData(bytes: Uint8Array): void;
  onDrain(): void;
  /** Once: never connected (`opened` false, the error says why), or ended. `error` is null when the peer ended it in order. */
  onClose(error: ProxyError | null): void;
}

/** A connection attempt or a connection: can only be given up. */
export interface StreamAttempt {
  /** No callback follows. */
  abandon(): void;
}

/** Connects. Never throws and never calls back before it returns. */
export type ConnectStream = (target: StreamTarget, user: StreamUser) => StreamAttempt;
