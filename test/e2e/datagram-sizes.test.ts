/** How large datagrams to clients are: what is configured, or what the path takes where that is found out (RFC 8899). */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { patternSha256 } from "../support/pattern.ts";
import { startProxy } from "../support/proxy.ts";
import { startUdpRelay, type UdpRelay } from "../support/udp-relay.ts";
import type { LineFaults } from "../support/udp-translator.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";

const BODY_BYTES = 2_000_000;
const BODY_SHA256 = patternSha256("d", BODY_BYTES);
const backend = await startBackend({ protocol: "http1" });
/** Datagrams that are lost while the size is searched for: each of some nine sizes is tried three times at most. */
const LOST_MAX = 27;

/** A download through a path that takes so much. */
async function download(performance: object, faults: Partial<LineFaults>): Promise<UdpRelay["counts"]> {
  const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }], extra: { performance } });
  const relay = await startUdpRelay(proxy.port, { seed: 1, ...faults });
  const path = `/bytes/${BODY_BYTES}?seed=d`;
  // A first request, so that sizes are tried before there is much to send, and then much.
  const steps = [{ do: "request", path: "/small" } as const, { do: "request", id: "d", path } as const];
  const connection = await runAioquicOnce({ port: relay.port, steps });
  expect(exchangeOf(connection, "d")).toMatchObject({ status: 200, sha256: BODY_SHA256, ended: true });
  return relay.counts;
}

const DISCOVERY = { quic_pmtu_discovery: true, quic_max_udp_payload_bytes: 1472 };

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "datagrams to clients", () => {
  test.each([1200, 1350, 1452])("are as large as configured: %d", async (bytes) => {
    const { largestBytes } = await download({ quic_max_udp_payload_bytes: bytes }, {});
    expect(largestBytes).toBe(bytes);
  });

  test("are as large as the path takes, where larger ones are lost without a word", async () => {
    const { largestBytes, tooLarge } = await download(DISCOVERY, { bytesMax: 1400 });
    expect(largestBytes).toBeWithin(1350, 1401);
    expect(tooLarge).toBeWithin(1, LOST_MAX + 1);
  });

  test("are 1,200 bytes where the path takes no more", async () => {
    const { largestBytes } = await download(DISCOVERY, { bytesMax: 1200 });
    expect(largestBytes).toBe(1200);
  });

  test("are the largest that may be tried where the path takes it", async () => {
    const { largestBytes, tooLarge } = await download(DISCOVERY, {});
    expect({ largestBytes, tooLarge }).toEqual({ largestBytes: 1472, tooLarge: 0 });
  });
});
