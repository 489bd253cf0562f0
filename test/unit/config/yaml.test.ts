import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { LEAST, LISTEN, poolOf, printed, snapshotOf, withPool } from "./sample.ts";

const ROUTE = "route: { path_prefix: / }";
const DOCUMENT = "(document): is empty; expected a map with at least listen and upstream";

/** What the text is; the text; the lines that are printed. */
type Case = readonly [string, string, readonly string[]];

function check(cases: readonly Case[]): void {
  test.each(cases)("%s", (_name, text, lines) => {
    expect(printed(text)).toEqual(lines);
  });
}

describe("a file without a configuration", () => {
  check([
    ["nothing", "", [`c.yaml:1:1: ${DOCUMENT}`]],
    ["only blanks", "\n\n  \n", [`c.yaml:1:1: ${DOCUMENT}`]],
    ["only comments", "# listen:\n#   port: 1\n", [`c.yaml:1:1: ${DOCUMENT}`]],
    ["an empty document", "---\n...\n", [`c.yaml:1:1: ${DOCUMENT}`]],
    [
      "a list",
      "# head\n- listen\n",
      ["c.yaml:2:1: (document): is a list; expected a map with at least listen and upstream"],
    ],
    [
      "a text",
      "hello",
      ['c.yaml:1:1: (document): is the text "hello"; expected a map with at least listen and upstream'],
    ],
  ]);
});

describe("text that is no YAML", () => {
  check([
    [
      "a tab as indentation",
      "log:\n\tlevel: info\n",
      ["c.yaml:2:1: YAML: a tab is used for indentation; expected spaces"],
    ],
    [
      "no space after a colon",
      "listen:\n  port:443\n  address: x\n",
      [
        'c.yaml:2:3: YAML: this is no key with a value; expected "key: value" with a space after the colon, on one line',
      ],
    ],
    [
      "two colons on a line",
      "a: b: c\n",
      [
        "c.yaml:1:4: YAML: a second key stands on the same line; expected each key on its own line, or the value in quotes",
      ],
    ],
    [
      "a quote that is never closed",
      'log:\n  level: "info\n',
      ["c.yaml:2:10: YAML: the quote that begins here is never closed"],
    ],
    ["an unknown escape", 'log: { file: "C:\\q" }\n', ["c.yaml:1:17: YAML: invalid escape sequence \\q"]],
    [
      "a reserved first character",
      "log: @x\n",
      ["c.yaml:1:6: YAML: plain value cannot start with reserved character @"],
    ],
    [
      "another column in the same map",
      "log:\n   level: info\n  format: json\n",
      ["c.yaml:3:1: YAML: all mapping items must start at the same column"],
    ],
    [
      "a second document",
      `${LEAST}---\nlog: {}\n`,
      ["c.yaml:12:1: YAML: a second document begins here; expected one document in the file"],
    ],
    [
      "a version with a control character, which is shown escaped",
      `%YAML 1\u007f.1\n---\n${LEAST}`,
      [
        "c.yaml:1:1: YAML: is marked as version 1\\u007f.1; expected YAML 1.2",
        "c.yaml:1:7: YAML: unsupported YAML version 1\\u007f.1",
      ],
    ],
    ["YAML 1.1", `%YAML 1.1\n---\n${LEAST}`, ["c.yaml:1:1: YAML: is marked as version 1.1; expected YAML 1.2"]],
    [
      "a version of YAML that is not known",
      `# x\n%YAML 1.3\n---\n${LEAST}`,
      ["c.yaml:2:1: YAML: is marked as version 1.3; expected YAML 1.2"],
    ],
  ]);

  test("is all reported", () => {
    expect(printed("a: @x\nb: `y`\n")).toHaveLength(2);
  });

  test("is not checked further", () => {
    expect(printed("colour: @x\n")).toEqual(["c.yaml:1:9: YAML: plain value cannot start with reserved character @"]);
  });
});

test("YAML 1.2 may say so", () => {
  expect(printed(`%YAML 1.2\n---\n${LEAST}`)).toEqual([]);
});

describe("a key twice", () => {
  test("names both places and keeps the first for the other checks", () => {
    const text = `${LEAST}log:\n  level: loud\n  level: info\n`;
    expect(printed(text)).toEqual([
      'c.yaml:13:10: log.level: is "loud"; expected one of "off", "error", "warn", "info", "debug", "trace"',
      "c.yaml:14:3: log.level: is given twice, first at line 13, column 3; expected each key once",
    ]);
  });

  test("is noticed for pools", () => {
    expect(printed(`${LEAST}  "web": {}\n`)).toEqual([
      "c.yaml:12:3: upstream.web: is given twice, first at line 6, column 3; expected each key once",
    ]);
  });
});

