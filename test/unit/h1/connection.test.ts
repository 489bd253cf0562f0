import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { H1Connection } from "../../../src/h1/connection.ts";
import { bytesOf, latin1Of, requestOf, sectionOf } from "./exchanges.ts";
import { RecordingSink } from "./recording-sink.ts";

const DONE = bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
const HELLO = bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");

function open(): H1Connection {
  return new H1Connection(new Counters());
}

/** What the socket would take now, and takes. */
function flush(connection: H1Connection): string {
  const { output } = connection;
  const text = latin1Of(output.bytes.subarray(output.at, output.end));
  connection.sent(output.waitingBytes);
  return text;
}

function post(connection: H1Connection, contentLengthBytes: number = -1): RecordingSink {
  const sink = new RecordingSink();
  connection.start(requestOf({ method: "POST", contentLengthBytes }), true, sink);
  return sink;
}

describe("reuse", () => {
  test("a connection serves one exchange after the other", () => {
    const connection = open();
    for (let round = 1; round <= 3; round++) {
      const sink = new RecordingSink();
      connection.start(requestOf({ path: `/${round}` }), false, sink);
      expect(connection.state).toBe("busy");
      expect(flush(connection)).toStartWith(`GET /${round} HTTP/1.1\r\n`);
      connection.feed(HELLO);
      expect(sink.events).toEqual(["head 200 content-length: 5", "data hello", "end reusable"]);
      expect(connection.state).toBe("idle");
      expect(connection.exchanges).toBe(round);
    }
  });

  test("the next exchange may start from within the end of the last one", () => {
    const connection = open();
    const second = new RecordingSink();
    const first = new RecordingSink();
    first.onEnd = () => connection.start(requestOf({ path: "/second" }), false, second);
    connection.start(requestOf(), false, first);
    flush(connection);
    connection.feed(DONE);
    expect(flush(connection)).toStartWith("GET /second ");
    connection.feed(DONE);
    expect(second.events.at(-1)).toBe("end reusable");
  });

  test("informational heads are counted for each exchange anew", () => {
    const connection = open();
    const hints = bytesOf("HTTP/1.1 103 X\r\n\r\n".repeat(LIMITS.h1InformationalMax));
    for (let round = 0; round < 2; round++) {
      const sink = new RecordingSink();
      connection.start(requestOf(), false, sink);
      flush(connection);
      connection.feed(hints);
      connection.feed(DONE);
      expect(sink.events.at(-1)).toBe("end reusable");
    }
  });

  test("a busy or closed connection starts nothing", () => {
    const connection = open();
    connection.start(requestOf(), false, new RecordingSink());
    expect(() => connection.start(requestOf(), false, new RecordingSink())).toThrow(AssertionFault);
    connection.onClose(true);
    expect(() => connection.start(requestOf(), false, new RecordingSink())).toThrow(AssertionFault);
  });

  test("a request that cannot be written leaves the connection idle", () => {
    const connection = open();
    expect(() => connection.start(requestOf({ path: "/\r\n" }), false, new RecordingSink())).toThrow(AssertionFault);
    expect([connection.state, connection.output.waitingBytes, connection.exchanges]).toEqual(["idle", 0, 0]);
  });

  test("what the peer says about keeping an idle connection can be read", () => {
    const says = (value: string) => {
      const connection = open();
      connection.start(requestOf(), false, new RecordingSink());
      flush(connection);
      connection.feed(bytesOf(`HTTP/1.1 200 OK\r\nKeep-Alive: ${value}\r\nContent-Length: 0\r\n\r\n`));
      return connection.idleSeconds;
    };
    expect(says("timeout=5")).toBe(5);
    expect(says("max=100, Timeout=72")).toBe(72);
    expect(says("timeout=x")).toBe(-1);
    expect(says("timeouts=5, timeout")).toBe(-1);
    expect(says("")).toBe(-1);
  });

  test("an idle connection that ends, in whatever way, is closed without a call", () => {
    for (const clean of [true, false]) {
      const connection = open();
      connection.onClose(clean);
      expect(connection.state).toBe("closed");
    }
  });
});

