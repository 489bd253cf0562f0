/** The keys of `listen` and `listeners`: where clients reach the proxy, what it shows them, and what it asks them for. */
import { LIMITS } from "../core/limits.ts";
import { choice, flag, integer, list, map, optional, optionalText, standardText, text } from "./words.ts";

const CertificateSchema = map(
  {
    server_name: optionalText(
      "server-name",
      "Name that clients ask for (SNI): a name, or `*.suffix` for every name one level below it. Left out: the certificate's names. Two for one " +
        "name have different kinds of keys (ECDSA, RSA, Ed25519), and each client gets one that it can verify.",
    ),
    cert: text("file", "PEM file with the certificate and its chain."),
    key: text("file", "PEM file with the private key."),
  },
  { expected: "a map with server_name, cert, key" },
);

const ClientAuthSchema = map(
  {
    enabled: flag(
      false,
      "Are clients asked for a certificate? One that is shown must be valid, for the use as a client's, and from `ca_file`.",
    ),
    require_client_cert: flag(false, "Are clients without one turned away in the handshake?"),
    ca_file: optionalText(
      "file",
      "PEM file with the authorities that are trusted; intermediate ones may stand alone. Needed with `enabled`.",
    ),
    certificate_header: standardText(
      "client-header",
      "Client-Cert",
      "Field in which backends get the client's certificate as RFC 9440 has it; `off`: in none. Whatever clients themselves send under this " +
        "name and those below is always removed, and so are `Client-Cert` and `Client-Cert-Chain`.",
    ),
    chain_header: standardText(
      "client-header",
      "off",
      "Field for the other certificates that it has shown, such as `Client-Cert-Chain` (RFC 9440).",
    ),
    subject_header: standardText(
      "client-header",
      "off",
      "Field for its subject as RFC 4514 writes it, such as `X-Client-Subject`.",
    ),
    fingerprint_header: standardText(
      "client-header",
      "off",
      "Field for the SHA-256 of the certificate in hexadecimal digits, such as `X-Client-Fingerprint`.",
    ),
  },
  { default: {}, description: "Certificates of clients." },
);

const LISTENER_KEYS = {
  protocol: choice(["http3"], { default: "http3", description: "Protocol of the listener." }),
  address: standardText("ip", "0.0.0.0", "Address to listen on. `::` takes IPv6 and IPv4."),
  port: integer([0, 65535], 9889, { description: "UDP port. With 0 the system chooses one." }),
  tls: map(
    {
      cert: optionalText("file", "PEM file with the certificate and its chain. Given together with `key`."),
      key: optionalText("file", "PEM file with the private key."),
      certificates: list(CertificateSchema, {
        default: [],
        expected: "a list of certificates",
        description: "Certificates by server name. `cert` above, else the first of the list, answers all other names.",
      }),
      client_auth: ClientAuthSchema,
      refuse_misdirected: flag(
        true,
        "Is a request answered 421 that is for a host which another certificate is for, and not the one that its connection has shown? With " +
          "`client_auth` it always is, and hosts that no certificate covers only serve clients that have named them in the handshake.",
      ),
    },
    { description: "At least one certificate: `cert` with `key`, or `certificates`, or both." },
  ),
};

/** `listen`. */
export const ListenSchema = optional(
  map(LISTENER_KEYS, {
    description: "Where clients reach the proxy. May be left out beside `listeners`.",
    unless: "listeners",
  }),
);

/** `listeners`. */
export const ListenersSchema = list(map(LISTENER_KEYS), {
  default: [],
  maxItems: LIMITS.listenersMax,
  expected: "a list of listeners",
  description:
    "Several places where clients reach the proxy, each with the keys of `listen`, which it takes the place of: own address and port, own certificates, " +
    "own demands on clients. Everything else is shared: pools and routes, bounds on connections, handshakes and requests, QUIC's settings, " +
    "tickets and keys.",
});
