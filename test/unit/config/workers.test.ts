import { describe, expect, test } from "bun:test";
import { LEAST, printed, snapshotOf } from "./sample.ts";

describe("workers", () => {
  test.each([
    ["workers: auto\n", "auto"],
    ["workers: 1\n", 1],
    ["workers: 32\n", 32],
    ["performance: { worker_threads: 4 }\n", 4],
    ["performance: { worker_threads: auto }\n", "auto"],
  ] as const)("%j is %p", (text, count) => {
    expect(snapshotOf(`${LEAST}${text}`).workers).toEqual({ count, pinned: false, supervised: true });
  });

  test("may stay on their cores", () => {
    expect(snapshotOf(`${LEAST}performance: { pin_workers: true }\n`).workers.pinned).toBe(true);
  });

  test.each([
    ["0", "is 0"],
    ["33", "is 33"],
    ["1.5", "is 1.5"],
    ["many", 'is "many"'],
  ])("%s are a mistake", (value, wrong) => {
    expect(printed(`${LEAST}workers: ${value}\n`)).toEqual([
      `c.yaml:12:10: workers: ${wrong}; expected "auto", or an integer from 1 to 32`,
    ]);
  });

  test("a word nearly right is told from one that is not", () => {
    expect(printed(`${LEAST}workers: atuo\n`)).toEqual([
      'c.yaml:12:10: workers: is "atuo"; expected "auto", or an integer from 1 to 32; did you mean "auto"?',
    ]);
  });
});

test("a word that may be left out is checked as well", () => {
  const text = LEAST.replace("    route:", "    transport: nativ\n    route:");
  expect(printed(text)).toEqual([
    'c.yaml:7:16: upstream.web.transport: is "nativ"; expected "fetch", or "native"; did you mean "native"?',
  ]);
});
