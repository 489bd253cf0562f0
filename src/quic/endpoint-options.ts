/** What an endpoint is made of. */
import type { Counters } from "../core/counters.ts";
import type { AdmissionBounds } from "../guard/admission.ts";
import type { FillRandom, OwnIds } from "./cid.ts";
import type { Connection } from "./connection.ts";
import type { SessionDriver } from "./connection-host.ts";
import type { EarlyData } from "./early-data.ts";
import type { EndpointShare } from "./endpoint-share.ts";
import type { CloseReason, EngineSession, QuicEngine } from "./engine.ts";
import type { TokenSealer } from "./token.ts";

/** What may change while it runs. */
export type LiveBounds = Pick<EndpointOptions, "admission" | "handshakeMs" | "goawaySpreadMs">;

/** The parts of one endpoint. */
export interface EndpointOptions {
  /** With the others of its process; an endpoint that is alone makes its own. */
  readonly share?: EndpointShare;
  readonly engine: QuicEngine;
  readonly counters: Counters;
  /** The first makes ids. Packets to those that the others made before are answered as well, should their connections be gone. */
  readonly ids: readonly [OwnIds, ...OwnIds[]];
  readonly fillRandom: FillRandom;
  readonly admission: AdmissionBounds;
  /** How long a handshake may take, from the client's first packet on. */
  readonly handshakeMs: number;
  /** Over what time clients are told to go elsewhere, when they are many. */
  readonly goawaySpreadMs: number;
  /** What a connection may always send at once before the rest is paced, bytes; 0: nothing is. */
  readonly burstBytes: number;
  /** Makes and judges the tokens of Retries. */
  readonly tokens: TokenSealer;
  /** Milliseconds since 1970, for tokens. */
  readonly epochMs: () => number;
  /** null: early data is not taken. */
  readonly earlyData: EarlyData | null;
  /** Makes the session of a connection whose handshake is done, or whose early data is taken. */
  readonly onOpen: (connection: Connection, session: EngineSession) => SessionDriver;
  readonly onClosed: (connection: Connection, reason: CloseReason | null) => void;
  /** Makes sure that a turn comes soon. */
  readonly requestTurn: () => void;
}
