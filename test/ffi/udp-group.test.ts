/** Sockets of one address, as the kernel treats them: who may join, who may not, and what a socket says that came from elsewhere. */
import { afterAll, describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { adoptUdpSocket, openUdpGroup } from "../../ffi/udp-group.ts";
import { type BoundSocket, openUdpSocket, type UdpOptions } from "../../ffi/udp-open.ts";
import { renewUdpSockets } from "../../ffi/udp-renew.ts";
import { UdpSocket } from "../../ffi/udp-socket.ts";
import { openTestLibrary } from "../support/native.ts";

const library = openTestLibrary();
const buffers = { receiveBufferBytes: 65_536, sendBufferBytes: 65_536 };
const ANY: UdpOptions = { ip: "127.0.0.1", port: 0, ...buffers };

function group(count: number, options: UdpOptions = ANY): readonly BoundSocket[] {
  const sockets = openUdpGroup(library, options, count);
  afterAll(() => close(sockets));
  return sockets;
}

function close(sockets: readonly BoundSocket[]): void {
  for (const { fd } of sockets) library.libc.close(fd);
}

function portOf(sockets: readonly BoundSocket[]): number {
  return must(sockets[0], "a group has a first socket").local.port;
}

describe("a group", () => {
  test("has one port and as many sockets as can ever be wanted", () => {
    const sockets = group(2 * LIMITS.workersMax);
    expect(new Set(sockets.map(({ local }) => local.port)).size).toBe(1);
    expect(new Set(sockets.map(({ fd }) => fd)).size).toBe(64);
  });

  test("refuses another one, and every socket that would be alone", () => {
    const port = portOf(group(4));
    expect(() => openUdpGroup(library, { ...ANY, port }, 4)).toThrow("already served");
    expect(() => openUdpSocket(library, { ...ANY, port })).toThrow("already served");
  });

  test("is refused where a socket is that would be alone, and leaves nothing open", () => {
    const alone = openUdpSocket(library, ANY);
    const { port } = alone.local;
    expect(() => openUdpGroup(library, { ...ANY, port }, 2)).toThrow("already served");
    close([alone]);
    close(openUdpGroup(library, { ...ANY, port }, 2));
  });

  test("is refused where another group was that shares with everybody", () => {
    const sharing = openUdpSocket(library, { ...ANY, sharePort: true });
    expect(() => openUdpGroup(library, { ...ANY, port: sharing.local.port }, 2)).toThrow("already served");
    close([sharing]);
  });
});

describe("a socket from elsewhere", () => {
  test.each(["127.0.0.1", "0.0.0.0", "::", "::1"])("says all that its opener knew: %s", (ip) => {
    const [first, second] = group(2, { ...ANY, ip });
    for (const opened of [first, second]) {
      const { fd } = must(opened, "a group of two");
      expect(adoptUdpSocket(library, fd, ip)).toEqual(must(opened, "a group of two"));
    }
  });

  test("is used as one's own", () => {
    const [opened] = group(2);
    const { fd, local } = must(opened, "a group of two");
    const socket = new UdpSocket(library, adoptUdpSocket(library, fd, "127.0.0.1"), new Counters());
    expect([socket.fd, socket.localPort, socket.localText]).toEqual([fd, local.port, `127.0.0.1:${local.port}`]);
  });

  test("that is none is a failure with its number", () => {
    expect(() => adoptUdpSocket(library, 9999, "127.0.0.1")).toThrow("descriptor 9999 is no socket");
  });
});

test("what lies in sockets that nobody has read is thrown away, and their buffers get other sizes", async () => {
  const [alone] = group(1);
  const { fd, local } = must(alone, "a group has a first socket");
  const sender = await Bun.udpSocket({ connect: { hostname: "127.0.0.1", port: local.port } });
  // More than one call takes.
  for (let i = 0; i < 100; i++) sender.send("late");
  sender.close();
  const sizes = { receiveBufferBytes: 131_072, sendBufferBytes: 32_768 };
  expect(renewUdpSockets(library, [fd], sizes)).toBe(100);
  expect(renewUdpSockets(library, [fd], sizes)).toBe(0);
  expect(adoptUdpSocket(library, fd, "127.0.0.1")).toMatchObject(sizes);
});
