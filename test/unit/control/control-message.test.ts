/** What is said on the control socket: every message is read as it was written, and everything else is refused in words. */
import { describe, expect, test } from "bun:test";
import {
  type ControlAnswer,
  type ControlRequest,
  readAnswer,
  readRequest,
  renewalOf,
  statusDocument,
  writeControl,
} from "../../../src/control/control-message.ts";
import type { NodeStatus } from "../../../src/control/renewal.ts";

const requests: readonly ControlRequest[] = [
  { do: "upgrade", binary: null },
  { do: "upgrade", binary: '/opt/spooky/é \n "next"' },
  { do: "reload" },
  { do: "reopen" },
  { do: "status" },
];

const answers: readonly ControlAnswer[] = [
  { is: "progress", text: "three workers\nstart" },
  { is: "replacing", generation: 7 },
  { is: "done", generation: 1 },
  { is: "status", status: { pid: 1, crews: [] } },
  { is: "refused", code: "failed", reason: "it stops", remedy: null },
  { is: "refused", code: "busy", reason: "one at a time", remedy: "ask again" },
];

describe("messages", () => {
  test.each(requests.map((request) => [JSON.stringify(request), request] as const))("request %s", (_, request) => {
    const line = writeControl(request);
    expect(line.indexOf("\n")).toBe(line.length - 1);
    expect(readRequest(line.trim())).toEqual(request);
    expect(readAnswer(line.trim())).toBeNull();
  });

  test.each(answers.map((answer) => [answer.is, answer] as const))("answer %s", (_, answer) => {
    const line = writeControl(answer);
    expect(line.indexOf("\n")).toBe(line.length - 1);
    expect(readAnswer(line.trim())).toEqual(answer);
  });

  test("a request of what is to be renewed is one, and no other is", () => {
    const kinds = requests.map((request) => renewalOf(request)?.kind ?? null);
    expect(kinds).toEqual(["upgrade", "upgrade", "reload", null, null]);
  });
});

describe("what is no request is refused", () => {
  test.each([
    ["", "form"],
    ["status", "form"],
    ["[]", "form"],
    ["null", "form"],
    ['{"v":1', "form"],
    ['{"v":1,"do":"upgrade","binary":7}', "form"],
    ['{"v":1,"do":"upgrade","binary":"spooky"}', "form"],
    ['{"v":1,"do":"upgrade","binary":"/a\\u0000b"}', "form"],
    ["{}", "version"],
    ['{"v":2,"do":"status"}', "version"],
    ['{"v":"1","do":"status"}', "version"],
    ['{"v":1}', "command"],
    ['{"v":1,"do":"stop"}', "command"],
    ['{"v":1,"do":["status"]}', "command"],
  ] as const)("%s: %s", (line, code) => {
    expect(readRequest(line)).toMatchObject({ is: "refused", code });
  });

  test("with both versions in words for people", () => {
    const { reason, remedy } = { reason: "", remedy: "", ...readRequest('{"v":99,"do":"status"}') };
    expect(reason).toContain("version 1 ");
    expect(reason).toEndWith("version 99");
    expect(remedy).toContain("SIGHUP");
  });
});

test("a refusal of any version is read, with what it says", () => {
  const line = '{"v":9,"is":"refused","code":"of-the-future","reason":"no","more":1}';
  expect(readAnswer(line)).toEqual({ is: "refused", code: "failed", reason: "no", remedy: null });
  for (const other of [
    '{"v":9,"is":"done","generation":2}',
    '{"v":1,"is":"done","generation":"2"}',
    '{"v":1,"is":"x"}',
    "",
  ])
    expect(readAnswer(other)).toBeNull();
});

test("a status has counters and histograms apart", () => {
  const status: NodeStatus = {
    ...{
      pid: 7,
      version: "1.0.0",
      generation: 2,
      configPath: "/c.yaml",
      listeners: ["a:1"],
      startedEpochMs: 5,
      notice: "odd",
    },
    configuration: {
      ...{ atWorkSinceEpochMs: 6, lastSuccessEpochMs: null, lastFailureEpochMs: null, lastSuccessful: true, kept: 0 },
      reloads: { in_place: 0, new_workers: 0, unchanged: 0, failed: 0 },
    },
    crews: [
      {
        generation: 2,
        role: "active",
        workers: [{ slot: 4, pid: 8, phase: "serving", unusablePools: ["api"], connections: 1 }],
      },
    ],
    counts: { requests_started: 3, "request_ms:2.5": 2, "request_ms:inf": 1, "request_ms:sum": 123_456.789 },
  };
  expect(JSON.parse(JSON.stringify(statusDocument(status)))).toEqual({
    ...{
      pid: 7,
      version: "1.0.0",
      generation: 2,
      config_path: "/c.yaml",
      listeners: ["a:1"],
      started_epoch_ms: 5,
      notice: "odd",
    },
    configuration: {
      ...{ at_work_since_epoch_ms: 6, last_success_epoch_ms: null, last_failure_epoch_ms: null, last_successful: true },
      ...{ kept: 0, reloads: { in_place: 0, new_workers: 0, unchanged: 0, failed: 0 } },
    },
    crews: [
      {
        generation: 2,
        role: "active",
        workers: [{ slot: 4, pid: 8, phase: "serving", connections: 1, unusable_pools: ["api"] }],
      },
    ],
    counters: { requests_started: 3 },
    histograms: {
      request_ms: {
        count: 3,
        sum_ms: 123_456.789,
        buckets: [
          [2.5, 2],
          [null, 1],
        ],
      },
    },
  });
});
