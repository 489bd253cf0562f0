/**
 * What of a request fetch cannot carry. Where a backend's transport was not chosen by its pool, such requests go over the native
 * client; elsewhere what is lost is counted.
 */
import { fieldSet } from "../core/field-names.ts";
import { isGrpc } from "../proxy/content-type.ts";
import type { RequestHead } from "../h3/head.ts";
import { FETCH_METHODS, isBodyless, isSentAsIs } from "./fetch-target.ts";

/**
 * `lossy`: it goes through, but the client asks for what fetch keeps from it: trailers (`te`, gRPC) or the 100 that it expects.
 * `altered`: it would arrive as another request, or not at all.
 */
export type FetchGap = "lossy" | "altered";

/** Null: fetch carries it whole. Some 40 ns for a common request; makes no string. `hasBody`: more follows the head. */
export function fetchGap(head: RequestHead, hasBody: boolean): FetchGap | null {
  const { method, path, fields, firstField } = head;
  if ((hasBody && isBodyless(method)) || !FETCH_METHODS.has(method) || !isSentAsIs(path)) return "altered";
  for (let i = firstField; i < fields.count; i++) {
    if (ASKS_FOR_MORE[fields.nameId(i)] === 1) return "lossy";
  }
  return isGrpc(fields) ? "lossy" : null;
}

/** In HTTP/3 `te` may say nothing but `trailers`, and all that `expect` can say is `100-continue` (RFC 9110 10.1.1). */
const ASKS_FOR_MORE = fieldSet(["te", "expect"]);
