import { describe, expect, test } from "bun:test";
import {
  parseBackendAddress,
  parseIp,
  parseRouteHost,
  parseServerName,
  parseTlsName,
} from "../../../src/config/address.ts";

/** Address; scheme, host and port that it means. */
const GOOD: readonly (readonly [string, string, string, number])[] = [
  ["https://example.org", "https", "example.org", 443],
  ["https://example.org:8443", "https", "example.org", 8443],
  ["HTTPS://Example.ORG.:1", "https", "example.org", 1],
  ["http://example.org", "http", "example.org", 80],
  ["http://10.0.0.1:8080", "http", "10.0.0.1", 8080],
  ["h2c://svc_a.internal", "h2c", "svc_a.internal", 80],
  ["h2c://[::1]:50051", "h2c", "::1", 50051],
  ["h3://example.org", "h3", "example.org", 443],
  ["h3://[2001:DB8::1]", "h3", "2001:db8::1", 443],
  ["10.0.10.10:8080", "auto", "10.0.10.10", 8080],
  ["localhost:65535", "auto", "localhost", 65535],
  ["[::1]:8080", "auto", "::1", 8080],
  ["[::ffff:10.0.0.1]:80", "auto", "::ffff:10.0.0.1", 80],
  ["web-1:080", "auto", "web-1", 80],
  ["xn--bcher-kva.example:80", "auto", "xn--bcher-kva.example", 80],
  ["3.example:80", "auto", "3.example", 80],
  ["unix:/run/app.sock", "unix", "/run/app.sock", 0],
  ["unix:///run/My_App.sock", "unix", "/run/My_App.sock", 0],
];

describe("a backend's address", () => {
  test.each(GOOD)("%s is read", (text, scheme, host, port) => {
    expect<unknown>(parseBackendAddress(text).value).toEqual({ scheme, host, port });
  });

  const form = 'an address such as "10.0.0.1:8080", "[::1]:8080" or "https://example.org"';
  const port = "a port from 1 to 65535";
  /** Address; what is wrong; what is expected. */
  const bad: readonly (readonly [string, string, string])[] = [
    ["", "is an empty text", form],
    [" a:1", '" a:1" has a blank in it', form],
    ["a:1\n", '"a:1\\n" has a blank in it', form],
    [
      "example.org",
      '"example.org" has no port',
      'host and port, such as "example.org:8080", or a scheme, such as "https://example.org"',
    ],
    ["[::1]", '"[::1]" has no port', 'host and port, such as "[::1]:8080", or a scheme, such as "https://[::1]"'],
    [
      "10.0.0.1",
      '"10.0.0.1" has no port',
      'host and port, such as "10.0.0.1:8080", or a scheme, such as "https://10.0.0.1"',
    ],
    [
      "https://example.org/",
      '"https://example.org/" has a path or a query',
      'only host and port: "https://example.org"',
    ],
    ["http://a:1/x?y#z", '"http://a:1/x?y#z" has a path or a query', 'only host and port: "http://a:1"'],
    ["a:1?x", '"a:1?x" has a path or a query', 'only host and port: "a:1"'],
    ["a:1#x", '"a:1#x" has a path or a query', 'only host and port: "a:1"'],
    ["https://me:secret@a:1", "has a user in it", 'only host and port: "https://a:1"'],
    ["me@a:1", "has a user in it", 'only host and port: "a:1"'],
    ["::1:8080", '"::1:8080" is no address', 'an IPv6 address in brackets, such as "[::1]:8080"'],
    ["fe80::", '"fe80::" is no address', 'an IPv6 address in brackets, such as "[fe80::]:8080"'],
    ["[::1]x:1", '"[::1]x:1" is no address', form],
    ["[10.0.0.1]:1", '"[10.0.0.1]:1" is no address', form],
    ["[::1%eth0]:1", '"[::1%eth0]:1" is no address', form],
    ["a:b:1", '"a:b:1" is no address', form],
    [":80", '":80" has no host', form],
    ["https://", '"https://" has no host', form],
    ["https://:443", '"https://:443" has no host', form],
    ["10.0.0.256:80", '"10.0.0.256" is no host name and no IP address', form],
    ["10.1:80", '"10.1" is no host name and no IP address', form],
    ["010.0.0.1:80", '"010.0.0.1" is no host name and no IP address', form],
    ["a..b:80", '"a..b" is no host name and no IP address', form],
    ["-a:80", '"-a" is no host name and no IP address', form],
    ["bücher.example:80", '"bücher.example" is no host name and no IP address', form],
    [`${"a".repeat(64)}:80`, `"${"a".repeat(60)}"... is no host name and no IP address`, form],
    ["a:", '"a:" has the port ""', port],
    ["a:0", '"a:0" has the port "0"', port],
    ["a:65536", '"a:65536" has the port "65536"', port],
    ["a:+80", '"a:+80" has the port "+80"', port],
    ["https://a:x", '"https://a:x" has the port "x"', port],
    ["unix:app.sock", '"unix:app.sock" has no absolute path', 'the path of a socket, such as "unix:/run/app.sock"'],
    [
      "unix://host/app.sock",
      '"unix://host/app.sock" has no absolute path',
      'the path of a socket, such as "unix:/run/app.sock"',
    ],
    [
      `unix:/${"é".repeat(54)}`,
      `"unix:/${"é".repeat(54)}" has a path of 109 bytes`,
      "at most 107 bytes, as the system has it",
    ],
  ];
  test.each(bad)("%p is refused", (text, wrong, expected) => {
    expect(parseBackendAddress(text).fault).toEqual({ wrong, expected, nearest: null });
  });

  test("with an unknown scheme names the nearest one", () => {
    const expected = "one of https://, http://, h2c://, h3://, unix:/path, or host:port without a scheme";
    expect(parseBackendAddress("htps://a").fault).toEqual({
      wrong: 'has the unknown scheme "htps"',
      expected,
      nearest: "https",
    });
    expect(parseBackendAddress("ftp://a").fault).toEqual({
      wrong: 'has the unknown scheme "ftp"',
      expected,
      nearest: null,
    });
  });
});

