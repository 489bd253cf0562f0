/** The wall with the real library: handshakes, requests, resets, and that every native object is freed once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { RequestHandler } from "../../src/h3/session-host.ts";
import type { RequestStream } from "../../src/h3/stream.ts";
import type { RequestHead } from "../../src/h3/head.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { EVENT, SECTION } from "../../src/quic/engine.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import { QuicheEngine } from "../../ffi/quiche/engine.ts";
import { openTestLibrary } from "../support/native.ts";
import { testCertificate, testLeaf } from "../support/certs.ts";
import { connect, drive, exchange, get, TEST_SETTINGS, TestServer, type PairOptions } from "../support/quic-pair.ts";
import { HANGS_AFTER_MS } from "../support/time-limit.ts";

const encoder = new TextEncoder();
const library = openTestLibrary();
let identity: Identity;

beforeAll(async () => {
  const leaf = await testCertificate();
  identity = {
    serverNames: [],
    chainPem: encoder.encode(leaf.certPem),
    keyPem: encoder.encode(leaf.keyPem),
    label: "test",
  };
});

afterAll(() => expect(library.ledger.total).toBe(0));

/** Answers 200 with the path as the body; notes what happened to streams. */
class Echo implements RequestHandler {
  readonly writer = new FieldWriter();
  readonly events: string[] = [];
  readonly streams: RequestStream[] = [];
  body: Uint8Array | null = null;
  hold = false;

  onRequest(stream: RequestStream, head: RequestHead): void {
    this.streams.push(stream);
    stream.owner = {
      onRoom: () => this.events.push("room"),
      onSent: () => this.events.push("sent"),
      onAborted: (reason) => this.events.push(`aborted ${reason}`),
    };
    if (this.hold) return;
    this.answer(stream, this.body ?? encoder.encode(head.path));
  }

  answer(stream: RequestStream, body: Uint8Array): void {
    this.writer.begin();
    this.writer.add(":status", "200");
    stream.sendHead(this.writer.finish(), false);
    stream.sendBody(body);
    stream.end();
  }

  onMalformed(stream: RequestStream): void {
    this.events.push("malformed");
    stream.reset(0x10e);
  }
}

function withServer<T>(
  run: (server: TestServer, echo: Echo) => T,
  options: { rules?: NonNullable<PairOptions["rules"]>; ip?: string } = {},
): T {
  const echo = new Echo();
  const server = new TestServer({ library, identities: [identity], handler: echo, ...options });
  try {
    return run(server, echo);
  } finally {
    server.close();
  }
}

describe("native handles", () => {
  test(
    "1,000 connections with a request each leave none alive",
    () => {
      const before = library.ledger.total;
      withServer((server) => {
        for (let i = 0; i < 1000; i++) {
          const client = server.client();
          connect(server, client);
          expect(exchange(server, client, get(`/${i}`)).status).toBe("200");
          client.connection.close(true, 0x100, "");
          drive(server, [client], () => server.endpoint.connectionCount === 0 || isDraining(server));
          client.close();
        }
        expect(server.counters.connectionsAccepted).toBe(1000);
      });
      expect(library.ledger.total).toBe(before);
    },
    HANGS_AFTER_MS,
  );

  test("a connection that is used after it was freed is an assertion and no call into C", () => {
    withServer((server) => {
      const client = server.client();
      client.close();
      expect(() => client.connection.isEstablished()).toThrow(/not used after it was freed/);
      expect(() => client.connection.free()).toThrow(/not used after it was freed/);
    });
  });

  test("a refused certificate names the file, and leaves nothing alive", async () => {
    const other = await testLeaf({ names: ["other.test"] });
    const before = library.ledger.total;
    withServer((server) => {
      const make = (keyPem: string, certPem: string) => () =>
        new QuicheEngine(
          library,
          server.socket,
          {
            ...{ ...TEST_SETTINGS, clientAuth: null, ticketKeys: [], keylog: false },
            identities: [{ ...identity, chainPem: encoder.encode(certPem), keyPem: encoder.encode(keyPem) }],
          },
          server.counters,
        );
      const leaf = new TextDecoder().decode(identity.chainPem);
      expect(make(other.keyPem, leaf)).toThrow("test: the key does not belong to the certificate");
      expect(make("nonsense", leaf)).toThrow(/test: the key file holds no usable PEM private key/);
      expect(make(other.keyPem, "nonsense")).toThrow("test: the certificate file holds no PEM certificate");
    });
    expect(library.ledger.total).toBe(before);
  });
});

