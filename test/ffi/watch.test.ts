/** Secrets and qlogs of chosen connections: what is written, to whom it belongs, and where it ends. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FieldWriter } from "../../src/core/field-writer.ts";
import type { RequestStream } from "../../src/h3/stream.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import { type EngineWatch, type Watched, WatchLedger } from "../../ffi/quiche/watch.ts";
import { testCertificate, testLeaf } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { connect, exchange, get, type PairOptions, TestServer } from "../support/quic-pair.ts";
import { tempFolder } from "../support/temp.ts";

const library = openTestLibrary();
const writer = new FieldWriter();
const PLENTY_BYTES = 100_000_000;
const SECRETS_PER_CONNECTION = 4;
let identities: Identity[];

beforeAll(async () => {
  const encoder = new TextEncoder();
  const leaves = [await testCertificate(), await testLeaf({ names: ["other.test"] })];
  identities = leaves.map(({ certPem, keyPem }, i) => ({
    serverNames: i === 0 ? [] : ["other.test"],
    chainPem: encoder.encode(certPem),
    keyPem: encoder.encode(keyPem),
    label: "test",
  }));
});
afterAll(() => expect(library.ledger.total).toBe(0));

function answer(stream: RequestStream): void {
  writer.begin();
  writer.add(":status", "200");
  stream.sendHead(writer.finish(), false);
  stream.sendBody(new Uint8Array(200_000));
  stream.end();
}

/** One connection with one request, as `watched` says; what the native side has counted since. */
function serveOne(watched: Watched | null, more: Partial<PairOptions> = {}, serverName = "localhost"): void {
  const handler = { onRequest: answer, onMalformed: () => undefined };
  const watch: EngineWatch = { watch: () => watched };
  const server = new TestServer({ library, identities, handler, watch, ...more });
  try {
    const client = server.client({ serverName });
    connect(server, client);
    expect(exchange(server, client, get("/")).body.length).toBe(200_000);
    client.close();
  } finally {
    server.close();
  }
}

/** The events of a qlog in JSON-SEQ (RFC 7464), its head first. Throws when a record is none. */
function records(file: string): Record<string, unknown>[] {
  const text = readFileSync(file, "utf8");
  expect(text.endsWith("}\n")).toBe(true);
  return text
    .split("\u001e")
    .slice(1)
    .map((record): Record<string, unknown> => JSON.parse(record));
}

function nameOf(record: Record<string, unknown>): unknown {
  return record["name"];
}

describe("a keylog", () => {
  test.each(["localhost", "other.test"])("has the secrets of a connection to %s, whose context SNI chose", (name) => {
    const file = join(tempFolder("keylog"), "keys");
    const keylogFd = openSync(file, "a", 0o600);
    const ledger = new WatchLedger(library, PLENTY_BYTES);
    serveOne({ keylogFd, qlogFd: null, qlogBytesMax: 0 }, { settings: { keylog: true } }, name);
    closeSync(keylogFd);
    const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
    const labels = lines.map((line) => line.split(" ")[0]);
    expect(labels).toEqual(expect.arrayContaining(["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"]));
    expect(lines.length).toBeGreaterThanOrEqual(SECRETS_PER_CONNECTION);
    for (const line of lines) expect(line).toMatch(/^[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]{64,96}$/);
    expect(ledger.read().cut).toBe(0);
  });

  test("gets nothing of connections that were not chosen, nor where secrets are not asked for", () => {
    const file = join(tempFolder("keylog"), "keys");
    const keylogFd = openSync(file, "a", 0o600);
    new WatchLedger(library, PLENTY_BYTES);
    serveOne(null, { settings: { keylog: true } });
    serveOne({ keylogFd, qlogFd: null, qlogBytesMax: 0 });
    closeSync(keylogFd);
    expect(readFileSync(file, "utf8")).toBe("");
  });

  test("that cannot be written is counted, and the connection is served", () => {
    const ledger = new WatchLedger(library, PLENTY_BYTES);
    const { errors } = ledger.read();
    const keylogFd = openSync("/dev/full", "a");
    serveOne({ keylogFd, qlogFd: null, qlogBytesMax: 0 }, { settings: { keylog: true } });
    closeSync(keylogFd);
    expect(ledger.read().errors).toBeGreaterThanOrEqual(errors + SECRETS_PER_CONNECTION);
  });
});

describe("a qlog", () => {
  function qlogOf(bytesMax: number): string {
    const file = join(tempFolder("qlog"), "one.sqlog");
    serveOne({ keylogFd: null, qlogFd: openSync(file, "wx", 0o600), qlogBytesMax: bytesMax });
    return file;
  }

  test("has the packets of its connection and is closed with it", () => {
    const ledger = new WatchLedger(library, PLENTY_BYTES);
    const [head, ...events] = records(qlogOf(PLENTY_BYTES));
    expect(head?.["serialization_format"]).toBe("JSON-SEQ");
    const names = events.map(nameOf);
    const sent = names.filter((name) => String(name).endsWith("packet_sent")).length;
    // 200,000 bytes in packets of 1,350.
    expect(sent).toBeGreaterThan(148);
    expect(names.some((name) => String(name).endsWith("packet_received"))).toBe(true);
    expect(ledger.read().qlogsOpen).toBe(0);
  });

  test("ends with a whole record where it has reached its most", () => {
    const ledger = new WatchLedger(library, PLENTY_BYTES);
    const { cut } = ledger.read();
    const file = qlogOf(20_000);
    expect(records(file).length).toBeGreaterThan(10);
    expect(readFileSync(file).length).toBeWithin(20_000, 24_000);
    expect(ledger.read()).toMatchObject({ cut: cut + 1, qlogsOpen: 0 });
  });

  test("and all of them together end where the process has written its most", () => {
    const ledger = new WatchLedger(library, 30_000);
    const before = ledger.read();
    const first = qlogOf(PLENTY_BYTES);
    const second = qlogOf(PLENTY_BYTES);
    expect(ledger.read().bytesWritten - before.bytesWritten).toBeWithin(20_000, 32_000);
    expect(records(first).length).toBeGreaterThan(10);
    expect(readFileSync(second, "utf8")).toBe("");
    expect(ledger.read().cut).toBe(before.cut + 2);
  });

  test("on a full disk is given up and counted, and the connection is served", () => {
    const ledger = new WatchLedger(library, PLENTY_BYTES);
    const { errors } = ledger.read();
    serveOne({ keylogFd: null, qlogFd: openSync("/dev/full", "w"), qlogBytesMax: PLENTY_BYTES });
    expect(ledger.read()).toMatchObject({ errors: errors + 1, qlogsOpen: 0 });
  });
});
