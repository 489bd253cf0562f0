/**
 * The backend that most cases stand in front of: HTTP/1.1 in clear that keeps every byte it gets, and answers 200 to each request
 * whose end it has seen. It trusts no library to tell where a request ends, so what was smuggled stands in its record.
 */
import { afterAll } from "bun:test";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { listen } from "../support/backend-tcp.ts";

/** A running one. It stops at the end of the test that started it. */
export interface Recorder {
  /** `http://host:port`. */
  readonly address: string;
  /** One entry for each connection so far. */
  readonly connections: readonly RecordedConnection[];
  /** Whole requests so far, of all connections, in order of their end: head and body as received, latin1. */
  readonly requests: readonly string[];
  /** Every byte received, latin1. */
  readonly text: string;
  /** Request lines so far. */
  readonly targets: readonly string[];
}

/** One connection. */
export interface RecordedConnection {
  /** Everything received, latin1. */
  text: string;
  /** The proxy has ended or reset it. */
  ended: boolean;
  /** Resolves then. */
  readonly end: Promise<void>;
}

/** Starts it. `answer` is sent to each whole request; the default is an empty 200 with a Content-Length. */
export async function startRecorder(answer: (request: string) => string = () => OK): Promise<Recorder> {
  const connections: RecordedConnection[] = [];
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    const end = Promise.withResolvers<void>();
    const connection = { text: "", ended: false, end: end.promise };
    connections.push(connection);
    sockets.add(socket);
    let taken = 0;
    socket.on("data", (piece: Buffer) => {
      connection.text += piece.toString("latin1");
      for (let length = wholeLength(connection.text.slice(taken)); length > 0;) {
        const request = connection.text.slice(taken, taken + length);
        taken += length;
        requests.push(request);
        socket.write(Buffer.from(answer(request), "latin1"));
        length = wholeLength(connection.text.slice(taken));
      }
    });
    for (const event of ["end", "close", "error"]) {
      socket.on(event, () => {
        connection.ended = true;
        end.resolve();
      });
    }
  });
  const port = await listen(server, { host: "127.0.0.1", port: 0 });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: `http://127.0.0.1:${port}`,
    connections,
    requests,
    get text() {
      return connections.map(({ text }) => text).join("");
    },
    get targets() {
      return requests.map((request) => request.slice(0, request.indexOf("\r\n")));
    },
  };
}

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** The length of the first request in `text`, 0 while it is not whole. A chunked one ends with the first empty chunk's section. */
function wholeLength(text: string): number {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return 0;
  const head = text.slice(0, headEnd).toLowerCase();
  const bodyAt = headEnd + 4;
  if (head.includes("\r\ntransfer-encoding: chunked")) return chunkedEnd(text, bodyAt);
  const length = /\r\ncontent-length: *(\d+)/.exec(head);
  const end = bodyAt + Number(length?.[1] ?? 0);
  return end <= text.length ? end : 0;
}

function chunkedEnd(text: string, bodyAt: number): number {
  for (let at = bodyAt; ;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return 0;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (!(size > 0)) {
      const end = text.indexOf("\r\n\r\n", lineEnd);
      return end < 0 ? 0 : end + 4;
    }
    at = lineEnd + 2 + size + 2;
  }
}
