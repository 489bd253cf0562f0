/** The HTTP/1.1 state machine alone on a socket, against the runtime's own `node:http` server. */
import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { Counters } from "../../src/core/counters.ts";
import type { FieldSection } from "../../src/core/fields.ts";
import { type ExchangeSink, H1Connection } from "../../src/h1/connection.ts";
import type { H1Request } from "../../src/h1/request-writer.ts";
import { requestOf, sectionOf } from "../unit/h1/exchanges.ts";

const BIG = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);

const server = createServer((request, response) => {
  SITES[request.url?.split("?")[0] ?? ""]?.(request, response);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const SITES: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
  "/fields": (request, response) => {
    const length = String(Buffer.byteLength(JSON.stringify(request.rawHeaders)));
    response.writeHead(200, { "Content-Length": length, "X-Several": ["a", "b"] });
    response.end(JSON.stringify(request.rawHeaders));
  },
  "/big": (_request, response) => response.writeHead(200, { "content-length": BIG.length }).end(BIG),
  "/big-chunked": (_request, response) => {
    response.write(BIG.subarray(0, 1_000_000));
    response.end(BIG.subarray(1_000_000));
  },
  "/none": (_request, response) => response.writeHead(204).end(),
  "/digest": (request, response) => {
    const digest = createHash("sha256");
    request.on("data", (piece: Buffer) => digest.update(piece));
    request.on("end", () => response.end(digest.digest("hex")));
  },
  "/hints": (_request, response) => {
    response.writeProcessing();
    response.end("after the hint");
  },
  "/close": (_request, response) => response.writeHead(200, { connection: "close" }).end("last"),
};

/** A socket with a machine, and the exchange that is on it. */
class Client implements ExchangeSink {
  readonly machine = new H1Connection(new Counters());
  readonly #socket: Socket;
  #pieces: Uint8Array[] = [];
  #head = { status: 0, fields: sectionOf({}) };
  #informational: number[] = [];
  #body: Uint8Array = new Uint8Array(0);
  #bodyAt = 0;
  #over = Promise.withResolvers<string>();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (piece: Buffer) => this.machine.feed(piece));
    socket.on("error", () => this.machine.onClose(false));
    socket.on("end", () => this.machine.onClose(true));
  }

  async run(request: H1Request, body: Uint8Array | null = null) {
    this.#pieces = [];
    this.#informational = [];
    this.#over = Promise.withResolvers();
    this.machine.start(request, body !== null, this);
    if (body !== null) {
      this.#body = body;
      this.#bodyAt = 0;
      this.#pump();
    }
    this.#flush();
    const end = await this.#over.promise;
    return { end, ...this.#head, informational: this.#informational, body: Buffer.concat(this.#pieces) };
  }

  onInformational(status: number): void {
    this.#informational.push(status);
  }
  onHead(status: number, fields: FieldSection): void {
    this.#head = { status, fields };
  }
  onData(bytes: Uint8Array, at: number, end: number): void {
    this.#pieces.push(bytes.slice(at, end));
  }
  onTrailers(): void {}
  onWritable(): void {
    this.#pump();
  }
  onEnd(reusable: boolean): void {
    this.#over.resolve(reusable ? "reusable" : "last");
  }
  onError(fault: string): void {
    this.#over.resolve(fault);
  }

  #pump(): void {
    for (let room = true; room && this.#bodyAt < this.#body.length;) {
      const end = Math.min(this.#body.length, this.#bodyAt + 30_000);
      room = this.machine.sendBody(this.#body, this.#bodyAt, end);
      this.#bodyAt = end;
    }
    if (this.#bodyAt === this.#body.length && !this.machine.isFull) this.machine.endBody();
  }

  /** The socket keeps what it is given, so it gets a copy. */
  #flush(): void {
    const { output } = this.machine;
    while (output.waitingBytes > 0) {
      const length = output.waitingBytes;
      this.#socket.write(output.bytes.slice(output.at, output.end));
      this.machine.sent(length);
    }
  }
}

async function open(): Promise<Client> {
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("the server listens on a port");
  const socket = connect(address.port, "127.0.0.1");
  await once(socket, "connect");
  opened.push(socket);
  return new Client(socket);
}

const opened: Socket[] = [];
afterAll(() => {
  for (const socket of opened) socket.destroy();
});

test("many exchanges of all kinds on one connection", async () => {
  const client = await open();
  for (let round = 0; round < 20; round++) {
    const fields = sectionOf({ "x-round": String(round), cookie: "a=1; b=2" });
    const told = await client.run(requestOf({ path: `/fields?${round}`, fields }));
    expect([told.status, told.end]).toEqual([200, "reusable"]);
    expect(JSON.parse(told.body.toString())).toEqual(
      expect.arrayContaining(["a.example", "x-round", String(round), "cookie", "a=1; b=2"]),
    );
    expect(told.fields.get("x-several")).not.toBeNull();

    const none = await client.run(requestOf({ path: "/none" }));
    expect([none.status, none.end, none.body.length]).toEqual([204, "reusable", 0]);

    const head = await client.run(requestOf({ method: "HEAD", path: "/big" }));
    expect([head.status, head.end, head.body.length]).toEqual([200, "reusable", 0]);
    expect(head.fields.get("content-length")).toBe(String(BIG.length));
  }
  expect(client.machine.exchanges).toBe(60);
});

test("large bodies come whole, of a told length and in chunks", async () => {
  const client = await open();
  for (const path of ["/big", "/big-chunked"]) {
    const { end, body } = await client.run(requestOf({ path }));
    expect(end).toBe("reusable");
    expect(Buffer.compare(body, BIG)).toBe(0);
  }
});

test("large bodies go whole, of a told length and in chunks", async () => {
  const client = await open();
  for (const contentLengthBytes of [BIG.length, -1]) {
    const { end, body } = await client.run(requestOf({ method: "POST", path: "/digest", contentLengthBytes }), BIG);
    expect(body.toString()).toBe(createHash("sha256").update(BIG).digest("hex"));
    expect(end).toBe("reusable");
  }
});

test("an informational head comes before the answer", async () => {
  const client = await open();
  const { informational, body, end } = await client.run(requestOf({ path: "/hints" }));
  expect([informational, body.toString(), end]).toEqual([[102], "after the hint", "reusable"]);
});

test("a connection that its server closes is not used again", async () => {
  const client = await open();
  const { body, end } = await client.run(requestOf({ path: "/close" }));
  expect([body.toString(), end, client.machine.state]).toEqual(["last", "last", "closed"]);
});
