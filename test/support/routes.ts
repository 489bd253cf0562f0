/**
 * What test backends answer, the same on every protocol. A path's first part picks the route, the rest and the query its details:
 *
 * - `/small` 512 bytes of pattern `small`; `/bytes/N?seed=S&piece=P&length=no` N bytes of pattern S, without Content-Length if asked.
 * - `/gzip/N?seed=S` the same, compressed. `/health` the backend's `health` status. `/status/N?field=name:value&pad=N` a status.
 * - `/headers` the request as JSON. `/upload` length and SHA-256 of the body as JSON. `/echo` the body, as it comes.
 * - `/slow?ms=N` answers after N ms; `/hold` after `backend.release()`; `/hold-body?bytes=N` sends the head and N bytes, then holds.
 * - `/stream?pieces=N&bytes=M&ms=T` N pieces with T ms between; `/drip?bytes=N&ms=T` one byte at a time.
 * - `/hints` 103, then soon 200; `/trailers` a body and trailers; `/ignore-body` answers without reading the body.
 * - `/request-trailers` the body's length and the fields that followed it, as JSON.
 * - `/reset-before` breaks off before the head; `/reset-mid?bytes=N&length=M` after N bytes of an announced M (none: unannounced);
 *   `/cut-mid?bytes=N&length=M` ends there in an orderly way, which HTTP/2 can tell from a full body by its length only.
 * - `/too-early` 425 to whoever says Early-Data, 200 to all others.
 * - anything else: 200 and a line of text.
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { patternBytes, patternPieces } from "./pattern.ts";
import type { BackendExchange, Field } from "./exchange.ts";

/** What a route knows of its backend. */
export interface RouteContext {
  readonly id: string;
  readonly protocol: string;
  /** Status that `/health` answers. */
  readonly health: number;
  /** Resolves at the next `release()`. */
  held(): Promise<void>;
}

/** Answers one request. */
export async function answer(exchange: BackendExchange, context: RouteContext): Promise<void> {
  const url = new URL(exchange.target, "http://backend.invalid");
  const [, name = "", ...rest] = url.pathname.split("/");
  const route = ROUTES.get(name) ?? plain;
  await route({ exchange, context, rest, query: url.searchParams });
}

interface RouteCall {
  readonly exchange: BackendExchange;
  readonly context: RouteContext;
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

type Route = (call: RouteCall) => Promise<void>;

async function small(call: RouteCall): Promise<void> {
  await whole(call, 200, SMALL_BODY, [["content-type", "application/octet-stream"]]);
}

async function bytes(call: RouteCall): Promise<void> {
  const total = Number(call.rest[0] ?? 0);
  const pieces = patternPieces(call.query.get("seed") ?? "bytes", total, number(call, "piece", PIECE_BYTES));
  begin(call, 200, call.query.get("length") === "no" ? [] : [["content-length", String(total)]]);
  for (const piece of pieces) await call.exchange.write(piece);
  call.exchange.end();
}

async function gzip(call: RouteCall): Promise<void> {
  const body = gzipSync(patternBytes(call.query.get("seed") ?? "bytes", Number(call.rest[0] ?? 0)));
  await whole(call, 200, new Uint8Array(body), [["content-encoding", "gzip"]]);
}

async function health(call: RouteCall): Promise<void> {
  await text(call, call.context.health, "health\n");
}

async function status(call: RouteCall): Promise<void> {
  const code = Number(call.rest[0] ?? 200);
  const fields: Field[] = call.query.getAll("field").map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon), field.slice(colon + 1)];
  });
  const pad = number(call, "pad", 0);
  if (pad > 0) fields.push(["x-pad", "p".repeat(pad)]);
  if (code === 204 || code === 304) {
    begin(call, code, fields);
    call.exchange.end();
    return;
  }
  await whole(call, code, new TextEncoder().encode(`status ${code}\n`), fields);
}

async function tooEarly(call: RouteCall): Promise<void> {
  const isEarly = call.exchange.fields.some(([name]) => name.toLowerCase() === "early-data");
  await text(call, isEarly ? 425 : 200, isEarly ? "too early\n" : "in time\n");
}

async function headers(call: RouteCall): Promise<void> {
  const { method, target, fields } = call.exchange;
  await json(call, { backend: call.context.id, protocol: call.context.protocol, method, target, fields });
}

async function upload(call: RouteCall): Promise<void> {
  const hash = createHash("sha256");
  let length = 0;
  for await (const piece of call.exchange.body) {
    hash.update(piece);
    length += piece.length;
  }
  await json(call, { length, sha256: hash.digest("hex") });
}

async function echo(call: RouteCall): Promise<void> {
  const type = call.exchange.fields.find(([name]) => name.toLowerCase() === "content-type");
  begin(call, 200, type === undefined ? [] : [["content-type", type[1]]]);
  for await (const piece of call.exchange.body) await call.exchange.write(piece);
  call.exchange.end();
}

async function slow(call: RouteCall): Promise<void> {
  await pause(number(call, "ms", 50));
  await text(call, 200, "slow\n");
}

async function hold(call: RouteCall): Promise<void> {
  await heldOrGone(call);
  await text(call, 200, "held\n");
}

