/** Who a client is by the certificate that it has shown and that was verified, as backends and logs are told. */
import type { FieldSection } from "../core/fields.ts";

/** Of one connection. */
export interface ClientIdentity {
  /** What backends get with each request; null: nothing. */
  readonly fields: FieldSection | null;
  /** Names of fields that are ours to write, lower case: a client's own go no further, whether or not there is a certificate. */
  readonly guarded: readonly string[];
  /** Of its certificate, on one line, for logs; "" without one. */
  readonly subject: string;
}

/** Has shown none, and there is none to be shown. */
export const NOBODY: ClientIdentity = { fields: null, guarded: [], subject: "" };
