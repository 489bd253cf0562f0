/** A real quiche server endpoint and real quiche clients in one process, stepped by hand: nothing happens that a test did not ask for. */
import { createHash, randomFillSync } from "node:crypto";
import { Counters } from "../../src/core/counters.ts";
import type { AdmissionBounds } from "../../src/guard/admission.ts";
import { BufferAccount } from "../../src/guard/buffer-account.ts";
import { ReplayGuard } from "../../src/guard/replay-guard.ts";
import { Http3Session } from "../../src/h3/session.ts";
import type { RequestHandler, SessionRules } from "../../src/h3/session-host.ts";
import { IdCodec } from "../../src/quic/cid.ts";
import { EarlyData } from "../../src/quic/early-data.ts";
import { Endpoint } from "../../src/quic/endpoint.ts";
import { EVENT } from "../../src/quic/engine.ts";
import type { Connection } from "../../src/quic/connection.ts";
import type { Library } from "../../ffi/library.ts";
import type { EngineSettings, Identity } from "../../ffi/quiche/config.ts";
import { QuicheClient } from "../../ffi/quiche/client.ts";
import { QuicheEngine } from "../../ffi/quiche/engine.ts";
import type { EngineWatch } from "../../ffi/quiche/watch.ts";
import { UdpSocket } from "../../ffi/udp-socket.ts";
import { TokenSealer } from "../../src/quic/token.ts";
import { tokenCipher } from "../../src/control/ciphers.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { STANDARD } from "./settings.ts";

/** Steps after which a test gives up: a bound on work and not on time. */
const STEPS_MAX = 20_000;
const BUFFER_BYTES_MAX = 1 << 30;

export const TEST_SETTINGS = {
  idleTimeoutMs: 30_000,
  connectionWindowBytes: 10_000_000,
  streamWindowBytes: 1_000_000,
  congestionControl: "cubic",
  initialWindowPackets: 16,
  udpPayloadBytesMax: 1350,
  pmtuDiscovery: false,
  streamsMax: 100,
  fieldSectionBytesMax: 131_072,
  earlyData: false,
} as const;

export interface PairOptions {
  readonly library: Library;
  readonly identities: readonly Identity[];
  readonly handler: RequestHandler;
  readonly ip?: string;
  readonly admission?: Partial<AdmissionBounds>;
  readonly handshakeMs?: number;
  readonly rules?: Partial<SessionRules>;
  /** Of the server's transport, instead of those of the tests. */
  readonly settings?: Partial<Omit<EngineSettings, "identities">>;
  readonly watch?: EngineWatch;
  readonly burstBytes?: number;
}

const fillRandom = (bytes: Uint8Array): void => void randomFillSync(bytes);
const resetTokenOf = (id: Uint8Array): Uint8Array =>
  new Uint8Array(createHash("sha256").update(id).digest().subarray(0, 16));

/** Tokens with the same keys for every server of a test, as those of a cluster have them. */
export function makeTokens(): TokenSealer {
  const [retry, newToken] = [tokenCipher(new Uint8Array(32).fill(1)), tokenCipher(new Uint8Array(32).fill(2))];
  return new TokenSealer({
    keys: [{ id: 1, retry, newToken }],
    fillRandom,
    ...{ retryLifetimeMs: LIMITS.retryTokenMsMax, newTokenLifetimeMs: 0 },
  });
}

/** The server side. */
export class TestServer {
  readonly counters = new Counters();
  /** Of what waits for all clients. */
  readonly buffers = new BufferAccount(BUFFER_BYTES_MAX);
  readonly socket: UdpSocket;
  readonly engine: QuicheEngine;
  readonly endpoint: Endpoint;
  readonly closedReasons: string[] = [];
  readonly #library: Library;
  /** Advances by hand on top of the real clock. */
  skewMs = 0;

