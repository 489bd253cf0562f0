/**
 * Our vocabulary of C types, and how a table of C functions becomes callable functions on either runtime. A table is written
 * once (`quiche.symbols.ts`, `libc.symbols.ts`), each function beside its C declaration; a test compares both with the header.
 *
 * Addresses and sizes are plain numbers on this side: user space ends below 2^47, so they are exact. A 64-bit *result* is read as
 * signed, because the only large ones the C side returns are "none" (all bits set), which so becomes -1 and never a BigInt.
 */

/** A C type: fixed-width integers, `size_t`/`ssize_t`, an address as a number, or memory lent for the call only. */
export type CType =
  "void" | "bool" | "i32" | "u32" | "u16" | "u8" | "i64" | "u64" | "usize" | "isize" | "pointer" | "buffer";

/** One C function. `c` is its declaration as the header has it; `nonblocking` ones run off the loop and give promises. */
export interface CFunction {
  readonly c: string;
  readonly args: readonly CType[];
  readonly returns: CType;
}

/** Functions by their C names. */
export type CTable = Readonly<Record<string, CFunction>>;

/** What a caller passes for a C type. A buffer may be null where C accepts NULL; what no number is exactly is a BigInt. */
type Argument<T extends CType> = T extends "bool"
  ? boolean
  : T extends "buffer"
    ? Uint8Array | null
    : T extends "u64"
      ? number | bigint
      : number;

type Arguments<A extends readonly CType[]> = { -readonly [K in keyof A]: Argument<A[K]> };

type Result<T extends CType> = T extends "void" ? void : T extends "bool" ? boolean : number;

/** A table turned into functions. */
export type Functions<T extends CTable> = {
  readonly [K in keyof T]: (...args: Arguments<T[K]["args"]>) => Result<T[K]["returns"]>;
};

/** A runtime's foreign function interface: the two implementations are `open.bun.ts` and `open.deno.ts`. */
export interface ForeignInterface {
  /** Opens a shared object and binds the table's functions. Throws what the runtime throws. */
  open<T extends CTable>(path: string, table: T): Functions<T>;
  /** The address of a view's first byte. Valid while the view's buffer lives; see `memory.ts`. */
  addressOf(view: Uint8Array): number;
}
