/** Finds and opens the native library. Opening is a function: it gives the library or an error that says what was tried. */
import { readFileSync, writeSync } from "node:fs";
import { messageOf, ProxyError } from "../src/core/error.ts";
import type { ForeignInterface, Functions } from "./abi.ts";
import { HandleLedger } from "./handle.ts";
import { LIBC_SYMBOLS } from "./libc.symbols.ts";
import { Arena } from "./memory.ts";
import { OWN_SYMBOLS } from "./own.symbols.ts";
import { QUICHE_SYMBOLS } from "./quiche.symbols.ts";

/** Must equal `ABI_VERSION` in `ffi/native/src/lib.rs`. */
const ABI_VERSION = 8;
const LIBC = "libc.so.6";
const SCRATCH_BYTES = 16 * 1024;
const TEXT_BYTES_MAX = 256;
const MFD_CLOEXEC = 1;

/** All of the native library. */
const NATIVE_SYMBOLS = { ...QUICHE_SYMBOLS, ...OWN_SYMBOLS } as const;

/** The C library's functions. */
export type Libc = Functions<typeof LIBC_SYMBOLS>;
/** The native library's functions. */
export type Native = Functions<typeof NATIVE_SYMBOLS>;

/** Where a library may be: a path, or a file embedded in the executable. */
export type LibraryPlace =
  { readonly kind: "path"; readonly path: string } | { readonly kind: "embedded"; readonly path: string };

/** An open native library with what its users share. */
export class Library {
  readonly foreign: ForeignInterface;
  readonly libc: Libc;
  readonly native: Native;
  readonly ledger = new HandleLedger();
  /** For out-parameters of one call; nothing in it survives the next call. */
  readonly scratch: Arena;
  readonly #errnoAddress: number;
  readonly #errnoAt: number;

  constructor(foreign: ForeignInterface, libc: Libc, native: Native) {
    this.foreign = foreign;
    this.libc = libc;
    this.native = native;
    this.scratch = new Arena(foreign, SCRATCH_BYTES);
    this.#errnoAt = this.scratch.take(8);
    this.#errnoAddress = libc.__errno_location();
  }

  /** `errno` of the last C call on this thread. Read it at once. */
  errno(): number {
    this.libc.memcpy(this.scratch.address + this.#errnoAt, this.#errnoAddress, 4);
    return this.scratch.view.getInt32(this.#errnoAt, true);
  }

  /** Copies `size` bytes from an address of C's into `arena` at `at`. */
  copyIn(arena: Arena, at: number, address: number, size: number): void {
    if (size > 0) this.libc.memcpy(arena.address + at, address, size);
  }

  /** The NUL-terminated ASCII text at an address of C's, which must have `TEXT_BYTES_MAX` readable bytes or end before. */
  textAt(address: number): string {
    const arena = new Arena(this.foreign, TEXT_BYTES_MAX);
    for (let at = 0; at < TEXT_BYTES_MAX; at++) {
      this.copyIn(arena, at, address + at, 1);
      if (arena.bytes[at] === 0) break;
    }
    return arena.text(0);
  }

  /** What was built: quiche's version and the hash of the library's inputs. */
  describe(): { quiche: string; buildHash: string } {
    return {
      quiche: this.textAt(this.native.quiche_version()),
      buildHash: this.textAt(this.native.spooky_build_hash()),
    };
  }
}

/** Opens the first library of `places` that exists and fits. Throws `LIBRARY` with every place and its reason. */
export function openLibrary(foreign: ForeignInterface, places: readonly LibraryPlace[]): Library {
  const libc = openLibc(foreign);
  const reasons: string[] = [];
  for (const place of places) {
    try {
      const native =
        place.kind === "embedded" ? openEmbedded(foreign, libc, place.path) : openPath(foreign, place.path);
      const version = native.spooky_abi_version();
      if (version === ABI_VERSION) return new Library(foreign, libc, native);
      reasons.push(`${place.path}: its interface is number ${version}, this program needs ${ABI_VERSION}`);
    } catch (thrown) {
      reasons.push(`${place.path}: ${messageOf(thrown)}`);
    }
  }
  throw new ProxyError("LIBRARY", `the native library could not be opened. Tried:\n  ${reasons.join("\n  ")}`, {
    remedy: "build it with ./quiche.build.sh, or name it in SPOOKY_NATIVE_LIBRARY",
  });
}

/** Opens the C library alone. */
export function openLibc(foreign: ForeignInterface): Libc {
  return foreign.open(LIBC, LIBC_SYMBOLS);
}

function openPath(foreign: ForeignInterface, path: string): Native {
  return foreign.open(path, NATIVE_SYMBOLS);
}

/**
 * An embedded library goes through a memory file, which works with a read-only or noexec temp folder and leaves nothing behind;
 * where the kernel refuses that, the runtime extracts it itself.
 */
function openEmbedded(foreign: ForeignInterface, libc: Libc, path: string): Native {
  const name = new TextEncoder().encode("spooky-native\0");
  const fd = libc.memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) return openPath(foreign, path);
  try {
    const bytes = readFileSync(path);
    let at = 0;
    while (at < bytes.length) at += writeSync(fd, bytes, at);
    return openPath(foreign, `/proc/self/fd/${fd}`);
  } catch {
    return openPath(foreign, path);
  } finally {
    libc.close(fd);
  }
}
