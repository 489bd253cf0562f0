/** What arrives before there is a connection: versions, sizes, ids, junk, and how much is answered to somebody unknown. Rows 53 to 60. */
import { expect } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { longHeader } from "../../support/fake-server.ts";
import { certificateFiles, testLeaf } from "../../support/certs.ts";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";
import { firstFlight, runTransports, type TransportPlan } from "../transport.ts";
import type { UdpClient } from "../udp-client.ts";

/** A version that nobody speaks; the pattern is reserved for this (RFC 9000 15). */
const UNKNOWN_VERSION = 0x1a2a3a4a;
const JUNK_COUNT = 20_000;
/** Datagrams sent before an answer is awaited: what fits into the smallest receive buffer of a socket. */
const BATCH = 64;
const JUNK_MIB_MAX = 24;

/** What is sent, and the datagrams of a first flight that it is: of one, or of two, of which the second may wait for an answer to the first. */
const SILENT: readonly (readonly [name: string, datagrams: 1 | 2, sent: "first" | "all" | "one after the other"])[] = [
  ["a hello", 1, "all"],
  ["a hello of two datagrams", 2, "all"],
  ["a hello of two datagrams, one after the other", 2, "one after the other"],
  ["half a hello", 2, "first"],
];

/** The rows of this file. */
export const DATAGRAM_CASES: readonly Case[] = [
  {
    row: 53,
    name: "an unknown version is answered with the versions we speak, and only if its packet is as long as an Initial",
    run: async (bed) => {
      const udp = await bed.udp();
      const [dcid, scid] = [new Uint8Array(8).fill(0xd1), new Uint8Array(5).fill(0x5c)];
      udp.send(longHeader({ version: UNKNOWN_VERSION, dcid, scid, size: 1199 }));
      udp.send(longHeader({ version: UNKNOWN_VERSION, dcid, scid }));
      await udp.datagrams(1);
      await fence(udp);
      const answer = udp.received[0] ?? new Uint8Array(0);
      expect(udp.received.length).toBe(2);
      expect(answer[0]).toBeGreaterThanOrEqual(0x80);
      const rest = [0, 0, 0, 0, scid.length, ...scid, dcid.length, ...dcid, 0, 0, 0, 1];
      expect(Array.from(answer.subarray(1))).toEqual(rest);
      bed.expectCounters({ version_negotiations: 2, datagrams_malformed: 1, connections_accepted: 1 });
    },
  },
  {
    row: 54,
    name: "a good ClientHello in 1,199 bytes makes nothing; in 1,200 it is answered",
    needs: ["aioquic"],
    run: async (bed) => {
      const { port } = await bed.start(SHORT_HANDSHAKE);
      const udp = await bed.udp();
      udp.send(...(await firstFlight({ port, size: 1199 })));
      await fence(udp);
      expect(udp.received.length).toBe(1);
      udp.send(...(await firstFlight({ port, size: 1200 })));
      await udp.datagrams(2);
      expect((udp.received[1]?.[0] ?? 0) & 0xf0).toBe(0xc0);
      bed.expectCounters({ connections_accepted: 2 });
      await gone(bed);
    },
  },
  {
    row: 55,
    name: "a client whose id has 7 bytes gets no answer and no connection",
    needs: ["aioquic"],
    run: async (bed) => {
      const { port } = await bed.start();
      const udp = await bed.udp();
      udp.send(...(await firstFlight({ port, id_bytes: 7 })));
      await fence(udp);
      expect(udp.received.length).toBe(1);
      bed.expectCounters({ datagrams_malformed: 1, connections_accepted: 1 });
    },
  },
  {
    row: 56,
    name: "Initials with lengths past their end, and 20,000 of random bytes, are dropped and leave nothing",
    run: async (bed) => {
      await bed.start();
      const udp = await bed.udp();
      const random = Random.fromEntropy([20_261_126]);
      const heads = BAD_HEADS.map((rest) => initialWith(rest, random));
      await inBatches(udp, heads.length, (index) => heads[index] ?? new Uint8Array(1));
      await bed.expectAlive();
      const beforeMib = bed.residentMib();
      await inBatches(udp, JUNK_COUNT, () => junk(random));
      await bed.expectAlive();
      expect(bed.residentMib() - beforeMib).toBeLessThan(JUNK_MIB_MAX);
      // Nothing but the versions asked about between the batches was answered.
      const fences = udp.received.filter((datagram) => isNegotiation(datagram)).length;
      expect(udp.received.length).toBe(fences);
    },
  },
  {
    row: 57,
    name: "packets for other connections behind a good Initial are passed over, and it is answered",
    needs: ["aioquic"],
    run: async (bed) => {
      const { port } = await bed.start(SHORT_HANDSHAKE);
      const udp = await bed.udp();
      const [hello] = await firstFlight({ port, size: 700 });
      const others = Array.from({ length: 25 }, (_, i) => coalesced(i));
      udp.send(Buffer.concat([hello ?? new Uint8Array(0), ...others]));
      await udp.datagrams(1);
      expect((udp.received[0]?.[0] ?? 0) & 0xf0).toBe(0xc0);
      bed.expectCounters({ connections_accepted: 2 });
      await gone(bed);
    },
  },
  {
    row: 58,
    name: "5,000 datagrams of no bytes are taken and dropped",
    run: async (bed) => {
      const udp = await bed.udp();
      await inBatches(udp, 5000, () => new Uint8Array(0));
      bed.expectCounters({ datagrams_malformed: 5000, connections_accepted: 1 });
    },
  },
  {
    row: 59,
    name: "a ClientHello in two datagrams, in any order, repeated, with one a second late, makes one connection with one id",
    needs: ["aioquic"],
    run: async (bed) => {
      const { port } = await bed.start();
      const orders = [
        [0, 1],
        [1, 0],
        [1, 1, 0, 0],
        [0, -1000, 1],
        [1, -1000, 0],
      ];
      const results = await runTransports(orders.map((order): TransportPlan => splitPlan(port, order)));
      expect(results.map(({ flight, statuses, server_ids }) => [flight, statuses, server_ids.length])).toEqual(
        orders.map(() => [2, [200], 1]),
      );
      bed.expectCounters({ connections_accepted: orders.length + 1, connections_established: orders.length + 1 });
    },
  },
  ...SILENT.map(([name, datagrams, sent]): Case => ({
    row: 60,
    name: `a client that sends ${name}, and no more, gets at most three times its bytes, to the end`,
    needs: ["aioquic"],
    run: async (bed) => {
      // Long enough for quiche to send again what was not acknowledged.
      const performance = { handshake_timeout_ms: 1500 };
      const certificate = certificateFiles(await testLeaf({ names: MANY_NAMES }));
      await bed.start({ certificate, extra: { performance, log: { level: "debug", format: "json" } } });
      const flight = await firstFlight({ port: bed.proxy.port, large_hello: datagrams === 2 });
      expect(flight.length).toBe(datagrams);
      const said = sent === "first" ? flight.slice(0, 1) : flight;
      const udp = await bed.udp();
      if (sent === "one after the other") {
        // quiche acknowledges the first in a datagram that is nearly all padding, which it does not count.
        udp.send(...said.slice(0, 1));
        await udp.datagrams(1);
        udp.send(...said.slice(1));
      } else {
        udp.send(...said);
      }
      await gone(bed);
      await fence(udp);
      const answeredBytes = sum(udp.received.slice(0, -1));
      expect(answeredBytes).toBeGreaterThan(0);
      expect(answeredBytes).toBeLessThanOrEqual(3 * sum(said));
      bed.expectCounters({ handshakes_timed_out: 1 });
    },
  })),
];

