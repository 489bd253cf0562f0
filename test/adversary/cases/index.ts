/** Every case file of the suite. */
import type { Case } from "../case.ts";
import { FRAME_CASES } from "./frames.ts";
import { HOST_CASES } from "./host.ts";
import { MESSAGE_CASES } from "./messages.ts";
import { CONNECTION_ATTACKS } from "./resource-connections.ts";
import { DESIGN_ATTACKS } from "./resource-design.ts";
import { FRAME_ATTACKS } from "./resource-frames.ts";
import { REQUEST_ATTACKS } from "./resource-requests.ts";
import { TRANSPORT_CASES } from "./transport.ts";
import { UPSTREAM_BODY_CASES } from "./upstream-bodies.ts";

/** All cases, in the order in which they are played. */
export const CASES: readonly Case[] = [
  ...FRAME_CASES,
  ...HOST_CASES,
  ...MESSAGE_CASES,
  ...CONNECTION_ATTACKS,
  ...FRAME_ATTACKS,
  ...REQUEST_ATTACKS,
  ...TRANSPORT_CASES,
  ...DESIGN_ATTACKS,
  ...UPSTREAM_BODY_CASES,
];