describe("words and numbers", () => {
  test("on and off are texts, as YAML 1.2 has them", () => {
    expect(snapshotOf(`${LEAST}log: { level: off }\n`).log.level).toBe("off");
    expect(printed(`${LEAST}upstream_tls: { verify_certificates: off }\n`)).toEqual([
      'c.yaml:12:38: upstream_tls.verify_certificates: is the text "off"; expected true or false',
    ]);
  });

  test("a number that begins with 0 is refused, since YAML 1.1 takes it as octal", () => {
    expect(printed(LEAST.replace("listen:\n", "listen:\n  port: 0443\n"))).toEqual([
      "c.yaml:2:9: listen.port: is written 0443, which is octal to some readers; expected 443",
    ]);
  });

  test("a number written 0o17 is octal and one written 0x1F hexadecimal", () => {
    expect(snapshotOf(LEAST.replace("listen:\n", "listen:\n  port: 0o17\n")).listeners[0].port).toBe(15);
    expect(snapshotOf(LEAST.replace("listen:\n", "listen:\n  port: 0x1F\n")).listeners[0].port).toBe(31);
    expect(snapshotOf(LEAST.replace("listen:\n", "listen:\n  port: 0\n")).listeners[0].port).toBe(0);
  });

  test("a number with underscores is a text", () => {
    expect(printed(LEAST.replace("listen:\n", "listen:\n  port: 4_43\n"))).toEqual([
      'c.yaml:2:9: listen.port: is the text "4_43"; expected an integer from 0 to 65535',
    ]);
  });

  test("names of pools that look like numbers, truths or nothing are names", () => {
    const pool = (name: string) => `  ${name}: { route: { host: x${name}.y }, backends: [{ id: a, address: a:1 }] }\n`;
    const text = `${LISTEN}upstream:\n${["1", "0x1", "true", "null", "1.0"].map(pool).join("")}`;
    expect(snapshotOf(text).pools.map(({ name }) => name)).toEqual(["1", "0x1", "true", "null", "1.0"]);
  });
});

describe("tags", () => {
  check([
    [
      "of YAML",
      `${LEAST}log: { file: !!str 5 }\n`,
      ['c.yaml:12:20: log.file: has the tag "tag:yaml.org,2002:str"; expected a value without a tag'],
    ],
    [
      "of one's own",
      `${LEAST}log: !mine { level: info }\n`,
      ['c.yaml:12:12: log: has the tag "!mine"; expected a value without a tag'],
    ],
    [
      "on a list",
      `${LEAST}log: { file: !!seq [a] }\n`,
      ['c.yaml:12:20: log.file: has the tag "tag:yaml.org,2002:seq"; expected a value without a tag'],
    ],
  ]);
});

describe("anchors and aliases of YAML", () => {
  const shared = withPool(
    ...[ROUTE, "backends:", "  - id: a", "    address: a:1", "    health_check: &check { interval: 7000 }"],
    ...["  - id: b", "    address: b:1", "    health_check: *check"],
  );

  test("repeat a section", () => {
    expect(poolOf(shared).backends.map((backend) => backend.healthCheck?.intervalMs)).toEqual([7000, 7000]);
  });

  test("repeat a mistake only once, where it is written", () => {
    expect(printed(shared.replace("7000", "7s"))).toEqual([
      'c.yaml:11:42: upstream.web.backends[0].health_check.interval: is the text "7s"; ' +
        "expected an integer from 1 to 86400000 (milliseconds)",
    ]);
  });

  test("are blamed where they are used when only the use is wrong", () => {
    expect(printed(`${LEAST}log: &log { level: info }\nupstream_tls: *log\n`)).toEqual([
      'c.yaml:12:13: upstream_tls.level: unknown key; expected one of verify_certificates, ca_file, ca_dir, client_certificate, client_key; did you mean "log.level"?',
    ]);
  });

  check([
    [
      "an alias of nothing, such as a wildcard without quotes",
      LEAST.replace("path_prefix: /", "host: *.example.org"),
      [
        'c.yaml:8:13: upstream.web.route.host: there is no anchor &.example.org above; expected the text in quotes ("*.example.org") if no alias is meant',
      ],
    ],
    [
      "an alias before its anchor",
      `log: { level: *l }\n${LEAST}version: &l 1\n`,
      ['c.yaml:1:15: log.level: there is no anchor &l above; expected the text in quotes ("*l") if no alias is meant'],
    ],
    [
      "an anchor twice",
      `${LEAST}version: &x 1\nlog: { level: &x info }\n`,
      ["c.yaml:13:18: log.level: the anchor &x is used twice; expected another name for one of them"],
    ],
    [
      "a merge key",
      `${LEAST}log: &log { level: info }\nupstream_tls: { <<: *log }\n`,
      [
        "c.yaml:13:17: upstream_tls.<<: merge keys are YAML 1.1; expected the keys written out, or an alias as a whole value",
      ],
    ],
    [
      "an anchor inside itself",
      `${LEAST}log: &log { file: *log }\n`,
      ["c.yaml:12:19: log.file: the alias *log stands inside what it repeats; expected an alias of something finished"],
    ],
  ]);

  test("that would expand to billions are stopped early", () => {
    const levels = Array.from("abcdefghijkl");
    const lines = levels.map((name, index) => {
      const inner = index === 0 ? "x" : `*${levels[index - 1]}`;
      return `${name}: &${name} [${Array.from({ length: 10 }, () => inner).join(", ")}]\n`;
    });
    const stopped = printed(lines.join("")).filter((line) => line.includes("is one too many"));
    expect(stopped).toHaveLength(1);
    expect(stopped[0]).toEndWith("expected at most 100000 keys and values, those that aliases repeat included");
  });
});

