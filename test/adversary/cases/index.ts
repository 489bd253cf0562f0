/** Every case file of the suite. */
import type { Case } from "../case.ts";
import { ADDRESS_CASES } from "./addresses.ts";
import { DATAGRAM_CASES } from "./datagrams.ts";
import { EARLY_DATA_CASES } from "./early-data.ts";
import { HTTP3_CASES } from "./http3.ts";
import { NETWORK_CASES } from "./network.ts";
import { CONNECTION_ATTACKS } from "./resource-connections.ts";
import { DESIGN_ATTACKS } from "./resource-design.ts";
import { FRAME_ATTACKS } from "./resource-frames.ts";
import { REQUEST_ATTACKS } from "./resource-requests.ts";
import { TRANSLATION_CASES } from "./translation.ts";
import { TRANSPORT_CASES } from "./transport.ts";
import { UPSTREAM_ANSWER_CASES } from "./upstream-answers.ts";
import { UPSTREAM_BODY_CASES } from "./upstream-bodies.ts";
import { UPSTREAM_FAULT_CASES } from "./upstream-faults.ts";

/** All cases, in the order in which they are played. */
export const CASES: readonly Case[] = [
  ...ADDRESS_CASES,
  ...DATAGRAM_CASES,
  ...EARLY_DATA_CASES,
  ...HTTP3_CASES,
  ...NETWORK_CASES,
  ...CONNECTION_ATTACKS,
  ...DESIGN_ATTACKS,
  ...FRAME_ATTACKS,
  ...REQUEST_ATTACKS,
  ...TRANSLATION_CASES,
  ...TRANSPORT_CASES,
  ...UPSTREAM_ANSWER_CASES,
  ...UPSTREAM_BODY_CASES,
  ...UPSTREAM_FAULT_CASES,
];
