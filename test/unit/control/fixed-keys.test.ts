import { expect, test } from "bun:test";
import { checkFixedKeys } from "../../../src/control/fixed-keys.ts";
import { LEAST, snapshotOf } from "../config/sample.ts";

const BEFORE = snapshotOf(LEAST);

test.each([
  [`${LEAST}control: { socket: /run/other.sock }\n`, "control.socket"],
  [`${LEAST}supervisor: off\n`, "supervisor"],
])("a running program cannot go over to %j", (text, key) => {
  const check = (): void => checkFixedKeys(BEFORE, snapshotOf(text), 1, 2);
  expect(check).toThrow(`${key} cannot be changed while the program runs`);
});

test("several such keys are named together", () => {
  const after = snapshotOf(`${LEAST}control: { socket: /run/other.sock }\nsupervisor: off\n`);
  expect(() => checkFixedKeys(BEFORE, after, 1, 2)).toThrow("control.socket, supervisor cannot be changed");
});

test("workers may be as many as there are sockets for", () => {
  checkFixedKeys(BEFORE, BEFORE, 2, 2);
  expect(() => checkFixedKeys(BEFORE, BEFORE, 3, 2)).toThrow("workers: 3 are more than this program has sockets for");
});

test("all else may be changed", () => {
  const elsewhere = LEAST.replace("listen:", "listen:\n  port: 4000\n  address: 127.0.0.9");
  const after = snapshotOf(`${elsewhere}performance: { pin_workers: true, max_request_body_bytes: 7 }\n`);
  checkFixedKeys(BEFORE, after, 1, 2);
});
