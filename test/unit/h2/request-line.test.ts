/** Requests whose control data are strings beside a section. */
import { expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { FLAG } from "../../../src/h2/codes.ts";
import { H2Peer, NotedStream } from "../../support/h2-peer.ts";
import { sectionOf } from "../../support/sections.ts";

test("a request with its control data as strings gives the same fields", () => {
  const peer = H2Peer.ready();
  const line = { method: "PUT", scheme: "https", authority: "b", path: "/x?y" };
  peer.client.openLine(line, sectionOf([["accept", "*/*"]]), true, new NotedStream(), 0);
  const [head] = peer.frames();
  expect(head?.flags).toBe(FLAG.endHeaders);
  expect(peer.fields(head?.payload ?? new Uint8Array(0))).toEqual([
    [":path", "/x?y"],
    [":scheme", "https"],
    [":authority", "b"],
    [":method", "PUT"],
    ["accept", "*/*"],
  ]);
});

test("a path that is no bytes is a fault of the program, after which the compressor still fits the peer's", () => {
  const peer = H2Peer.ready();
  const line = { method: "PATCH", scheme: "https", authority: "b", path: "/" };
  const send = (path: string): void => {
    peer.client.openLine({ ...line, path }, sectionOf([["accept", "*/*"]]), false, new NotedStream(), 0);
  };
  send("/1");
  expect(() => send("/\u010a")).toThrow(AssertionFault);
  for (let i = 2; i < 5; i++) send(`/${i}`);
  const paths = peer.frames().map(({ payload }) => peer.fields(payload).map(([, value]) => value));
  expect(paths).toEqual([1, 2, 3, 4].map((i) => [`/${i}`, "https", "b", "PATCH", "*/*"]));
});