test.each(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])(
  "a %s with a body leaves a connection that is never used again",
  (method) => {
    for (const contentLengthBytes of [2, -1]) {
      const connection = open();
      const sink = new RecordingSink();
      connection.start(requestOf({ method, contentLengthBytes }), true, sink);
      connection.sendBody(bytesOf("ab"));
      connection.endBody();
      flush(connection);
      connection.feed(bytesOf("HTTP/1.1 204 No Content\r\n\r\n"));
      expect([sink.events.at(-1), connection.state]).toEqual(["end", "closed"]);
    }
  },
);

describe("a request's body", () => {
  test("of a told length goes out as it is", () => {
    const connection = open();
    const sink = post(connection, 6);
    expect(connection.sendBody(bytesOf("-abc-"), 1, 4)).toBe(true);
    expect(connection.sendBody(bytesOf("def"))).toBe(true);
    connection.endBody();
    expect(flush(connection)).toEndWith("content-length: 6\r\n\r\nabcdef");
    connection.feed(DONE);
    expect(sink.events.at(-1)).toBe("end reusable");
  });

  test("of an unknown length goes out in chunks, with trailers", () => {
    const connection = open();
    post(connection);
    connection.sendBody(bytesOf("abc"));
    connection.endBody(sectionOf({ "x-sum": "1" }));
    expect(flush(connection)).toEndWith("chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n");
  });

  test("longer or shorter than told fails the exchange and sends no byte too many", () => {
    const long = open();
    const longSink = post(long, 2);
    flush(long);
    expect(long.sendBody(bytesOf("abc"))).toBe(false);
    expect(longSink.events).toEqual(["error request-body-length"]);
    expect([long.state, long.output.waitingBytes]).toEqual(["closed", 0]);

    const short = open();
    const shortSink = post(short, 2);
    short.sendBody(bytesOf("a"));
    short.endBody();
    expect(shortSink.events).toEqual(["error request-body-length"]);
    expect(short.state).toBe("closed");
  });

  test("waits while the output is full, and goes on when half of it has gone", () => {
    const connection = open();
    const sink = post(connection);
    const piece = new Uint8Array(16 * 1024);
    let pieces = 0;
    do pieces += 1;
    while (connection.sendBody(piece) && pieces < 100);
    expect(pieces).toBe(LIMITS.h1OutputBytesMax / piece.length);
    expect(() => connection.sendBody(piece)).toThrow(AssertionFault);
    connection.sent(1000);
    expect(sink.writable).toBe(0);
    connection.sent(LIMITS.h1OutputBytesMax / 2);
    expect(sink.writable).toBe(1);
    expect(connection.sendBody(piece)).toBe(true);
    connection.sent(connection.output.waitingBytes);
    expect(sink.writable).toBe(1);
  });

  test("tells how much of a request has gone, for those who think of sending it elsewhere", () => {
    const connection = open();
    post(connection);
    expect([connection.sentBytes, connection.bodyBytes]).toEqual([0, 0]);
    connection.sent(10);
    connection.sendBody(bytesOf("abc"));
    expect([connection.sentBytes, connection.bodyBytes]).toEqual([10, 3]);
    connection.onClose(false);
    expect([connection.sentBytes, connection.bodyBytes]).toEqual([10, 3]);
  });
});

describe("an answer before the end of its request", () => {
  test("is finished, and the connection not used again", () => {
    const connection = open();
    const sink = post(connection, 10);
    flush(connection);
    connection.feed(HELLO);
    expect(sink.events).toEqual(["head 200 content-length: 5", "data hello", "end"]);
    expect(connection.state).toBe("closed");
    expect(connection.sendBody(bytesOf("abc"))).toBe(false);
    connection.endBody();
    expect(sink.events).toHaveLength(3);
  });

  test("counts as early while bytes of the request wait for the socket", () => {
    const connection = open();
    const sink = new RecordingSink();
    connection.start(requestOf(), false, sink);
    connection.sent(connection.output.waitingBytes - 1);
    connection.feed(DONE);
    expect(sink.events.at(-1)).toBe("end");
  });

  test("does no harm when only its head was early", () => {
    const connection = open();
    const sink = post(connection, 3);
    flush(connection);
    connection.feed(HELLO.slice(0, 40));
    connection.sendBody(bytesOf("abc"));
    connection.endBody();
    flush(connection);
    connection.feed(HELLO.slice(40));
    expect(sink.events.at(-1)).toBe("end reusable");
  });
});