/** Clients that stop after their hello do not hold up the end of the case, and their connections' end is told. */
const SHORT_HANDSHAKE = {
  extra: { performance: { handshake_timeout_ms: 300 }, log: { level: "debug", format: "json" } },
};

/** A certificate that alone is more than three Initials long, so that nothing but the limit ends the server's flight. */
const MANY_NAMES = ["localhost", ...Array.from({ length: 160 }, (_, i) => `name-${i}.of-some-length.example.test`)];

/** What may stand behind the ids of an Initial: a token and a length, as varints. */
const BAD_HEADS: readonly (readonly number[])[] = [
  // A token longer than the datagram, by each size of varint, and by the largest there is.
  ...[
    [0x7f, 0xff],
    [0xbf, 0xff, 0xff, 0xff],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ],
  // No token; a packet of no bytes, of too few to hold a number, and of more than there are.
  ...[
    [0, 0x00],
    [0, 0x01],
    [0, 0x7f, 0xff],
    [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ],
];

function initialWith(rest: readonly number[], random: Random): Uint8Array {
  const head = longHeader({ dcid: randomBytes(random, 8), scid: randomBytes(random, 8) });
  head.set(rest, 1 + 4 + 1 + 8 + 1 + 8);
  return head;
}

/** Random bytes behind a first byte of each kind, often long enough to be an Initial. */
function junk(random: Random): Uint8Array {
  const datagram = randomBytes(random, random.nextBelow(2) === 0 ? 1200 : 1 + random.nextBelow(1400));
  if (random.nextBelow(2) === 0 && datagram.length > 30) {
    datagram.set([0xc0 | (random.nextBelow(4) << 4) | random.nextBelow(16), 0, 0, 0, 1, 8]);
    datagram[14] = random.nextBelow(21);
  } else if ((datagram[0] ?? 0) >= 0x80) {
    // Else it would be an unknown version, and answered.
    datagram[0] = (datagram[0] ?? 0) & 0x7f;
  }
  return datagram;
}

/** A small Initial of version 1 for an id that nobody has; its length is right, so that the next one behind it is found. */
function coalesced(number: number): Uint8Array {
  const head = [0xc3, 0, 0, 0, 1, 8, ...new Uint8Array(8).fill(number), 0, 0, 0x0a];
  return Uint8Array.from([...head, ...new Uint8Array(10).fill(number)]);
}

/** Sends many, as fast as the proxy takes them: after each batch an answer is awaited, so that the kernel drops none. */
async function inBatches(udp: UdpClient, count: number, make: (index: number) => Uint8Array): Promise<void> {
  for (let index = 0; index < count; index++) {
    udp.send(make(index));
    if (index % BATCH === BATCH - 1 || index === count - 1) await fence(udp);
  }
}

/** Asks for a version that is answered at once: what was sent before has then been handled, and what was answered has come. */
async function fence(udp: UdpClient): Promise<void> {
  const before = udp.received.filter((datagram) => isNegotiation(datagram)).length;
  udp.send(longHeader({ version: UNKNOWN_VERSION }));
  while (udp.received.filter((datagram) => isNegotiation(datagram)).length === before) {
    await udp.datagrams(udp.received.length + 1);
  }
}

function isNegotiation(datagram: Uint8Array): boolean {
  return (datagram[0] ?? 0) >= 0x80 && datagram.subarray(1, 5).every((byte) => byte === 0);
}

/** Until the connection of a client that says no more is gone, so that no drain waits for it. */
async function gone(bed: Bed): Promise<void> {
  await bed.proxy.process.waitForLine((line) => line.includes('"connection closed"'));
}

function splitPlan(port: number, order: readonly number[]): TransportPlan {
  return { port, large_hello: true, steps: [{ do: "hello", order }, { do: "handshake" }, { do: "get", path: "/" }] };
}

function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.nextBelow(256));
}

function sum(datagrams: readonly Uint8Array[]): number {
  return datagrams.reduce((bytes, datagram) => bytes + datagram.length, 0);
}
