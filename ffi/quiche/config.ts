/** quiche's configurations: transport, TLS and HTTP/3, made once per listener and shared by its connections. */
import { assert } from "../../src/core/assert.ts";
import { ProxyError } from "../../src/core/error.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { Handle } from "../handle.ts";
import { QUICHE } from "../layout.ts";
import type { Library } from "../library.ts";
import { Arena } from "../memory.ts";

/** A certificate chain with its key, PEM, and the names it answers for (lower case; empty: only as the default). */
export interface Identity {
  readonly serverNames: readonly string[];
  readonly chainPem: Uint8Array;
  readonly keyPem: Uint8Array;
  /** For error messages. */
  readonly label: string;
}

/** Certificates that clients are asked for. */
export interface ClientAuth {
  /** Authorities that are trusted, PEM. */
  readonly caPem: Uint8Array;
  /** Is a client without a certificate turned away? */
  readonly required: boolean;
  /** For error messages. */
  readonly label: string;
}

/** Transport and HTTP/3 settings of a server. */
export interface EngineSettings {
  readonly identities: readonly Identity[];
  /** Null: clients are not asked for certificates. */
  readonly clientAuth: ClientAuth | null;
  /** Keys of session tickets, 48 bytes each: name, HMAC key, AES key. The first makes them, all are tried. None: ones of this engine alone. */
  readonly ticketKeys: readonly Uint8Array[];
  readonly idleTimeoutMs: number;
  readonly connectionWindowBytes: number;
  readonly streamWindowBytes: number;
  readonly congestionControl: keyof typeof CONGESTION_CONTROL;
  readonly initialWindowPackets: number;
  /** Largest datagram that is sent, bytes. */
  readonly udpPayloadBytesMax: number;
  /** Are larger datagrams than 1,200 bytes found out to pass before they are used (RFC 8899)? */
  readonly pmtuDiscovery: boolean;
  readonly streamsMax: number;
  /** Hard limit of a request's field section; over it quiche closes the connection (0x107). */
  readonly fieldSectionBytesMax: number;
  /** Clients that resume may send early data (0-RTT). */
  readonly earlyData: boolean;
  /** Do connections with a keylog get their secrets? */
  readonly keylog: boolean;
}

/** What both ends have. */
export type TransportSettings = Omit<EngineSettings, "identities" | "clientAuth" | "ticketKeys" | "keylog">;

/** As quiche names them, NUL-terminated. */
const CONGESTION_CONTROL = {
  cubic: new TextEncoder().encode("cubic\0"),
  reno: new TextEncoder().encode("reno\0"),
  bbr2: new TextEncoder().encode("bbr2_gcongestion\0"),
} as const;
const WHY_BYTES = 512;
const ALPN_H3 = new TextEncoder().encode("\x02h3");
/** quiche lets windows grow to these; they bound the memory one client can make us hold. */
const WINDOW_GROWTH = 2.4;
/** Control, encoder and decoder streams, and room for greased ones. */
const UNI_STREAMS = 16;
const UNI_STREAM_WINDOW_BYTES = 64 * 1024;

/** What a TLS context is made of. */
type TlsSettings = Pick<EngineSettings, "identities" | "clientAuth" | "ticketKeys" | "earlyData" | "keylog">;

/** A server's transport configuration with its TLS context. Throws `CERTIFICATE` naming the certificate and the reason. */
export function makeServerConfig(library: Library, settings: EngineSettings): Handle {
  const { native } = library;
  const config = makeTlsConfig(library, settings);
  applyTransport(library, config.address, settings);
  // A server of HTTP/3 opens no bidirectional streams, and quiche (0.30) has room for 128 bytes of transport parameters: after a Retry the
  // three ids take up to 64 of them, and a connection whose parameters do not fit is refused.
  native.quiche_config_set_initial_max_stream_data_bidi_local(config.address, 0);
  return config;
}

/**
 * Makes the TLS context that would serve with these, and gives it back: what only TLS itself finds wrong with a certificate shows before
 * anybody serves with it. Throws `CERTIFICATE` as `makeServerConfig` does.
 */
export function tryTls(library: Library, identities: readonly Identity[], clientAuth: ClientAuth | null): void {
  makeTlsConfig(library, { identities, clientAuth, ticketKeys: [], earlyData: false, keylog: false }).free();
}

function makeTlsConfig(library: Library, settings: TlsSettings): Handle {
  const { native, ledger } = library;
  const arena = new Arena(library.foreign, WHY_BYTES);
  const builder = new Handle("tls", native.spooky_tls_new(), ledger, (at) => native.spooky_tls_free(at));
  try {
    for (const identity of settings.identities) addIdentity(library, builder, arena, identity);
    if (settings.clientAuth !== null) askClients(library, builder, arena, settings.clientAuth);
    if (settings.earlyData) native.spooky_tls_early_data(builder.address);
    if (settings.keylog) native.spooky_tls_keylog(builder.address);
    addTicketKeys(library, builder, settings.ticketKeys);
  } catch (thrown) {
    builder.free();
    throw thrown;
  }
  const address = native.spooky_tls_finish(
    builder.surrender(),
    QUICHE.QUICHE_PROTOCOL_VERSION,
    arena.address,
    WHY_BYTES,
  );
  if (address === 0) throw new ProxyError("CERTIFICATE", `the TLS context cannot be made: ${arena.text(0)}`);
  return new Handle("config", address, ledger, (at) => native.quiche_config_free(at));
}

