/** What the snapshot holds of certificates of clients. */
import { must } from "../core/assert.ts";
import { parseClientHeader } from "./forms.ts";
import { checked } from "./parsed.ts";
import type { ConfigValue } from "./schema.ts";

/** What clients are asked for, and what backends are told of it. */
export interface ClientAuthSettings {
  /** Authorities that are trusted; null: clients are not asked for certificates. */
  readonly caFile: string | null;
  /** Is a client without a certificate turned away? */
  readonly required: boolean;
  /** Names of fields, lower case; null: none. They are ours to write, also while clients are not asked. */
  readonly fields: ClientFields;
}

/** Fields that tell backends of a client's certificate. */
export interface ClientFields {
  readonly certificate: string | null;
  readonly chain: string | null;
  readonly subject: string | null;
  readonly fingerprint: string | null;
}

/** Of a checked configuration. */
export function clientAuthOf(auth: ConfigValue["listeners"][number]["tls"]["client_auth"]): ClientAuthSettings {
  return {
    caFile: auth.enabled ? must(auth.ca_file, "the rules have seen to the authorities") : null,
    required: auth.require_client_cert,
    fields: {
      certificate: checked(parseClientHeader(auth.certificate_header)),
      chain: checked(parseClientHeader(auth.chain_header)),
      subject: checked(parseClientHeader(auth.subject_header)),
      fingerprint: checked(parseClientHeader(auth.fingerprint_header)),
    },
  };
}
