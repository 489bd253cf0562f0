/** One case of HTTP/3 as data: what a client sends and what it must see. `cases/http3.ts` plays it, `docs/http3-cases.md` lists it. */
import type { H3iStep } from "./h3i.ts";

/** What comes of it: the connection closed with a code of HTTP/3, the request's stream reset with one, or an answer's status. */
export type Http3Answer = { readonly close: number } | { readonly reset: number } | { readonly status: number };

/** One case. */
export interface Http3Case {
  readonly row: number;
  /** What is sent, in words. */
  readonly name: string;
  /** What is sent. A request that the steps begin on the first request stream is ended behind them; if they begin none, one follows. */
  readonly steps: readonly H3iStep[];
  /** What is seen. */
  readonly answer: Http3Answer;
  /** Whose decision it is: that of the library, or ours. */
  readonly by: "quiche" | "Spooky";
  /** Why the answer is not what the row requires. */
  readonly gap?: string;
  /** What the backend must have got, and only once. Without it: nothing but its request line if the answer is 200, else nothing at all. */
  readonly sent?: RegExp;
  /** The head was good: the backend may have got the beginning of the request, on a connection that nothing else uses. */
  readonly begun?: true;
}
