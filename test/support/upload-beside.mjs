// Run by Node: whether a server answers a request on an HTTP/2 connection where a body is stuck that nobody reads. Prints `answered`
// or `stuck`: node upload-beside.mjs URL, the authority's certificate in CA_PEM. Bun's own client is no help here: with a body
// stuck at the windows it sends no further request (1.4.5).
import { connect } from "node:http2";

const STUCK_AFTER_MS = 60;
const UNANSWERED_AFTER_MS = 600;
const piece = Buffer.alloc(64 * 1024);

const session = connect(process.argv[2], { ca: process.env.CA_PEM });
const upload = session.request({ ":method": "POST", ":path": "/hold" }, { endStream: false });
let stuck = setTimeout(askBeside, STUCK_AFTER_MS);
upload.on("drain", write);
write();

function write() {
  clearTimeout(stuck);
  stuck = setTimeout(askBeside, STUCK_AFTER_MS);
  while (upload.write(piece));
}

function askBeside() {
  setTimeout(() => end("stuck"), UNANSWERED_AFTER_MS);
  const beside = session.request({ ":path": "/small" });
  beside.resume();
  beside.on("end", () => end("answered"));
}

function end(word) {
  console.log(word);
  process.exit();
}
