/** TCP connections from others, over Node's interfaces, which both runtimes have. */
import { createServer, type Server, type Socket } from "node:net";

/** Whom one connection tells. */
export interface TcpHost {
  /** Bytes as characters of Latin-1. */
  onText(text: string): void;
  /** What was said is out. */
  onDrained(): void;
  /** Nothing comes any more, and nothing can be said. Called once. */
  onClosed(): void;
}

/** One connection. */
export interface TcpStream {
  /** False: it waits for the other side to read, and `onDrained` follows. */
  send(bytes: Uint8Array): boolean;
  /** Reads nothing until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it when what was said is out. */
  end(): void;
  /** Ends it now. */
  destroy(): void;
}

/** Where to listen: an address, or a socket that listens already, which becomes the listener's. */
export type TcpPlace = { readonly host: string; readonly port: number } | { readonly fd: number };

/** A socket that listens. */
export interface TcpListener {
  readonly port: number;
  /** Takes no more connections; those that exist go on. */
  close(): void;
}

/** Listens. Rejects with what the system says: its `code` is EADDRINUSE where somebody else does. */
export function listenTcp(place: TcpPlace, onStream: (stream: TcpStream) => TcpHost): Promise<TcpListener> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer((socket) => serve(socket, onStream));
    // After the start too: a connection that cannot be accepted must not end the program.
    server.on("error", reject);
    server.once("listening", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      resolve({ port, close: () => void server.close() });
    });
    if ("fd" in place) server.listen({ fd: place.fd });
    // IPV6_V6ONLY: where `::` is meant for both families it is the system's usual way.
    else server.listen({ ...place, ipv6Only: place.host.includes(":") && place.host !== "::" });
  });
}

function serve(socket: Socket, onStream: (stream: TcpStream) => TcpHost): void {
  const stream: TcpStream = {
    send: (bytes) => !socket.writable || socket.write(bytes),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
  };
  // A connection that breaks closes as well.
  socket.on("error", () => undefined);
  const host = onStream(stream);
  socket.setNoDelay(true);
  socket.setEncoding("latin1");
  socket.on("data", (text: string | Uint8Array) => host.onText(String(text)));
  socket.on("drain", () => host.onDrained());
  socket.once("close", () => host.onClosed());
}
