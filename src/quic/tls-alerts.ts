/** TLS alerts by name: QUIC carries them as transport error codes (RFC 9001 4.8). */
import type { Counters } from "../core/counters.ts";
import type { CloseReason } from "./engine.ts";

/** CRYPTO_ERROR: 256 codes from here on, one for each alert. */
const CRYPTO_ERROR = 0x100;
const ALERTS = 0x100;

/** Of RFC 8446 6.2, those that a handshake of TLS 1.3 ends with. */
const NAMES: Readonly<Record<number, string>> = {
  10: "unexpected-message",
  40: "handshake-failure",
  42: "bad-certificate",
  43: "unsupported-certificate",
  44: "certificate-revoked",
  45: "certificate-expired",
  46: "certificate-unknown",
  47: "illegal-parameter",
  48: "unknown-ca",
  49: "access-denied",
  50: "decode-error",
  51: "decrypt-error",
  70: "protocol-version",
  71: "insufficient-security",
  80: "internal-error",
  109: "missing-extension",
  112: "unrecognized-name",
  116: "certificate-required",
  120: "no-application-protocol",
};

/** The alert for a client whose certificate is not valid any more. */
export const CERTIFICATE_EXPIRED = CRYPTO_ERROR + 45;

/** Counts the alert that a handshake ended with, if it did. */
export function countTlsAlert(counters: Counters, reason: CloseReason | null): void {
  if (reason === null || reason.app || reason.code < CRYPTO_ERROR || reason.code >= CRYPTO_ERROR + ALERTS) return;
  const name = NAMES[reason.code - CRYPTO_ERROR] ?? "other";
  if (reason.by === "local") counters.tlsAlertsSent.add(name);
  else if (reason.by === "peer") counters.tlsAlertsReceived.add(name);
}
