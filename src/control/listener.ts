/** One listening address: its socket, its engine with the certificates that it shows, and its connections. */
import { createHmac, randomFillSync } from "node:crypto";
import { isIPv6 } from "node:net";
import type {
  ConnectionSettings,
  DebugSettings,
  EarlyDataSettings,
  ListenSettings,
  TimeoutSettings,
} from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import type { OwnIds } from "../quic/cid.ts";
import type { Connection } from "../quic/connection.ts";
import type { SessionDriver } from "../quic/connection-host.ts";
import type { EarlyData } from "../quic/early-data.ts";
import { Endpoint } from "../quic/endpoint.ts";
import type { EndpointOptions, LiveBounds } from "../quic/endpoint-options.ts";
import type { EndpointShare } from "../quic/endpoint-share.ts";
import type { CloseReason, EngineSession } from "../quic/engine.ts";
import type { NodeSecrets } from "../quic/secrets.ts";
import type { TokenSealer } from "../quic/token.ts";
import type { Library } from "../../ffi/library.ts";
import type { ClientAuth, EngineSettings } from "../../ffi/quiche/config.ts";
import { type PreparedIdentities, QuicheEngine } from "../../ffi/quiche/engine.ts";
import type { BoundSocket } from "../../ffi/udp-open.ts";
import { UdpSocket } from "../../ffi/udp-socket.ts";
import type { ServerIdentity } from "./certificates.ts";
import { type ConnectionWatch, isWatching } from "./connection-watch.ts";
import { type Introduction, Introductions } from "./introductions.ts";
import { makeIdScheme, type NodeKeys } from "./node-keys.ts";

/** What a process is among others of its node. */
export interface Seat {
  /** Of its worker, 0 to 63. */
  readonly slot: number;
  /** The same for all workers of the node. */
  readonly keys: NodeKeys;
  /** Sockets that are bound already, one for each listener in their order; null: each listener binds its own. */
  readonly sockets: readonly BoundSocket[] | null;
  /** Session tickets may have been given out before this process began, with the keys that it has. */
  readonly ticketsAreOlder: boolean;
}

/** Whom a listener shows itself as, and whom it asks of its clients. */
export interface ListenerTls {
  readonly identities: readonly ServerIdentity[];
  readonly clientAuth: ClientAuth | null;
}

/** What the listeners of a process have together. */
export interface ListenerShare {
  readonly library: Library;
  readonly counters: Counters;
  readonly seat: Seat;
  readonly connections: ConnectionSettings;
  readonly timeouts: TimeoutSettings;
  readonly earlyData: EarlyDataSettings;
  readonly debug: DebugSettings;
  readonly watch: ConnectionWatch | null;
  readonly tokens: TokenSealer;
  /** Made once: nonces of a worker's ids count up, and two that count would meet. */
  readonly ids: EndpointOptions["ids"];
  /** Of all: a first flight that one listener has taken is a repetition at another. Null: none is taken. */
  readonly flights: EarlyData | null;
  readonly endpoints: EndpointShare;
  readonly goawaySpreadMs: number;
  readonly onOpen: (connection: Connection, session: EngineSession, listener: Listener) => SessionDriver;
  readonly onClosed: (connection: Connection, reason: CloseReason | null) => void;
  readonly requestTurn: () => void;
}

const RESET_TOKEN_BYTES = 16;
/** quiche closes the whole connection over its limit; ours answers 431 first, so quiche's must be above it. */
const HARD_LIMIT_FACTOR = 4;
/** What an Ethernet frame holds beside the headers of IPv6 and UDP: the kernel refuses more, and nothing of it would arrive. */
const PAYLOAD_IPV6_BYTES_MAX = 1452;
/** RFC 9000 20.1. */
const CONNECTION_REFUSED = 0x02;

/** By the system. */
export const fillRandom = (bytes: Uint8Array): void => void randomFillSync(bytes);

/** An address with its connections. Its turns are somebody else's. */
export class Listener {
  /** By which it is the same in another configuration (`listenerNames`). */
  readonly name: string;
  readonly socket: UdpSocket;
  readonly endpoint: Endpoint;
  readonly #engine: QuicheEngine;
  #introductions: Introductions;
  #listen: ListenSettings;
  #tls: ListenerTls;

  /** Over `bound`, or over a socket that it binds. Throws what `UdpSocket` and `QuicheEngine` throw; nothing of its own is left open then. */
  constructor(
    name: string,
    listen: ListenSettings,
    tls: ListenerTls,
    share: ListenerShare,
    bound: BoundSocket | null = null,
  ) {
    const { library, counters, connections, watch } = share;
    this.name = name;
    this.#listen = listen;
    this.#tls = tls;
    const { udpReceiveBufferBytes: receiveBufferBytes, udpSendBufferBytes: sendBufferBytes } = connections;
    const wanted = { ip: listen.address, port: listen.port, receiveBufferBytes, sendBufferBytes };
    this.socket = new UdpSocket(library, bound ?? wanted, counters);
    try {
      this.#engine = new QuicheEngine(library, this.socket, engineSettings(share, listen, tls), counters, watch);
    } catch (thrown) {
      this.socket.close();
      throw thrown;
    }
    this.#introductions = new Introductions(tls.identities, listen, counters);
    this.endpoint = this.#makeEndpoint(share);
  }