/**
 * What a client may rely on that sends early data: the limits it remembers from the connection that gave it its ticket. Tickets carry this,
 * and where it is another today, no early data is taken with them; so a limit may be lowered at any time (RFC 9000 7.4.1, RFC 9114 7.2.4.2).
 * Null: there is no early data.
 */
export function earlyContext(settings: EngineSettings): Uint8Array | null {
  if (!settings.earlyData) return null;
  const limits = [
    settings.idleTimeoutMs,
    LIMITS.receivePayloadBytesMax,
    settings.connectionWindowBytes,
    settings.streamWindowBytes,
    UNI_STREAM_WINDOW_BYTES,
    settings.streamsMax,
    UNI_STREAMS,
    LIMITS.pathsPerConnectionMax,
    settings.fieldSectionBytesMax,
  ];
  return new TextEncoder().encode(`1 ${limits.join(" ")}`);
}

/** The transport parameters both a server and the test client set. */
export function applyTransport(library: Library, config: number, settings: TransportSettings): void {
  const { native } = library;
  native.quiche_config_set_application_protos(config, ALPN_H3, ALPN_H3.length);
  native.quiche_config_set_max_idle_timeout(config, settings.idleTimeoutMs);
  native.quiche_config_set_max_recv_udp_payload_size(config, LIMITS.receivePayloadBytesMax);
  native.quiche_config_set_max_send_udp_payload_size(config, settings.udpPayloadBytesMax);
  native.quiche_config_discover_pmtu(config, settings.pmtuDiscovery);
  native.quiche_config_set_initial_max_data(config, settings.connectionWindowBytes);
  native.quiche_config_set_initial_max_stream_data_bidi_local(config, settings.streamWindowBytes);
  native.quiche_config_set_initial_max_stream_data_bidi_remote(config, settings.streamWindowBytes);
  native.quiche_config_set_initial_max_stream_data_uni(config, UNI_STREAM_WINDOW_BYTES);
  native.quiche_config_set_initial_max_streams_bidi(config, settings.streamsMax);
  native.quiche_config_set_initial_max_streams_uni(config, UNI_STREAMS);
  native.quiche_config_set_max_connection_window(config, Math.floor(settings.connectionWindowBytes * WINDOW_GROWTH));
  native.quiche_config_set_max_stream_window(config, Math.floor(settings.streamWindowBytes * WINDOW_GROWTH));
  native.quiche_config_set_active_connection_id_limit(config, LIMITS.pathsPerConnectionMax);
  // Bursts are bounded by `quic/pacer.ts`: quiche (0.30) gives send times to bbr2 alone.
  native.quiche_config_enable_pacing(config, false);
  native.quiche_config_set_initial_congestion_window_packets(config, settings.initialWindowPackets);
  const known = native.quiche_config_set_cc_algorithm_name(config, CONGESTION_CONTROL[settings.congestionControl]);
  assert(known === 0, "quiche knows the congestion control by its name");
}

/** HTTP/3 settings. */
export function makeH3Config(library: Library, fieldSectionBytesMax: number): Handle {
  const { native, ledger } = library;
  const h3 = new Handle("h3-config", native.quiche_h3_config_new(), ledger, (at) => native.quiche_h3_config_free(at));
  native.quiche_h3_config_set_max_field_section_size(h3.address, fieldSectionBytesMax);
  return h3;
}

function addIdentity(library: Library, builder: Handle, arena: Arena, identity: Identity): void {
  const names = new TextEncoder().encode(identity.serverNames.join("\n"));
  const result = library.native.spooky_tls_add_identity(
    builder.address,
    names.length === 0 ? null : names,
    names.length,
    identity.chainPem,
    identity.chainPem.length,
    identity.keyPem,
    identity.keyPem.length,
    arena.address,
    WHY_BYTES,
  );
  if (result !== 0) throw new ProxyError("CERTIFICATE", `${identity.label}: ${arena.text(0)}`);
}

function askClients(library: Library, builder: Handle, arena: Arena, { caPem, required, label }: ClientAuth): void {
  const at = arena.address;
  const result = library.native.spooky_tls_client_ca(builder.address, caPem, caPem.length, required, at, WHY_BYTES);
  if (result !== 0) throw new ProxyError("CERTIFICATE", `${label}: ${arena.text(0)}`);
}

function addTicketKeys({ native }: Library, builder: Handle, keys: readonly Uint8Array[]): void {
  if (keys.length === 0) return;
  assert(
    keys.every(({ length }) => length === TICKET_KEY_BYTES),
    "a ticket key has 48 bytes",
  );
  const bytes = new Uint8Array(TICKET_KEY_BYTES * keys.length);
  for (const [i, key] of keys.entries()) bytes.set(key, TICKET_KEY_BYTES * i);
  const result = native.spooky_tls_ticket_keys(builder.address, bytes, bytes.length);
  assert(result === 0, "whole ticket keys are taken");
}

const TICKET_KEY_BYTES = 48;
