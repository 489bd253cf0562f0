/** An answerer that takes no request. */
import { H3_CODE } from "../h3/codes.ts";
import type { RequestHandler } from "../h3/session-host.ts";

/** Of a connection that is being ended: what was read from it before is not acted upon. */
export const TURNS_AWAY: RequestHandler = {
  onRequest: (stream) => stream.reset(H3_CODE.requestRejected),
  onMalformed: (stream) => stream.reset(H3_CODE.requestRejected),
};
