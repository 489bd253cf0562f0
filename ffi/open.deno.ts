/** Deno's foreign function interface: the only file that uses `Deno.dlopen`. Nothing here names Bun. */
import { ProxyError } from "../src/core/error.ts";
import type { CTable, CType, ForeignInterface, Functions } from "./abi.ts";

/** The part of Deno's global that is used, so that the file type-checks without Deno's own types. */
interface DenoForeign {
  dlopen(
    path: string,
    symbols: Record<string, { parameters: readonly string[]; result: string; nonblocking?: boolean }>,
  ): { readonly symbols: Record<string, (...args: unknown[]) => unknown> };
  readonly UnsafePointer: {
    of(view: Uint8Array): object | null;
    value(pointer: object | null): bigint | number;
  };
}

/** Deno gives BigInt for every 64-bit type; addresses are declared as integers so that they are values and not objects. */
const TYPES = {
  void: "void",
  bool: "bool",
  i32: "i32",
  u32: "u32",
  u16: "u16",
  u8: "u8",
  i64: "i64",
  u64: "u64",
  usize: "usize",
  isize: "isize",
  pointer: "usize",
  buffer: "buffer",
} as const satisfies Record<CType, string>;

const BITS = 64;

/** The interface of Deno. */
export const denoForeign: ForeignInterface = {
  open<T extends CTable>(path: string, table: T): Functions<T> {
    const shapes = Object.fromEntries(
      Object.entries(table).map(([name, { args, returns }]) => [
        name,
        { parameters: args.map((type) => TYPES[type]), result: TYPES[returns] },
      ]),
    );
    const { symbols } = deno().dlopen(path, shapes);
    const bound = Object.entries(table).map(([name, { returns }]) => {
      const call = symbols[name];
      if (call === undefined) throw new ProxyError("LIBRARY", `the library has no function ${name}`);
      return [name, isWide(returns) ? (...args: unknown[]) => toSigned(call(...args)) : call];
    });
    return Object.fromEntries(bound) as Functions<T>;
  },

  addressOf(view: Uint8Array): number {
    const pointers = deno().UnsafePointer;
    return Number(pointers.value(pointers.of(view)));
  },
};

function deno(): DenoForeign {
  return (globalThis as unknown as { Deno: DenoForeign }).Deno;
}

function isWide(type: CType): boolean {
  return type === "i64" || type === "u64" || type === "usize" || type === "isize" || type === "pointer";
}

function toSigned(value: unknown): number {
  return typeof value === "bigint" ? Number(BigInt.asIntN(BITS, value)) : Number(value);
}

/** `poll(2)` off the loop: (address of the pollfds, how many, milliseconds) -> how many are ready. */
export function denoPoll(): (address: number, count: number, timeoutMs: number) => Promise<number> {
  const shape = { parameters: ["usize", "u64", "i32"], result: "i32", nonblocking: true };
  const { symbols } = deno().dlopen("libc.so.6", { poll: shape });
  const { poll } = symbols as unknown as {
    poll: (address: number, count: number, timeoutMs: number) => Promise<number>;
  };
  return poll;
}
