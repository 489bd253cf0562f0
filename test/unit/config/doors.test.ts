/** Which addresses and paths metrics and health may have beside each other. */
import { expect, test } from "bun:test";
import { LEAST, printed } from "./sample.ts";

const with_ = (metrics: string, health: string): string =>
  `${LEAST}observability:\n  metrics: { ${metrics} }\n  health: { ${health} }\n`;
const overlap = (one: string, other: string, key = "health.port", name = "metrics") =>
  new RegExp(
    `observability\\.${key}: ${one} and ${other} of observability\\.${name} take in one another`.replaceAll("[", "\\["),
  );

test.each([
  ["port: 9090", "port: 9090", overlap("0.0.0.0:9090", "127.0.0.1:9090")],
  ["address: 0.0.0.0", "address: 127.0.0.1, port: 9090", overlap("127.0.0.1:9090", "0.0.0.0:9090")],
  ['address: "::"', "port: 9090", overlap("0.0.0.0:9090", "[::]:9090")],
  ['address: "::"', "address: 192.0.2.1, port: 9090", overlap("192.0.2.1:9090", "[::]:9090")],
  ["address: 0.0.0.0", 'address: "::", port: 9090', overlap("[::]:9090", "0.0.0.0:9090")],
  ["port: 8080", "enabled: true", overlap("127.0.0.1:8080", "0.0.0.0:8080", "metrics.port", "health")],
])("metrics { %s } and health { %s } overlap", (metrics, health, said) => {
  const lines = printed(with_(metrics, health));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(said);
  expect(lines[0]).toEndWith("; expected the same address for both, or another port");
});

test.each([
  ["enabled: true", "enabled: true"],
  ["address: 0.0.0.0", "port: 9090"],
  ["address: 127.0.0.2", "address: 127.0.0.1, port: 9090"],
  ["address: 0.0.0.0", 'address: "::1", port: 9090'],
  ["port: 0", "port: 0"],
  ["enabled: false", "port: 9090"],
  ["port: 8080", "enabled: false"],
])("metrics { %s } and health { %s } do not", (metrics, health) => {
  expect(printed(with_(metrics, health))).toEqual([]);
});

test.each([
  ["address: 0.0.0.0, path: /ready", "port: 9090", "health.port"],
  ["enabled: true", "health_path: /x, ready_path: /x", "health.ready_path"],
  ["enabled: true", "health_path: /ready", "health.health_path"],
  ["address: 0.0.0.0, path: /x", "port: 9090, health_path: /x", "health.health_path"],
])("metrics { %s } and health { %s } have one path twice", (metrics, health, key) => {
  const lines = printed(with_(metrics, health));
  expect(lines).toHaveLength(1);
  if (key !== "health.port") expect(lines[0]).toContain(`observability.${key}: "/`);
  expect(lines[0]).toEndWith("answers something else at the same address; expected a path of its own");
});

test("what is wrong by itself is complained about once", () => {
  expect(printed(with_("port: many", "port: 9090"))).toHaveLength(1);
});
