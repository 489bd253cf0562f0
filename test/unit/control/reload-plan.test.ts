import { describe, expect, test } from "bun:test";
import { parseConfiguration } from "../../../src/cli/configuration.ts";
import { planReload, type Weighed } from "../../../src/control/reload-plan.ts";

const DIGESTS = { certificates: "c", trust: "t", cluster: "k" };

type Words = Readonly<Record<string, unknown>>;

function pool(path: string, addresses: readonly string[], more: Words = {}): Words {
  return { route: { path_prefix: path }, backends: addresses.map((address, i) => ({ id: `b${i}`, address })), ...more };
}

const API = pool("/api", ["http://127.0.0.1:1"]);
const WEB = pool("/", ["http://127.0.0.1:2", "http://127.0.0.1:3"]);

function weighed(changes: Words = {}, digests: Partial<Weighed["digests"]> = {}): Weighed {
  const listen = { address: "127.0.0.1", port: 4433, tls: { cert: "/a.pem", key: "/a.key" } };
  const text = JSON.stringify({ version: 1, listen, upstream: { api: API, web: WEB }, ...changes });
  return { snapshot: parseConfiguration("config.yaml", text).snapshot, digests: { ...DIGESTS, ...digests } };
}

const LISTS: readonly string[] = ["pools", "listeners"];

const plan = (changes: Words, digests: Partial<Weighed["digests"]> = {}) =>
  planReload(weighed(), weighed(changes, digests));

describe("the plan of a reload", () => {
  test("has nothing to do for the same, however it is written", () => {
    expect(plan({})).toEqual({ way: "nothing", needs: [], changes: [] });
    expect(plan({ log: { level: "info" } })).toEqual({ way: "nothing", needs: [], changes: [] });
  });

  test("names pools that come, go, change and change places", () => {
    const other = pool("/", ["http://127.0.0.1:4"]);
    expect(plan({ upstream: { api: API, web: other, new: pool("/new", ["http://127.0.0.1:5"]) } })).toEqual({
      way: "in-place",
      needs: [],
      changes: ["pools added: new", "pools changed: web"],
    });
    expect(plan({ upstream: { api: API } }).changes).toEqual(["pools removed: web"]);
    expect(plan({ upstream: { web: WEB, api: API } }).changes).toEqual(["order of pools"]);
  });

  test("counts pools where a line would be too long", () => {
    const upstream = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`p${i}`, pool(`/p${i}`, ["http://127.0.0.1:9"])] as const),
    );
    const [added] = plan({ upstream: { api: API, web: WEB, ...upstream } }).changes;
    expect(added).toBe("pools added: p0, p1, p2, p3, p4, p5, p6, p7 and 4 more");
  });

  test.each([
    ["a certificate's file", {}, { certificates: "d" }, "listeners or their certificates"],
    ["an authority of backends", {}, { trust: "u" }, "certificate authorities of backends"],
    ["the level of the log", { log: { level: "debug" } }, {}, "log"],
    ["the form of the log", { log: { format: "json" } }, {}, "log"],
    ["rules for requests in the log", { log: { access: { query: "drop" } } }, {}, "log"],
    ["a time-out", { performance: { backend_timeout_ms: 1234 } }, {}, "time-outs"],
    ["a bound on requests", { performance: { global_inflight_limit: 77 } }, {}, "bounds on requests"],
    ["the time of a ticket key", { cluster: { key_rotation_ms: 3_600_000 } }, {}, "cluster"],
    ["doors", { observability: { metrics: { enabled: false } } }, {}, "observability"],
  ] as const)("goes over in place for %s", (_, changes, digests, words) => {
    expect(plan(changes, digests)).toEqual({ way: "in-place", needs: [], changes: [words] });
  });

  test.each([
    ["workers", { workers: 3 }, {}, "workers"],
    ["a file of the log", { log: { file: "/var/log/spooky/a.log" } }, {}, "log.file"],
    ["a file for requests", { log: { access: { file: "/var/log/spooky/b.log" } } }, {}, "log.access.file"],
    ["the cluster's key file", {}, { cluster: "l" }, "cluster (all but key_rotation_ms)"],
    ["early data", { resilience: { protocol: { allow_0rtt: true } } }, {}, "resilience.protocol.allow_0rtt"],
    [
      ...["the first window", { performance: { quic_initial_window_packets: 33 } }, {}],
      "performance.quic_initial_window_packets",
    ],
    [
      ...["socket buffers", { performance: { udp_recv_buffer_bytes: 1_048_576 } }, {}],
      "performance.udp_recv_buffer_bytes",
    ],
  ] as const)("needs new workers for %s, and names the key", (_, changes, digests, key) => {
    const { way, needs, changes: words } = plan(changes, digests);
    expect([way, needs]).toEqual(["new-workers", [key]]);
    expect(words.length).toBeGreaterThan(0);
  });

  test("leaves no part of a configuration out", () => {
    const { snapshot, digests } = weighed();
    // Only how a file is written, for a warning.
    for (const part of Object.keys(snapshot).filter((key) => key !== "listenIsReplaced")) {
      const other: Weighed["snapshot"] = { ...snapshot, [part]: LISTS.includes(part) ? [] : { changed: true } };
      expect([part, planReload(weighed(), { snapshot: other, digests }).way]).not.toEqual([part, "nothing"]);
    }
    for (const file of Object.keys(digests))
      expect(planReload(weighed(), { snapshot, digests: { ...digests, [file]: "changed" } }).way).not.toBe("nothing");
  });

  test("tells no bound from a bound", () => {
    const bounded = weighed({ performance: { global_inflight_limit: 5 } });
    const { snapshot } = bounded;
    const unbounded = {
      ...bounded,
      snapshot: { ...snapshot, requests: { ...snapshot.requests, inFlightMax: Infinity } },
    };
    expect(planReload(bounded, unbounded).changes).toEqual(["bounds on requests"]);
    expect(planReload(unbounded, unbounded).way).toBe("nothing");
  });
});