describe("keys that are no text", () => {
  check([
    [
      "a list as a key",
      `${LEAST}? [a]\n: 1\n`,
      ["c.yaml:12:3: (document): has a key that is no plain text; expected a plain key"],
    ],
    [
      "an alias as a key",
      `${LEAST}log: { level: &l info, *l : x }\n`,
      ["c.yaml:12:24: log: has a key that is no plain text; expected a plain key"],
    ],
  ]);
});

describe("sizes", () => {
  test("a file of the largest size is read", () => {
    const text = LEAST + "#".repeat(LIMITS.configBytesMax - LEAST.length);
    expect(printed(text)).toEqual([]);
  });

  test("a larger one is refused", () => {
    const text = LEAST + "#".repeat(LIMITS.configBytesMax - LEAST.length + 1);
    expect(printed(text)).toEqual(["c.yaml:1:1: (document): is too large; expected at most 1048576 bytes"]);
  });

  test("size is counted in bytes, not characters", () => {
    const text = LEAST + "#" + "é".repeat(LIMITS.configBytesMax / 2);
    expect(text.length).toBeLessThan(LIMITS.configBytesMax);
    expect(printed(text)).toEqual(["c.yaml:1:1: (document): is too large; expected at most 1048576 bytes"]);
  });

  test.each(["[", "{", "- ", "? "])("endless nesting of %p is refused", (opening) => {
    const lines = printed(opening.repeat(20_000));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^c\.yaml:1:\d+: YAML: is nested too deeply; expected at most 32 levels$/);
  });

  test("nesting a little too deep is refused where it begins", () => {
    const lines = printed(`${LEAST}log: { file: ${"[".repeat(40)}${"]".repeat(40)} }\n`);
    const path = `log.file${"[0]".repeat(31)}`;
    expect(lines).toContain(`c.yaml:12:45: ${path}: is nested too deeply; expected at most 32 levels`);
  });
});

describe("places", () => {
  test("count characters, not bytes or UTF-16 units", () => {
    const text = `${LEAST}log: { "é": 1, "€": 2, "😀": 3, level: loud }\n`;
    const columns = printed(text).map((line) => line.split(":").slice(1, 3).join(":"));
    expect(columns).toEqual(["12:8", "12:16", "12:24", "12:39"]);
  });

  test("count a tab as one", () => {
    expect(printed(`${LEAST}log:\t\t{ level: loud }\n`)[0]).toStartWith("c.yaml:12:16: log.level");
  });

  test("do not count a byte order mark", () => {
    expect(printed(`\uFEFFversion: 2\n${LEAST}`)).toEqual(["c.yaml:1:10: version: is 2; expected 1"]);
  });

  test("are right with Windows line ends", () => {
    expect(printed(`${LEAST}log:\n  level: loud\n`.replaceAll("\n", "\r\n"))[0]).toStartWith("c.yaml:13:10: log.level");
  });

  test("are right after a text of many lines", () => {
    expect(printed(`${LEAST}log:\n  file: >\n    /var\n    /log\n  level: loud\n`).at(-1)).toStartWith(
      "c.yaml:16:10: log.level",
    );
  });
});

test("a file that lost its indentation is told where its keys belong", () => {
  const hints = printed(LEAST.replaceAll(/^ +/gm, "")).map((line) => line.replace(/; expected.*?(; did you|$)/, "$1"));
  expect(hints).toEqual([
    "c.yaml:1:1: listen: is empty",
    'c.yaml:2:1: tls: unknown key; did you mean "listen.tls"?',
    'c.yaml:3:1: cert: unknown key; did you mean "listen.tls.cert"?',
    'c.yaml:4:1: key: unknown key; did you mean "load_balancing.key"?',
    "c.yaml:5:1: upstream: is empty",
    "c.yaml:6:1: web: unknown key",
    'c.yaml:7:1: route: unknown key; did you mean "upstream.<pool>.route"?',
    'c.yaml:8:1: path_prefix: unknown key; did you mean "upstream.<pool>.route.path_prefix"?',
    'c.yaml:9:1: backends: unknown key; did you mean "upstream.<pool>.backends"?',
    'c.yaml:11:1: address: unknown key; did you mean "listen.address"?',
  ]);
});
