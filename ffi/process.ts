/** What a process does to itself through libc: its name, and starting anew in its own place. */
import type { ForeignInterface } from "./abi.ts";
import { SOCKET } from "./layout.ts";
import type { Libc } from "./library.ts";
import { Arena } from "./memory.ts";

/** The kernel keeps 15 characters and a NUL. */
const NAME_BYTES = 16;
const POINTER_BYTES = 8;
/** glibc's `cpu_set_t`: 1,024 cores. */
const CPU_SET_BYTES = 128;

/** Sets the name that `ps -o comm` and `pgrep -x` see. */
export function setProcessName(foreign: ForeignInterface, libc: Libc, name: string): void {
  const arena = new Arena(foreign, NAME_BYTES);
  writeText(arena, 0, name.slice(0, NAME_BYTES - 1));
  libc.prctl(SOCKET.PR_SET_NAME, arena.address, 0, 0, 0);
}

/** Keeps this thread, and those that it starts later, on one core. False when the kernel refuses. */
export function pinToCore(foreign: ForeignInterface, libc: Libc, core: number): boolean {
  const arena = new Arena(foreign, CPU_SET_BYTES);
  if (core < 0 || core >= CPU_SET_BYTES * 8) return false;
  arena.bytes[core >> 3] = 1 << (core & 7);
  return libc.sched_setaffinity(0, CPU_SET_BYTES, arena.address) === 0;
}

/**
 * Replaces this process by another program, same pid, same descriptors (but for those closed on exec). Returns only when
 * the kernel refuses.
 */
export function replaceProcess(
  foreign: ForeignInterface,
  libc: Libc,
  program: { readonly path: string; readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> },
): void {
  const env = Object.entries(program.env).map(([name, value]) => `${name}=${value}`);
  const texts = [program.path, ...program.args, ...env].map((text) => new TextEncoder().encode(`${text}\0`));
  const textBytes = texts.reduce((sum, bytes) => sum + bytes.length, 0);
  const pointerBytes = (program.args.length + env.length + 2) * POINTER_BYTES;
  const arena = new Arena(foreign, textBytes + pointerBytes + 64);
  const places = texts.map((bytes) => {
    const at = arena.take(bytes.length, 1);
    arena.bytes.set(bytes, at);
    return arena.address + at;
  });
  const [path = 0, ...rest] = places;
  const args = writePointers(arena, rest.slice(0, program.args.length));
  const environment = writePointers(arena, rest.slice(program.args.length));
  libc.execve(path, args, environment);
}

/** A NULL-terminated array of addresses; returns its own. */
function writePointers(arena: Arena, addresses: readonly number[]): number {
  const at = arena.take((addresses.length + 1) * POINTER_BYTES);
  addresses.forEach((address, i) => arena.setWide(at + i * POINTER_BYTES, address));
  arena.setWide(at + addresses.length * POINTER_BYTES, 0);
  return arena.address + at;
}

function writeText(arena: Arena, at: number, text: string): void {
  arena.bytes.set(new TextEncoder().encode(`${text}\0`), at);
}
