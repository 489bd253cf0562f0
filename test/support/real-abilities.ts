/** What each real server does beyond the least. `real-servers.test.ts` shows that each line is true, what is missing included. */
import type { RealServerKind, RealServerProtocol, ServerAbilities } from "./real-server.ts";

const ALL: ServerAbilities = {
  trailersResponse: true,
  trailersRequest: true,
  informational: true,
  fullDuplex: true,
  earlyAnswer: true,
  resetBefore: true,
  resetMid: true,
  resetUnannounced: true,
  cutMid: true,
  contentLength: true,
  isolatesUploads: true,
  goAway: true,
  drops: true,
};

/** The abilities of one server. `goVersion` is what Go calls itself. */
export function serverAbilities(
  kind: RealServerKind,
  protocol: RealServerProtocol,
  goVersion: string,
): ServerAbilities {
  const isHttp1 = protocol === "http1" || protocol === "https1";
  switch (kind) {
    case "go": {
      // Before Go 1.21 net/http reads a request to its end before it answers.
      const isDuplex = !isHttp1 || !/^go1\.(19|20)\b/.test(goVersion);
      return { ...ALL, fullDuplex: isDuplex, earlyAnswer: isDuplex };
    }
    case "nginx":
      return { ...ALL, trailersRequest: false, informational: false, drops: false };
    case "haproxy":
      // HAProxy 2.6 ends the stream of a body without length as if it were whole when its backend breaks off, and reads
      // nothing of a connection while one of its streams has no room.
      return { ...ALL, resetUnannounced: isHttp1, isolatesUploads: isHttp1, drops: false };
    case "node":
    case "bun":
      return ALL;
    case "bun-serve":
      return {
        ...ALL,
        trailersResponse: false,
        trailersRequest: false,
        informational: false,
        resetBefore: false,
        cutMid: false,
        contentLength: false,
        drops: false,
      };
  }
}