describe("the listener's address", () => {
  test.each(["0.0.0.0", "127.0.0.1", "::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"])(
    "%s is one",
    (text) => {
      expect(parseIp(text).value).toBe(text);
    },
  );

  test("is lower-cased", () => {
    expect(parseIp("2001:DB8::A").value).toBe("2001:db8::a");
  });

  test.each([
    "",
    "localhost",
    "*",
    "0.0.0.0:443",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    ":::",
    "1::2::3",
    "::1%lo",
    "12345::",
  ])("%p is none", (text) => {
    expect(parseIp(text).fault?.wrong).toBe(`${JSON.stringify(text)} is no IP address`);
  });

  test.each([
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8:9",
    "1:2:3:4::5:6:7:8",
    "1.2.3.4::",
    "::1.2.3.4:1",
    "1:2:3:4:5:6:7:1.2.3.4",
    ":1",
    "g::",
  ])("%s has the wrong number or kind of groups", (text) => {
    expect(parseIp(text).value).toBeUndefined();
  });

  test("in brackets is told to go without", () => {
    expect(parseIp("[::1]").fault?.nearest).toBe("::1");
  });
});

describe("a route's host", () => {
  const good: readonly (readonly [string, string])[] = [
    ["example.org", "example.org"],
    ["API.Example.ORG", "api.example.org"],
    ["example.org:8443", "example.org"],
    ["example.org.", "example.org"],
    ["example.org.:443", "example.org"],
    ["*.Example.org", "*.example.org"],
    ["*.example.org.:443", "*.example.org"],
    ["10.0.0.1", "10.0.0.1"],
    ["[::1]", "[::1]"],
    ["[2001:DB8::1]:443", "[2001:db8::1]"],
    ["localhost", "localhost"],
  ];
  test.each(good)("%s means %s", (text, host) => {
    expect(parseRouteHost(text).value).toBe(host);
  });

  const form = 'a host such as "example.org", or "*.example.org" for every name below it';
  const bad: readonly (readonly [string, string, string, string | null])[] = [
    ["", '"" is no host', form, null],
    ["*", '"*" is no host', "host to be left out, which takes every host", null],
    ["*.", '"*." is no host', form, null],
    ["*.10.0.0.1", '"*.10.0.0.1" is no host', form, null],
    ["*example.org", '"*example.org" has a * in the wrong place', `${form}; a * only as the whole first part`, null],
    ["api.*", '"api.*" has a * in the wrong place', `${form}; a * only as the whole first part`, null],
    [
      "*.*.example.org",
      '"*.*.example.org" has a * in the wrong place',
      `${form}; a * only as the whole first part`,
      null,
    ],
    ["https://example.org", '"https://example.org" is more than a host', form, "example.org"],
    ["example.org/api", '"example.org/api" is more than a host', form, "example.org"],
    ["/api", '"/api" is more than a host', form, null],
    ["example.org:x", '"example.org:x" has no valid port', form, null],
    ["::1", '"::1" is no host', form, null],
    ["a b", '"a b" is no host', form, null],
    ["bücher.example", '"bücher.example" is not ASCII', "the name in its xn-- form", null],
  ];
  test.each(bad)("%p is refused", (text, wrong, expected, nearest) => {
    expect(parseRouteHost(text).fault).toEqual({ wrong, expected, nearest });
  });
});

describe("a certificate's server name", () => {
  test("is a name or a wildcard, in lower case", () => {
    expect(parseServerName("Example.org.").value).toBe("example.org");
    expect(parseServerName("*.Example.org").value).toBe("*.example.org");
  });

  test.each(["10.0.0.1", "::1"])("is no IP address, as %s is", (text) => {
    expect(parseServerName(text).fault?.wrong).toBe(`"${text}" is an IP address`);
  });

  test.each(["", "example.org:443", "a b", "*", "a.*.b"])("is not %p", (text) => {
    expect(parseServerName(text).value).toBeUndefined();
  });
});

describe("the name that backends' certificates are for", () => {
  test("is one name in lower case", () => {
    expect(parseTlsName("Backend.Example.").value).toBe("backend.example");
  });

  test.each(["*.example", "10.0.0.1", "::1", "a:1", ""])("%p is refused", (text) => {
    expect(parseTlsName(text).fault).toBeDefined();
  });
});
