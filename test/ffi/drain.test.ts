/** A planned close with the real library: no response is cut off, and the connection does end. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { must } from "../../src/core/assert.ts";
import type { RequestStream } from "../../src/h3/stream.ts";
import { EVENT } from "../../src/quic/engine.ts";
import type { QuicheClient } from "../../ffi/quiche/client.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import { testCertificate } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { connect, drive, get, TestServer } from "../support/quic-pair.ts";

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

/** A client with its server, and what it got on one stream. */
class World {
  readonly streams: RequestStream[] = [];
  readonly heard: string[] = [];
  readonly server = new TestServer({
    library,
    identities: [identity],
    handler: { onRequest: (stream) => this.#take(stream), onMalformed: () => undefined },
  });
  readonly client: QuicheClient = this.server.client();
  receivedBytes = 0;
  readonly goaways: number[] = [];
  finished = false;

  /** A request that the server has, with the server's stream. */
  request(fin: boolean = true): RequestStream {
    const before = this.streams.length;
    const id = this.client.request(get("/"), fin);
    drive(this.server, [this.client], () => this.streams.length > before);
    return must(
      this.streams.find((stream) => stream.id === id),
      "the request arrived",
    );
  }

  drain(): void {
    this.server.endpoint.drain(this.server.nowMs);
    // Both GOAWAYs reach the client before anything else happens.
    drive(this.server, [this.client], () => {
      this.server.skewMs += 10;
      this.read();
      return this.goaways.length === 2;
    });
  }

  step(): void {
    this.client.step();
    this.server.step();
    this.read();
  }

  /** Reads whatever has come. */
  read(): void {
    const { session } = this.client;
    for (let kind = session.poll(); kind !== EVENT.none && kind !== EVENT.failed; kind = session.poll()) {
      if (kind === EVENT.finished) this.finished = true;
      if (kind === EVENT.goaway) this.goaways.push(session.streamId);
      if (kind !== EVENT.data) continue;
      for (let size = session.readBody(session.streamId); size > 0; size = session.readBody(session.streamId)) {
        this.receivedBytes += size;
      }
    }
  }

  /** Until the server has closed the connection. */
  untilClosed(): void {
    drive(this.server, [this.client], () => {
      this.server.skewMs += 10;
      this.read();
      return this.client.connection.isDraining() || this.client.connection.isClosed();
    });
    expect(this.client.connection.closeReason()).toMatchObject({ by: "peer", app: true, code: 0x100 });
  }

  close(): void {
    this.client.close();
    this.server.close();
  }

  #take(stream: RequestStream): void {
    this.streams.push(stream);
    stream.owner = {
      onRoom: () => undefined,
      onSent: () => void this.heard.push("sent"),
      onAborted: (reason) => void this.heard.push(reason),
    };
  }
}

function inWorld(run: (world: World) => void): void {
  const world = new World();
  try {
    connect(world.server, world.client);
    run(world);
  } finally {
    world.close();
  }
}

const writer = new FieldWriter();

function answer(stream: RequestStream, bodyBytes: number): void {
  writer.begin();
  writer.add(":status", "200");
  stream.sendHead(writer.finish(), false);
  stream.sendBody(new Uint8Array(bodyBytes).fill(0x61));
  stream.end();
}

describe("a drained connection closes", () => {
  for (const bodyBytes of [20, 5000, 200_000, 3_000_000]) {
    test(`after the client has all of a last response of ${bodyBytes} bytes`, () => {
      inWorld((world) => {
        const stream = world.request();
        world.drain();
        answer(stream, bodyBytes);
        world.untilClosed();
        expect(world.receivedBytes).toBe(bodyBytes);
        expect(world.finished).toBe(true);
        expect(world.heard).toEqual(["sent"]);
      });
    });
  }

  test("after a response that was written just before the drain", () => {
    inWorld((world) => {
      answer(world.request(), 15_000);
      world.server.endpoint.drain(world.server.nowMs);
      world.untilClosed();
      expect(world.receivedBytes).toBe(15_000);
      expect(world.finished).toBe(true);
    });
  });

  test("after a response to a request whose body never came to an end", () => {
    inWorld((world) => {
      const stream = world.request(false);
      world.drain();
      answer(stream, 5000);
      world.untilClosed();
      expect(world.receivedBytes).toBe(5000);
    });
  });

  test("after the client gave the last request up", () => {
    inWorld((world) => {
      const stream = world.request(false);
      world.drain();
      world.client.session.resetStream(stream.id, 0x10c);
      world.untilClosed();
      expect(world.heard).toEqual(["reset"]);
    });
  });

  test("after the client stopped reading a response that was written already", () => {
    inWorld((world) => {
      const stream = world.request();
      world.drain();
      answer(stream, 15_000);
      world.client.session.stopReading(stream.id, 0x10c);
      world.untilClosed();
    });
  });

  test("when its requests were answered long ago", () => {
    inWorld((world) => {
      for (let i = 0; i < 100; i++) {
        answer(world.request(), 100);
        drive(world.server, [world.client], () => {
          world.read();
          return world.finished;
        });
        world.finished = false;
      }
      for (let step = 0; step < 20; step++) world.step();
      world.server.endpoint.drain(world.server.nowMs);
      world.untilClosed();
    });
  });
});
