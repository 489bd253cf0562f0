/** Stream sockets with a path, over Node's interfaces, which both runtimes have. */
import { connect, createServer, type Server, type Socket } from "node:net";
import process from "node:process";

/** Whom one end of a connection tells. */
export interface UnixHost {
  onText(text: string): void;
  /** Nothing comes any more, and nothing can be said. Called once. */
  onClosed(): void;
}

/** One end of a connection. */
export interface UnixStream {
  send(text: string): void;
  /** Bytes that wait for the other side to read. */
  readonly waitingBytes: number;
  /** Ends it when what was said is out. */
  end(): void;
  /** Ends it now. */
  destroy(): void;
}

/** A socket that listens. */
export interface UnixListener {
  /** Takes no more connections; those that exist go on. */
  close(): void;
}

/** Read and written by the user who runs this, and by nobody else. */
const OWNER_ONLY_UMASK = 0o177;

/**
 * Listens on a path that must not exist yet. Nobody but this user can ever connect: the file has its mode from its first moment. Rejects
 * with what the system says.
 */
export function listenUnix(path: string, onStream: (stream: UnixStream) => UnixHost): Promise<UnixListener> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer((socket) => serve(socket, onStream));
    server.on("error", reject);
    server.once("listening", () => resolve({ close: () => void server.close() }));
    // Both runtimes make the file before `listen` returns, and report later.
    const before = process.umask(OWNER_ONLY_UMASK);
    try {
      server.listen(path);
    } finally {
      process.umask(before);
    }
  });
}

/** Connects. Rejects with what the system says: its `code` is ECONNREFUSED where nobody listens. */
export function connectUnix(path: string, onStream: (stream: UnixStream) => UnixHost): Promise<UnixStream> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(serve(socket, onStream));
    });
  });
}

function serve(socket: Socket, onStream: (stream: UnixStream) => UnixHost): UnixStream {
  const stream: UnixStream = {
    send: (text) => void (socket.writable && socket.write(text)),
    get waitingBytes() {
      return socket.writableLength;
    },
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
  };
  const host = onStream(stream);
  socket.setEncoding("utf8");
  socket.on("data", (text: string | Uint8Array) => host.onText(String(text)));
  // A connection that breaks closes as well.
  socket.on("error", () => undefined);
  socket.once("close", () => host.onClosed());
  return stream;
}
