// An HTTP/2 server by node:http2, run by Node and by Bun. Prints its port; ends when its input does.
import { once } from "node:events";
import { createServer } from "node:http2";

const server = createServer({ settings: { maxConcurrentStreams: 50 } });

server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  const path = headers[":path"];
  if (path === "/echo") {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  } else if (path.startsWith("/bytes/")) {
    stream.respond({ ":status": 200 });
    stream.end(Buffer.alloc(Number(path.slice(7)), "z"));
  } else if (path.startsWith("/pieces/")) {
    void sendPieces(stream, Number(path.slice(8)), {});
  } else if (path.startsWith("/sized-pieces/")) {
    void sendPieces(stream, Number(path.slice(14)), { "content-length": path.slice(14) });
  } else if (path === "/refuse") {
    stream.close(7);
  } else if (path === "/early") {
    stream.additionalHeaders({ ":status": 103, link: "</a>" });
    stream.respond({ ":status": 200 });
    stream.end("body");
  } else if (path === "/trailers") {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end("body");
  } else if (path === "/goaway") {
    stream.respond({ ":status": 200 });
    stream.end("bye");
    stream.session.close();
  } else {
    if (path.startsWith("/table/")) stream.session.settings({ headerTableSize: Number(path.slice(7)) });
    stream.respond({ ":status": 204, "x-path": path, "set-cookie": ["a=1", "b=2"] }, { endStream: true });
  }
});

/** Ends the stream only after its last byte was taken. */
async function sendPieces(stream, bytes, fields) {
  stream.respond({ ":status": 200, ...fields });
  for (let sent = 0; sent < bytes && !stream.destroyed; sent += 65_536) {
    if (!stream.write(Buffer.alloc(Math.min(65_536, bytes - sent), "z"))) await once(stream, "drain").catch(() => {});
  }
  stream.end();
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume();