  /** What its client has shown of itself. Null: the connection was ended. */
  introductionOf(connection: Connection): Introduction | null {
    return this.#introductions.of(connection, Date.now());
  }

  /** Other bounds for connections that come. */
  configure(bounds: LiveBounds): void {
    this.endpoint.configure(bounds);
  }

  /**
   * Makes other certificates and demands ready, for new handshakes; connections that exist go on with what they have. Null: nothing is
   * different. Throws `CERTIFICATE`.
   */
  prepare(listen: ListenSettings, tls: ListenerTls): PreparedIdentities | null {
    if (isSameTls(tls, this.#tls) && JSON.stringify(listen) === JSON.stringify(this.#listen)) return null;
    const identities = this.#engine.prepareIdentities(tls.identities, tls.clientAuth);
    return {
      abandon: () => identities.abandon(),
      commit: () => {
        identities.commit();
        this.#introductions = new Introductions(tls.identities, listen, this.endpoint.counters);
        this.#listen = listen;
        this.#tls = tls;
      },
    };
  }

  /** Tokens and session tickets are made and taken by these from now on. */
  renewSecrets(shared: NodeKeys["shared"], tokens: TokenSealer): void {
    this.#engine.replaceTicketKeys(shared.map(({ ticket }) => ticket));
    this.endpoint.validation.renew(tokens);
  }

  /** GOAWAY to all, no new connections. Handshakes are refused: one whose client is gone would hold the drain for its idle time. */
  drain(): void {
    this.endpoint.drain(performance.now());
    const unfinished = [...this.endpoint.connections].filter(({ driver }) => driver === null);
    for (const connection of unfinished) connection.dismiss(CONNECTION_REFUSED);
  }

  /** GOAWAY to all; whoever still comes is served. */
  retire(): void {
    this.endpoint.retire(performance.now());
  }

  /** Closes its connections with an HTTP/3 code. Their turns are over, and whoever watches its socket has to stop before `close`. */
  closeConnections(code: number): void {
    this.endpoint.closeAll(code);
  }

  /** Frees everything. */
  close(): void {
    this.#engine.close();
    this.socket.close();
  }

  #makeEndpoint(share: ListenerShare): Endpoint {
    const { counters, connections, timeouts, ids, tokens, goawaySpreadMs } = share;
    return new Endpoint(
      {
        engine: this.#engine,
        counters,
        ...{ ids, fillRandom, tokens },
        share: share.endpoints,
        epochMs: () => Date.now(),
        admission: connections,
        handshakeMs: timeouts.handshakeMs,
        burstBytes: connections.pacing ? connections.initialWindowPackets * payloadBytesMax(share, this.#listen) : 0,
        goawaySpreadMs,
        earlyData: share.flights,
        onOpen: (connection, session) => share.onOpen(connection, session, this),
        onClosed: share.onClosed,
        requestTurn: share.requestTurn,
      },
      performance.now(),
    );
  }
}

/** The files hold what they held. */
function isSameTls(some: ListenerTls, other: ListenerTls): boolean {
  return tlsText(some) === tlsText(other);
}

function tlsText({ identities, clientAuth }: ListenerTls): string {
  const shown = identities.map(({ serverNames, chainPem, keyPem }) => [
    ...[serverNames, chainPem.toBase64(), keyPem.toBase64()],
  ]);
  return JSON.stringify([shown, clientAuth === null ? null : [clientAuth.caPem.toBase64(), clientAuth.required]]);
}

/** How a process makes ids: by its first key, and which older ones it answers. */
export function ownIds({ slot, keys }: Seat): EndpointOptions["ids"] {
  const one = (secrets: NodeSecrets): OwnIds => ({
    scheme: makeIdScheme(keys, secrets, slot, fillRandom),
    resetTokenOf: (id) => {
      const digest = createHmac("sha256", secrets.reset).update(id).digest();
      return new Uint8Array(digest.subarray(0, RESET_TOKEN_BYTES));
    },
  });
  const [first, ...others] = keys.ids;
  return [one(first), ...others.map(one)];
}

function engineSettings(share: ListenerShare, listen: ListenSettings, tls: ListenerTls): EngineSettings {
  const { seat, connections, timeouts, earlyData, debug } = share;
  return {
    ...tls,
    ticketKeys: seat.keys.shared.map(({ ticket }) => ticket),
    idleTimeoutMs: timeouts.quicIdleMs,
    connectionWindowBytes: connections.connectionWindowBytes,
    streamWindowBytes: connections.streamWindowBytes,
    congestionControl: connections.congestionControl,
    initialWindowPackets: connections.initialWindowPackets,
    udpPayloadBytesMax: payloadBytesMax(share, listen),
    pmtuDiscovery: connections.pmtuDiscovery,
    streamsMax: connections.streamsPerConnectionMax,
    fieldSectionBytesMax: connections.headerBytesMax * HARD_LIMIT_FACTOR,
    earlyData: earlyData.allowed,
    keylog: isWatching(debug) && debug.keylogFile !== null,
  };
}

function payloadBytesMax({ connections }: ListenerShare, { address }: ListenSettings): number {
  return Math.min(connections.udpPayloadBytesMax, isIPv6(address) ? PAYLOAD_IPV6_BYTES_MAX : Infinity);
}