describe("exchanges over the wall", () => {
  test("a body of 3 MiB arrives byte for byte, blocked output goes on when the client reads", () => {
    withServer((server, echo) => {
      const body = new Uint8Array(3 << 20).map((_, i) => (i * 31 + (i >> 8)) & 0xff);
      echo.body = body;
      const client = server.client();
      connect(server, client);
      const response = exchange(server, client, get("/big"));
      expect(Buffer.compare(response.body, body)).toBe(0);
      expect(echo.events).toContain("sent");
      client.close();
    });
  });

  test("IPv6 works as IPv4 does, and a dual-stack socket takes both and answers from the address asked", () => {
    for (const [listen, ip] of [
      ["::1", "::1"],
      ["::", "::1"],
      ["::", "127.0.0.1"],
      ["0.0.0.0", "127.0.0.2"],
    ] as const) {
      withServer(
        (server) => {
          // quiche refuses packets from any address but the one it called, so an answer proves the source address.
          const client = server.client({ ip: ip === "127.0.0.2" ? "127.0.0.1" : ip, serverIp: ip });
          connect(server, client);
          expect(exchange(server, client, get("/family")).status).toBe("200");
          client.close();
        },
        { ip: listen },
      );
    }
  });

  test("a client's reset and a client that stops reading both reach the owner", () => {
    withServer((server, echo) => {
      echo.hold = true;
      const client = server.client();
      connect(server, client);
      const first = client.request(get("/reset"), false);
      drive(server, [client], () => echo.streams.length === 1);
      client.session.resetStream(first, 0x10c);
      drive(server, [client], () => echo.events.length === 1);
      const second = client.request(get("/stop"), true);
      drive(server, [client], () => echo.streams.length === 2);
      client.session.stopReading(second, 0x10c);
      drive(server, [client], () => echo.events.length === 2);
      expect(echo.events).toEqual(["aborted reset", "aborted stopped"]);
      client.close();
    });
  });

  test("a body that is read late ends behind trailers and behind empty DATA frames", () => {
    withServer((server, echo) => {
      echo.hold = true;
      const client = server.client();
      connect(server, client);
      const id = client.request(
        [...get("/late")].map(([n, v]) => (n === ":method" ? [n, "POST"] : [n, v])),
        false,
      );
      client.session.sendBody(id, encoder.encode("body"), 0, 4, false);
      const trailers = new FieldWriter();
      trailers.begin();
      trailers.add("x-sum", "1");
      client.session.sendSection(id, trailers.finish(), SECTION.trailers, true);
      drive(server, [client], () => echo.streams.length === 1);
      for (let i = 0; i < 3; i++) server.step();
      const [stream] = echo.streams;
      // Nobody polls between these two; before, the end was never heard of.
      expect(new TextDecoder().decode(stream?.pull() ?? new Uint8Array(0))).toBe("body");
      expect(stream?.pull() ?? null).toBeNull();
      server.endpoint.flush();
      drive(server, [client], () => stream?.state === "ended");
      client.close();
    });
  });

  test("our reset reaches the client as a reset", () => {
    withServer((server, echo) => {
      echo.hold = true;
      const client = server.client();
      connect(server, client);
      client.request(get("/"), true);
      drive(server, [client], () => echo.streams.length === 1);
      echo.streams[0]?.reset(0x102);
      let event: number = EVENT.none;
      drive(server, [client], () => (event = client.session.poll()) === EVENT.reset);
      expect(event).toBe(EVENT.reset);
      client.close();
    });
  });

  test("drain sends GOAWAY twice and closes when the last answer is out", () => {
    withServer((server, echo) => {
      echo.hold = true;
      const client = server.client();
      connect(server, client);
      client.request(get("/before"), true);
      drive(server, [client], () => echo.streams.length === 1);
      server.endpoint.drain(server.nowMs);
      let goaways = 0;
      drive(server, [client], () => {
        if (client.session.poll() === EVENT.goaway) goaways += 1;
        server.skewMs += 10;
        return goaways === 2;
      });
      const [stream] = echo.streams;
      if (stream !== undefined) echo.answer(stream, encoder.encode("late but whole"));
      drive(server, [client], () => {
        server.skewMs += 10;
        return client.connection.isDraining() || client.connection.isClosed();
      });
      expect(client.connection.closeReason()).toMatchObject({ by: "peer", app: true, code: 0x100 });
      expect(echo.events).toEqual(["sent"]);
      client.close();
    });
  });

  test("a field section over the soft limit is answered as malformed, the connection lives on", () => {
    withServer(
      (server, echo) => {
        const client = server.client();
        connect(server, client);
        client.request(get("/", [["x-long", "v".repeat(5000)]]), true);
        drive(server, [client], () => echo.events.length === 1);
        expect(echo.events).toEqual(["malformed"]);
        expect(exchange(server, client, get("/after")).status).toBe("200");
        client.close();
      },
      { rules: { headerBytesMax: 4096 } },
    );
  });
});

function isDraining(server: TestServer): boolean {
  return [...server.endpoint.connections].every((connection) => connection.engine.isDraining());
}
