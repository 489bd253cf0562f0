/** The status of a program as people read it. */
import { expect, test } from "bun:test";
import { statusText } from "../../../src/cli/status-text.ts";

const STARTED_MS = Date.UTC(2026, 0, 1);

test("a status tells who serves, what was counted, and how long things took", () => {
  const text = statusText(
    {
      pid: 41,
      version: "1.2.3",
      generation: 2,
      config_path: "/etc/spooky/config.yaml",
      listeners: ["0.0.0.0:443", "[::1]:8443"],
      started_epoch_ms: STARTED_MS,
      notice: "the supervisor is not the new one",
      crews: [
        { generation: 1, role: "draining", workers: [{ slot: 0, pid: 42, phase: "serving", connections: 7 }] },
        { generation: 2, role: "active", workers: [{ slot: 4, pid: null, phase: "waiting", connections: 0 }] },
      ],
      counters: { requests_started: 12, requests_completed: 11, requests_failed: 1 },
      histograms: {
        request_ms: {
          count: 4,
          sum_ms: 9,
          buckets: [
            [1, 2],
            [2.5, 1],
            [null, 1],
          ],
        },
      },
      of_the_future: [{}],
    },
    STARTED_MS + 93_784_000,
  );
  expect(text).toBe(`spooky 1.2.3, pid 41, generation 2, up 1 d 2 h
configuration  /etc/spooky/config.yaml
listening      0.0.0.0:443, [::1]:8443
notice         the supervisor is not the new one
generation 1, draining
  slot 0   pid 42       serving   7 connections
generation 2, active
  slot 4   pid -        waiting   0 connections
requests              12
  completed           11
  failed              1
connections           0
worker restarts       0
request_ms            p50 <= 1 ms  p90 > 100000 ms  p99 > 100000 ms  (4)
`);
});

test("one of another release, with nothing in it that is known, is still told", () => {
  expect(statusText({ crews: 7, histograms: { odd: [] } }, 0)).toStartWith("spooky ?, pid ?, generation ?\n");
});