describe("the end of an exchange", () => {
  test("comes at once when bytes arrive before any of the request went: they answer something else", () => {
    for (const answer of [DONE, bytesOf("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")]) {
      const counters = new Counters();
      const connection = new H1Connection(counters);
      const sink = new RecordingSink();
      connection.start(requestOf(), false, sink);
      connection.feed(answer);
      expect(sink.events).toEqual(["error unsolicited"]);
      expect([connection.state, connection.sentBytes, counters.upstreamH1Surplus]).toEqual(["closed", 0, 1]);
    }
  });

  test("before a byte of the answer says so", () => {
    const connection = open();
    const sink = new RecordingSink();
    connection.start(requestOf(), false, sink);
    connection.feed(new Uint8Array(0));
    connection.onClose(true);
    expect(sink.events).toEqual(["error closed-in-head"]);
  });

  test("bytes of an earlier answer are not those of this one", () => {
    const connection = open();
    connection.start(requestOf(), false, new RecordingSink());
    flush(connection);
    connection.feed(DONE);
    const sink = new RecordingSink();
    connection.start(requestOf(), false, sink);
    connection.onClose(false);
    expect(sink.events).toEqual(["error closed-in-head"]);
  });

  test("an exchange given up calls nothing more, and closes the connection", () => {
    const connection = open();
    const sink = new RecordingSink();
    connection.start(requestOf(), false, sink);
    connection.cancel();
    connection.cancel();
    connection.feed(HELLO);
    connection.onClose(true);
    connection.sent(5);
    expect(sink.events).toEqual([]);
    expect([connection.state, connection.output.waitingBytes]).toEqual(["closed", 0]);
  });

  test("it may be given up from within any call, with more bytes at hand", () => {
    const text =
      "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nT: u\r\n\r\n";
    const wanted = { onInformational: 1, onHead: 2, onData: 3, onTrailers: 4 } as const;
    for (const step of ["onInformational", "onHead", "onData", "onTrailers"] as const) {
      const connection = open();
      const sink = new RecordingSink();
      const told = sink[step].bind(sink);
      Object.assign(sink, {
        [step]: (...parts: Parameters<typeof told>) => {
          Reflect.apply(told, sink, parts);
          connection.cancel();
        },
      });
      connection.start(requestOf(), false, sink);
      flush(connection);
      connection.feed(bytesOf(text));
      expect(sink.events.length).toBe(wanted[step]);
      expect(connection.state).toBe("closed");
    }
  });

  test("cancelling an idle connection changes nothing", () => {
    const connection = open();
    connection.cancel();
    expect(connection.state).toBe("idle");
  });
});

describe("a tunnel", () => {
  const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

  test("carries bytes both ways without framing, from within its head on", () => {
    const connection = open();
    const sink = new RecordingSink();
    const onHead = sink.onHead.bind(sink);
    sink.onHead = (status, section, bodyless) => {
      onHead(status, section, bodyless);
      connection.sendBody(bytesOf("out"));
    };
    connection.start(requestOf(), false, sink, "websocket");
    flush(connection);
    connection.feed(bytesOf(`${SWITCH}in`));
    expect(flush(connection)).toBe("out");
    connection.endBody();
    connection.feed(bytesOf("side"));
    connection.onClose(true);
    expect(sink.events.slice(1)).toEqual(["data inside", "end"]);
  });

  test("is not open before the 101", () => {
    const connection = open();
    connection.start(requestOf(), false, new RecordingSink(), "websocket");
    expect(() => connection.sendBody(bytesOf("out"))).toThrow(AssertionFault);
  });
});
