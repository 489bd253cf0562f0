/** What a session enforces, with the real library at both ends: the engine tells what is needed for it, and does what is asked of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { Http3Session } from "../../src/h3/session.ts";
import type { SessionRules } from "../../src/h3/session-host.ts";
import type { RequestStream } from "../../src/h3/stream.ts";
import { EVENT } from "../../src/quic/engine.ts";
import type { QuicheClient } from "../../ffi/quiche/client.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import { testCertificate } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { connect, drive, get, readFields, TestServer } from "../support/quic-pair.ts";

const encoder = new TextEncoder();
const library = openTestLibrary();
const writer = new FieldWriter();
/** Steps in which datagrams go to and fro until nothing is left to say. */
const QUIET_STEPS = 20;
let identity: Identity;

beforeAll(async () => {
  const leaf = await testCertificate();
  const [chainPem, keyPem] = [encoder.encode(leaf.certPem), encoder.encode(leaf.keyPem)];
  identity = { serverNames: [], chainPem, keyPem, label: "test" };
});

afterAll(() => expect(library.ledger.total).toBe(0));

/** One client of one server, and what it has heard. */
class World {
  readonly streams: RequestStream[] = [];
  readonly heard: string[] = [];
  readonly server: TestServer;
  readonly client: QuicheClient;
  /** What becomes of a request. */
  onNew: (stream: RequestStream) => void = () => undefined;
  /** False: bodies stay where they are. */
  reads = true;

  constructor(rules: Partial<SessionRules>) {
    const handler = {
      onRequest: (stream: RequestStream) => this.#take(stream),
      onMalformed: (stream: RequestStream, { answer }: { answer: unknown }) =>
        respond(stream, String(answer), new Uint8Array(3)),
    };
    this.server = new TestServer({ library, identities: [identity], handler, rules });
    this.client = this.server.client();
    connect(this.server, this.client);
    void this.client.session;
    this.settle();
  }

  /** The server's side of the connection. */
  get session(): Http3Session {
    const [connection] = this.server.endpoint.connections;
    const driver = must(connection, "the client is there").driver;
    if (!(driver instanceof Http3Session)) throw new TypeError("a session drives the connection");
    return driver;
  }

  settle(steps: number = QUIET_STEPS): void {
    for (let i = 0; i < steps; i++) {
      this.client.step();
      this.server.step();
      this.read();
    }
  }

  read(): void {
    const { session } = this.client;
    for (let kind = session.poll(); kind !== EVENT.none && kind !== EVENT.failed; kind = session.poll()) {
      const { streamId } = session;
      if (kind === EVENT.fields && session.section !== null)
        this.heard.push(`${streamId} ${readFields(session.section)[0]?.[1] ?? ""}`);
      if (kind === EVENT.reset) this.heard.push(`${streamId} reset`);
      if (kind === EVENT.finished) this.heard.push(`${streamId} end`);
      if (kind === EVENT.goaway) this.heard.push(`goaway ${streamId}`);
      if (kind === EVENT.data && this.reads) while (session.readBody(streamId) > 0);
    }
  }

  /** Time passes for the session; the engine has its own. */
  pass(ms: number): void {
    this.server.skewMs += ms;
    this.settle();
  }

  close(): void {
    this.client.close();
    this.server.close();
  }

  #take(stream: RequestStream): void {
    this.streams.push(stream);
    stream.owner = {
      onRoom: () => undefined,
      onSent: () => undefined,
      onAborted: (reason) => void this.heard.push(`${stream.id} ${reason}`),
    };
    this.onNew(stream);
  }
}

function respond(stream: RequestStream, status: string, body: Uint8Array): void {
  writer.begin();
  writer.add(":status", status);
  stream.sendHead(writer.finish(), false);
  stream.sendBody(body);
  stream.end();
}

function inWorld(rules: Partial<SessionRules>, run: (world: World) => void): void {
  const world = new World(rules);
  try {
    run(world);
  } finally {
    world.close();
  }
}

/** Type and length of a HEADERS frame of 100 bytes, and the beginning of those. */
const BEGUN_HEAD = Uint8Array.of(0x01, 0x40, 100, 0, 0, 0xd1);

test(
  "20,000 requests on one connection leave no stream behind, here and in the engine",
  () =>
    inWorld({}, (world) => {
      const total = 20_000;
      let begun = 0;
      let answered = 0;
      world.onNew = (stream) => {
        answered += 1;
        respond(stream, "200", new Uint8Array(100));
      };
      drive(world.server, [world.client], () => {
        world.heard.length = 0;
        world.streams.length = 0;
        world.read();
        for (let i = 0; i < 20 && begun < total && world.client.request(get("/"), true) >= 0; i++) begun += 1;
        return answered === total;
      });
      world.settle(200);
      const { session } = world;
      expect([session.openStreams, session.engine.openStreams(0, total + 100)]).toEqual([0, []]);
      expect(world.server.counters.connectionsOverGlitches).toBe(0);
      expect(world.server.counters.glitchesHighest).toBeLessThan(100);
    }),
  60_000,
);

