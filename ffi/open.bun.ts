/** Bun's foreign function interface: the only file that imports `bun:ffi`. */
import { dlopen, type FFIFunction, FFIType, ptr } from "bun:ffi";
import type { CTable, CType, ForeignInterface, Functions } from "./abi.ts";

/** `u64` and `usize` results are declared signed on purpose: see `abi.ts`. A fast variant makes no BigInt. */
const RETURNS = {
  void: FFIType.void,
  bool: FFIType.bool,
  i32: FFIType.i32,
  u32: FFIType.u32,
  u16: FFIType.u16,
  u8: FFIType.u8,
  i64: FFIType.i64_fast,
  u64: FFIType.i64_fast,
  usize: FFIType.i64_fast,
  isize: FFIType.i64_fast,
  pointer: FFIType.i64_fast,
  buffer: FFIType.i64_fast,
} as const satisfies Record<CType, FFIType>;

const ARGUMENTS = {
  ...RETURNS,
  u64: FFIType.u64_fast,
  usize: FFIType.u64_fast,
  pointer: FFIType.u64_fast,
  buffer: FFIType.ptr,
} as const satisfies Record<CType, FFIType>;

/** The interface of Bun. */
export const bunForeign: ForeignInterface = {
  open<T extends CTable>(path: string, table: T): Functions<T> {
    const shapes: Record<string, FFIFunction> = Object.fromEntries(
      Object.entries(table).map(([name, { args, returns }]) => [
        name,
        { args: args.map((type) => ARGUMENTS[type]), returns: RETURNS[returns] },
      ]),
    );
    // The types of the table say more than `dlopen` can infer from a computed record.
    return dlopen(path, shapes).symbols as unknown as Functions<T>;
  },

  addressOf(view: Uint8Array): number {
    return Number(ptr(view));
  },
};
