import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import type { ClusterSecret } from "../../../src/quic/secrets.ts";
import {
  LineCutter,
  type Order,
  readOrder,
  readReport,
  type Report,
  writeMessage,
} from "../../../src/control/worker-link.ts";

const START: Order = {
  ...{ type: "start", slot: 3, configPath: "/etc/é\n.yaml", configText: "a: 1\nb: 'ü'\n" },
  ...{
    core: null,
    ticketsAreOlder: false,
    held: null,
    secrets: { shared: [secret(7), secret(6)], ids: [secret(5), secret(7), secret(6)] },
  },
};

function secret(id: number): ClusterSecret {
  return { id, bytes: new Uint8Array(32).fill(id) };
}

describe("messages", () => {
  const orders: readonly Order[] = [
    START,
    { ...START, core: 7, ticketsAreOlder: true },
    { ...START, held: new Map([["/c.pem", new TextEncoder().encode("certificate")]]) },
    { type: "retire", gone: [] },
    { type: "retire", gone: ["127.0.0.1:443"] },
    { type: "drain" },
    { type: "end" },
    { type: "reopen" },
  ];
  test.each(orders.map((order) => [order.type, order] as const))(
    "an order to %s is read as it was written",
    (_, order) => {
      const line = writeMessage(order);
      expect(line.indexOf("\n")).toBe(line.length - 1);
      expect(readOrder(line.trim())).toEqual(order);
      expect(readReport(line.trim())).toBeNull();
    },
  );

  const reports: readonly Report[] = [
    { type: "ready" },
    { type: "ready", pid: 7 },
    { type: "failed", text: "no\nway", isConfig: true },
    { type: "beat", counts: { a: 1, "b.c": 2.5 }, nativeHandles: 9, connections: 4 },
  ];
  test.each(reports.map((report) => [report.type, report] as const))(
    "a report %s is read as it was written",
    (_, report) => {
      expect(readReport(writeMessage(report).trim())).toEqual(report);
      expect(readOrder(writeMessage(report).trim())).toBeNull();
    },
  );

  test.each([
    "",
    "{",
    "[]",
    "null",
    "7",
    '{"type":"drain"}',
    '{"v":1,"type":"drain"}',
    '{"v":2,"type":"Drain"}',
    '{"v":2,"type":"start","slot":-1}',
    '{"v":2,"type":"start","slot":0}',
  ])("%s is no order", (line) => expect(readOrder(line)).toBeNull());

  test.each([
    '{"v":2,"type":"beat","counts":{"a":"1"},"nativeHandles":0}',
    '{"v":2,"type":"beat","counts":[],"nativeHandles":0}',
    '{"v":2,"type":"beat","counts":{},"nativeHandles":0,"connections":-1}',
    '{"v":2,"type":"beat","counts":{}}',
    '{"v":1,"type":"ready"}',
    '{"v":2,"type":"failed","text":"x"}',
  ])("%s is no report", (line) => expect(readReport(line)).toBeNull());

  test.each([
    ["no list", { shared: [], ids: [] }],
    ["no digits", { shared: [{ id: 1, hex: "x".repeat(64) }], ids: [{ id: 1, hex: "0".repeat(64) }] }],
    ["too few digits", { shared: [{ id: 1, hex: "0".repeat(62) }], ids: [{ id: 1, hex: "0".repeat(64) }] }],
    ["one that is none", { shared: [{ id: 1, hex: "0".repeat(64) }, 7], ids: [{ id: 1, hex: "0".repeat(64) }] }],
    ["one list", { shared: [{ id: 1, hex: "0".repeat(64) }] }],
    ["none at all", null],
  ])("secrets with %s are none", (_, secrets) => {
    const written: Record<string, unknown> = JSON.parse(writeMessage(START));
    expect(readOrder(JSON.stringify(written))).toEqual(START);
    expect(readOrder(JSON.stringify({ ...written, secrets }))).toBeNull();
  });

  test("every key of an order to start counts, but for what supervisors of before do not say", () => {
    for (const key of Object.keys(START)) {
      if (key === "held") continue;
      const { [key]: _, ...rest }: Record<string, unknown> = JSON.parse(writeMessage(START));
      expect(readOrder(JSON.stringify(rest))).toBeNull();
    }
    const { held: _, ...before }: Record<string, unknown> = JSON.parse(writeMessage(START));
    for (const held of [{}, { held: 1 }, { held: { "/c.pem": 1 } }, { held: { "/c.pem": "no base64 at all" } }])
      expect(readOrder(JSON.stringify({ ...before, ...held }))).toEqual(START);
  });
});

describe("lines", () => {
  test("are the same however the text comes in pieces", () => {
    const text = "one\ntwo\n\nthree\n";
    for (let size = 1; size <= text.length; size++) {
      const cutter = new LineCutter();
      const lines: string[] = [];
      for (let at = 0; at < text.length; at += size)
        lines.push(...(cutter.push(text.slice(at, at + size)) ?? ["too long"]));
      expect(lines).toEqual(["one", "two", "", "three"]);
    }
  });

  test("go on where another cutter had to stop, even within a character", () => {
    const bytes = new TextEncoder().encode(writeMessage(START));
    for (const size of [1, 20, 60, bytes.length - 2]) {
      const before = new LineCutter();
      expect(before.push(new TextDecoder().decode(bytes.subarray(0, size)))).toEqual([]);
      const after = new LineCutter(before.rest);
      const lines = after.push(new TextDecoder().decode(bytes.subarray(size))) ?? [];
      expect(lines.map(readOrder)).toEqual([START]);
    }
  });

  test("are given up when they do not end", () => {
    const cutter = new LineCutter();
    expect(cutter.push("x".repeat(LIMITS.linkMessageBytesMax))).toEqual([]);
    expect(cutter.push("x")).toBeNull();
  });
});