test("a head that comes a byte at a time is answered 408, and its stream is given back", () =>
  inWorld({ requestHeadMs: 1000 }, (world) => {
    for (const at of BEGUN_HEAD.keys()) {
      world.client.sendRaw(8, BEGUN_HEAD.subarray(at, at + 1), false);
      world.pass(150);
    }
    expect(world.heard).toEqual([]);
    world.pass(300);
    expect(world.heard).toEqual(["8 408", "8 end"]);
    expect(world.server.counters.requestHeadsLate).toBe(1);
    expect(world.session.openStreams).toBe(0);
    // The next request is answered as if nothing had been.
    world.onNew = (stream) => respond(stream, "200", new Uint8Array(0));
    world.client.request(get("/"), true);
    world.settle();
    expect(world.heard.slice(2)).toEqual(["0 200", "0 end"]);
  }));

test("a head that never began, on a stream with a later id, is late like any other", () =>
  inWorld({ requestHeadMs: 1000 }, (world) => {
    world.client.sendRaw(40, BEGUN_HEAD.subarray(0, 1), false);
    world.settle();
    // It is looked for at once, or as soon as the last look is long enough ago.
    world.pass(LIMITS.headSweepMsMin);
    world.pass(1000);
    expect(world.heard).toEqual(["40 408", "40 end"]);
  }));

test("a stream that ends without a head is reset at once, with H3_REQUEST_INCOMPLETE", () =>
  inWorld({}, (world) => {
    world.client.sendRaw(0, new Uint8Array(0), true);
    world.settle();
    expect(world.heard).toEqual(["0 reset"]);
    expect([world.server.counters.requestHeadsBroken, world.session.engine.openStreams(0, 10)]).toEqual([1, []]);
  }));

test("a client that takes nothing loses its stream, and what waited for it is free", () =>
  inWorld({ clientSendMs: 1000 }, (world) => {
    world.reads = false;
    world.onNew = (stream) => respond(stream, "200", new Uint8Array(4_000_000));
    world.client.request(get("/"), true);
    world.settle(500);
    const heldBytes = world.server.buffers.bytes;
    expect(heldBytes).toBeGreaterThan(1_000_000);
    world.pass(900);
    expect(world.server.buffers.bytes).toBe(heldBytes);
    for (let i = 0; i < 6; i++) world.pass(250);
    expect([world.server.buffers.bytes, world.session.openStreams]).toEqual([0, 0]);
    expect(world.heard).toEqual(["0 200", "0 stalled", "0 reset"]);
  }));

test("a slow client keeps its stream", () =>
  inWorld({ clientSendMs: 1000 }, (world) => {
    world.reads = false;
    world.onNew = (stream) => respond(stream, "200", new Uint8Array(4_000_000));
    world.client.request(get("/"), true);
    world.settle(200);
    for (let i = 0; i < 20; i++) {
      // One read opens the window a little.
      for (let n = 0; n < 12; n++) world.client.session.readBody(0);
      world.pass(600);
    }
    expect([world.heard.includes("0 stalled"), world.server.counters.clientDeadlines]).toEqual([false, 0]);
  }));

test("a connection without a request gets GOAWAY and ends, however alive its client is", () =>
  inWorld({ connectionIdleMs: 5000 }, (world) => {
    world.onNew = (stream) => respond(stream, "200", new Uint8Array(0));
    world.client.request(get("/"), true);
    world.settle();
    for (let i = 0; i < 4; i++) {
      world.client.ping();
      world.pass(1200);
    }
    expect(world.heard).toEqual(["0 200", "0 end"]);
    world.pass(300);
    expect(world.heard.slice(2)).toEqual([`goaway ${2 ** 62}`]);
    world.pass(LIMITS.goawayStepMsMax);
    expect(world.heard.slice(3)).toEqual(["goaway 4"]);
    world.pass(LIMITS.goawayStepMsMax);
    expect(world.client.connection.closeReason()).toMatchObject({ by: "peer", app: true, code: 0x100 });
  }));

test("a flood of PINGs ends the connection with H3_EXCESSIVE_LOAD", () =>
  inWorld({ glitchBurst: 200, glitchesPerSecond: 1 }, (world) => {
    let pings = 0;
    drive(world.server, [world.client], () => {
      world.client.ping();
      pings += 1;
      return world.server.counters.connectionsOverGlitches === 1;
    });
    world.settle();
    expect(pings).toBeGreaterThan(190);
    expect(world.client.connection.closeReason()).toMatchObject({ by: "peer", app: true, code: 0x107 });
  }));