  constructor(options: PairOptions) {
    this.#library = options.library;
    const buffers = { receiveBufferBytes: 4 << 20, sendBufferBytes: 4 << 20 };
    this.socket = new UdpSocket(options.library, { ip: options.ip ?? "127.0.0.1", port: 0, ...buffers }, this.counters);
    const { identities } = options;
    const settings = {
      ...TEST_SETTINGS,
      clientAuth: null,
      ticketKeys: [],
      keylog: false,
      ...options.settings,
      identities,
    };
    this.engine = new QuicheEngine(options.library, this.socket, settings, this.counters, options.watch ?? null);
    this.endpoint = new Endpoint(
      {
        engine: this.engine,
        counters: this.counters,
        ids: [{ scheme: new IdCodec({ slot: 0, checkByte: 0x5a, mask: 0x1234567 }, fillRandom), resetTokenOf }],
        fillRandom,
        admission: { ...STANDARD.connections, connectionsMax: 2000, handshakesMax: 2000, ...options.admission },
        handshakeMs: options.handshakeMs ?? 10_000,
        goawaySpreadMs: 0,
        burstBytes: options.burstBytes ?? 0,
        tokens: makeTokens(),
        epochMs: () => Date.now() + this.skewMs,
        earlyData:
          options.settings?.earlyData === true
            ? new EarlyData(new ReplayGuard(performance.now(), false), this.counters)
            : null,
        onOpen: (connection: Connection, session) => {
          const { endpoint } = this;
          const host = {
            get nowMs(): number {
              return endpoint.nowMs;
            },
            counters: this.counters,
            buffers: new BufferAccount(BUFFER_BYTES_MAX, this.buffers),
            wake: () => connection.wake(),
            again: () => this.endpoint.again(connection),
            close: (code: number, reason: string) => connection.close(true, code, reason),
          };
          const rules = { ...STANDARD.connections, ...STANDARD.timeouts, ...options.rules };
          return new Http3Session(session, host, options.handler, rules);
        },
        onClosed: (_, reason) => void this.closedReasons.push(reason?.by ?? "none"),
        requestTurn: () => undefined,
      },
      performance.now(),
    );
  }

  /** Its clock. */
  get nowMs(): number {
    return performance.now() + this.skewMs;
  }

  step(): void {
    this.endpoint.receive(this.nowMs);
    this.endpoint.flush();
  }

  /** `port`: of something between that passes on to the server. */
  client(options: { ip?: string; serverIp?: string; serverName?: string; port?: number } = {}): QuicheClient {
    const id = new Uint8Array(16);
    randomFillSync(id);
    const ip = options.ip ?? "127.0.0.1";
    return new QuicheClient(
      this.#library,
      {
        serverName: options.serverName ?? "localhost",
        server: { ip: options.serverIp ?? ip, port: options.port ?? this.socket.localPort },
        ip,
        settings: TEST_SETTINGS,
        id,
      },
      new Counters(),
    );
  }

  close(): void {
    this.endpoint.closeAll(0x100);
    this.engine.close();
    this.socket.close();
  }
}

/** Lets both sides work until `done`. Throws when it does not come to that. */
export function drive(server: TestServer, clients: readonly QuicheClient[], done: () => boolean): void {
  for (let step = 0; step < STEPS_MAX; step++) {
    for (const client of clients) client.step();
    server.step();
    if (done()) return;
  }
  throw new Error(`not done after ${STEPS_MAX} steps`);
}

/** Handshake to the end on both sides. */
export function connect(server: TestServer, client: QuicheClient): void {
  const before = server.counters.connectionsEstablished;
  drive(server, [client], () => client.connection.isEstablished() && server.counters.connectionsEstablished > before);
}

export interface TestResponse {
  readonly status: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

/** One request to the end of its response. */
export function exchange(
  server: TestServer,
  client: QuicheClient,
  fields: readonly (readonly [string, string])[],
): TestResponse {
  const streamId = client.request(fields, true);
  if (streamId < 0) throw new Error(`the request was not sent: ${streamId}`);
  let head: [string, string][] = [];
  const pieces: Uint8Array[] = [];
  let finished = false;
  const { session } = client;
  drive(server, [client], () => {
    for (let kind = session.poll(); kind !== EVENT.none && kind !== EVENT.failed; kind = session.poll()) {
      if (session.streamId !== streamId) continue;
      if (kind === EVENT.fields && session.section !== null) head = readFields(session.section);
      if (kind === EVENT.data) {
        for (let size = session.readBody(streamId); size > 0; size = session.readBody(streamId)) {
          pieces.push(session.bodyBytes.slice(0, size));
        }
      }
      if (kind === EVENT.finished || kind === EVENT.reset) finished = true;
    }
    return finished;
  });
  const status = head.find(([name]) => name === ":status")?.[1] ?? "";
  return { status, fields: head, body: Buffer.concat(pieces) };
}

/** A flat section as pairs. */
export function readFields(flat: Uint8Array): [string, string][] {
  const view = new DataView(flat.buffer, flat.byteOffset, flat.length);
  let at = view.getUint32(4, true);
  return Array.from({ length: view.getUint32(0, true) }, (_, i) => {
    const nameEnd = at + view.getUint32(8 + 8 * i, true);
    const valueEnd = nameEnd + view.getUint32(12 + 8 * i, true);
    const text = (from: number, to: number): string => Buffer.from(flat.subarray(from, to)).toString("latin1");
    const pair: [string, string] = [text(at, nameEnd), text(nameEnd, valueEnd)];
    at = valueEnd;
    return pair;
  });
}

/** A plain GET. */
export function get(path: string, extra: readonly (readonly [string, string])[] = []): (readonly [string, string])[] {
  return [[":method", "GET"], [":scheme", "https"], [":authority", "localhost"], [":path", path], ...extra];
}
