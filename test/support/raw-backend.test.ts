import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { testCertificate } from "./certs.ts";
import { startRawBackend } from "./raw-backend.ts";
import type { Socket } from "node:net";

describe("a raw backend", () => {
  test("plays its script and records what it got", async () => {
    const backend = await startRawBackend({
      script: () => [
        { read: "\r\n\r\n" },
        { send: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab" },
        { readBytes: 4 },
        { send: new Uint8Array([0x63, 0x64, 0xff]) },
        { end: "fin" },
      ],
    });
    const socket = connect(backend.port, "127.0.0.1");
    const received = collect(socket);
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody and more");
    expect(await received).toBe("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd\u00ff");
    expect(backend.connections[0]?.text).toBe("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody and more");
  });

  test("finds a mark that arrives in pieces, and reads on behind it", async () => {
    const backend = await startRawBackend({
      script: () => [{ read: "--" }, { send: "1" }, { read: "--" }, { send: "2" }, { end: "fin" }],
    });
    const socket = connect(backend.port, "127.0.0.1");
    const received = collect(socket);
    socket.write("first-");
    await new Promise((resolve) => socket.once("drain", resolve).write("-", resolve));
    socket.once("data", () => socket.write("second--"));
    expect(await received).toBe("12");
  });

  test("holds until it is released, and plays another script for the next connection", async () => {
    const backend = await startRawBackend({
      script: (connection) =>
        connection === 0 ? [{ hold: true }, { send: "late" }, { end: "fin" }] : [{ send: "second" }, { end: "fin" }],
    });
    const first = collect(connect(backend.port, "127.0.0.1"));
    const second = collect(connect(backend.port, "127.0.0.1"));
    expect(await second).toBe("second");
    backend.release();
    expect(await first).toBe("late");
    expect(backend.connections.length).toBe(2);
  });

  test("resets a connection, and notices when the other side ends", async () => {
    const backend = await startRawBackend({
      script: (connection) => (connection === 0 ? [{ readBytes: 1 }, { end: "reset" }] : [{ readBytes: 100 }]),
    });
    const reset = connect(backend.port, "127.0.0.1");
    const failed = new Promise((resolve) => reset.once("error", (error: NodeJS.ErrnoException) => resolve(error.code)));
    reset.write("x");
    expect(await failed).toBe("ECONNRESET");
    const leaving = connect(backend.port, "127.0.0.1");
    leaving.end("only this");
    await new Promise((resolve) => leaving.once("finish", resolve));
    while (backend.connections[1] === undefined) await new Promise((resolve) => setImmediate(resolve));
    await backend.connections[1].played;
    expect(backend.connections[1]).toMatchObject({ ended: true, text: "only this" });
  });

  test("speaks TLS with the ALPN protocols that it is given", async () => {
    const certificate = await testCertificate();
    const backend = await startRawBackend({
      tls: { ...certificate, alpn: ["h2"] },
      script: () => [{ read: "PRI * HTTP/2.0" }, { send: "frames" }, { end: "fin" }],
    });
    const options = { host: "127.0.0.1", port: backend.port, ca: certificate.caPem, ALPNProtocols: ["h2", "http/1.1"] };
    const socket = connectTls(options);
    const received = collect(socket);
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    expect(socket.alpnProtocol).toBe("h2");
    socket.write("PRI * HTTP/2.0\r\n\r\n");
    expect(await received).toBe("frames");
  });
});

function collect(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (piece: Uint8Array) => (text += Buffer.from(piece).toString("latin1")));
  return new Promise((resolve) => {
    socket.once("end", () => {
      socket.end();
      resolve(text);
    });
  });
}