async function holdBody(call: RouteCall): Promise<void> {
  begin(call, 200, []);
  await call.exchange.write(patternBytes("hold-body", number(call, "bytes", 100)));
  await heldOrGone(call);
  await call.exchange.write(new TextEncoder().encode("released"));
  call.exchange.end();
}

async function stream(call: RouteCall): Promise<void> {
  begin(call, 200, []);
  for (let piece = 0; piece < number(call, "pieces", 5); piece++) {
    if (piece > 0) await pause(number(call, "ms", 1));
    await call.exchange.write(patternBytes(`stream-${piece}`, number(call, "bytes", 100)));
  }
  call.exchange.end();
}

async function drip(call: RouteCall): Promise<void> {
  begin(call, 200, []);
  for (const byte of patternBytes("drip", number(call, "bytes", 20))) {
    await call.exchange.write(Uint8Array.of(byte));
    await pause(number(call, "ms", 1));
  }
  call.exchange.end();
}

async function hints(call: RouteCall): Promise<void> {
  call.exchange.inform(103, [["link", "</style.css>; rel=preload; as=style"]]);
  // HAProxy 2.6.12 loses the body of an answer whose head it reads together with an interim one.
  await pause(HINTS_BEFORE_MS);
  await text(call, 200, "after the hints\n");
}

async function trailers(call: RouteCall): Promise<void> {
  begin(call, 200, [["trailer", "x-checksum"]]);
  await call.exchange.write(patternBytes("trailers", 100));
  call.exchange.end([["x-checksum", "pattern-trailers"]]);
}

async function requestTrailers(call: RouteCall): Promise<void> {
  let length = 0;
  for await (const piece of call.exchange.body) length += piece.length;
  await json(call, { length, trailers: call.exchange.trailers() });
}

async function ignoreBody(call: RouteCall): Promise<void> {
  await text(call, 200, "body not read\n");
}

async function resetBefore(call: RouteCall): Promise<void> {
  call.exchange.reset();
}

async function resetMid(call: RouteCall): Promise<void> {
  await part(call, "reset-mid");
  // A reset discards what is still in the sender's queue, so the bytes get a moment to leave. No test may count on them.
  await pause(RESET_AFTER_MS);
  call.exchange.reset();
}

async function cutMid(call: RouteCall): Promise<void> {
  await part(call, "cut-mid");
  call.exchange.cut();
}

async function part(call: RouteCall, seed: string): Promise<void> {
  const announced = call.query.get("length");
  begin(call, 200, announced === null ? [] : [["content-length", announced]]);
  await call.exchange.write(patternBytes(seed, number(call, "bytes", 1000)));
}

async function plain(call: RouteCall): Promise<void> {
  await text(call, 200, `${call.context.id} ${call.exchange.method} ${call.exchange.target}\n`);
}

function begin(call: RouteCall, code: number, fields: readonly Field[]): void {
  const { exchange, context } = call;
  exchange.head(code, [
    ["x-backend", context.id],
    ["x-backend-protocol", context.protocol],
    ["x-connection", String(exchange.connection)],
    ...fields,
  ]);
}

async function whole(call: RouteCall, code: number, body: Uint8Array, fields: readonly Field[]): Promise<void> {
  begin(call, code, [["content-length", String(body.length)], ...fields]);
  if (call.exchange.method !== "HEAD") await call.exchange.write(body);
  call.exchange.end();
}

function text(call: RouteCall, code: number, line: string): Promise<void> {
  return whole(call, code, new TextEncoder().encode(line), [["content-type", "text/plain"]]);
}

function json(call: RouteCall, value: object): Promise<void> {
  return whole(call, 200, new TextEncoder().encode(JSON.stringify(value)), [["content-type", "application/json"]]);
}

function heldOrGone(call: RouteCall): Promise<void> {
  const { gone } = call.exchange;
  if (gone.aborted) return Promise.resolve();
  const left = new Promise<void>((resolve) => gone.addEventListener("abort", () => resolve(), { once: true }));
  return Promise.race([call.context.held(), left]);
}

function number(call: RouteCall, name: string, otherwise: number): number {
  const value = call.query.get(name);
  return value === null ? otherwise : Number(value);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const PIECE_BYTES = 64 * 1024;
const RESET_AFTER_MS = 20;
const HINTS_BEFORE_MS = 20;
const SMALL_BODY = patternBytes("small", 512);
const ROUTES: ReadonlyMap<string, Route> = new Map([
  ["small", small],
  ["bytes", bytes],
  ["gzip", gzip],
  ["health", health],
  ["status", status],
  ["too-early", tooEarly],
  ["headers", headers],
  ["upload", upload],
  ["echo", echo],
  ["slow", slow],
  ["hold", hold],
  ["hold-body", holdBody],
  ["stream", stream],
  ["drip", drip],
  ["hints", hints],
  ["trailers", trailers],
  ["request-trailers", requestTrailers],
  ["ignore-body", ignoreBody],
  ["reset-before", resetBefore],
  ["reset-mid", resetMid],
  ["cut-mid", cutMid],
]);
