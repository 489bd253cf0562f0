/** What the kernel knows of processes, read from /proc: processor time, memory, descriptors. What cannot be read is null. */
import { closeSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import process from "node:process";

/** /proc counts time in hundredths of a second on every Linux there is (USER_HZ). */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/PID/stat behind the name in brackets (proc_pid_stat(5)), the state being the first. */
const STAT = { utime: 11, stime: 12, cutime: 13, cstime: 14 } as const;

/** One process. */
export interface ProcessUse {
  readonly cpuSeconds: number;
  /** Of children that have ended and were waited for. */
  readonly childrenCpuSeconds: number;
  readonly residentBytes: number;
}

/** Descriptors of this process. */
export interface DescriptorUse {
  readonly open: number;
  /** `Infinity` where there is no limit. */
  readonly max: number;
}

/** `pid`: a number, or `self`. */
export function processUse(pid: number | "self"): ProcessUse | null {
  const [stat, status] = [read(`/proc/${pid}/stat`), read(`/proc/${pid}/status`)];
  return stat === null || status === null ? null : parseUse(stat, status);
}

/**
 * From the texts of /proc/PID/stat and /proc/PID/status; null when they are none. Memory is in the first one too, but in pages, whose size
 * differs from kernel to kernel (4 to 64 KiB on aarch64).
 */
export function parseUse(stat: string, status: string): ProcessUse | null {
  // The name may hold anything, brackets and spaces too.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [utime, stime] = [fields[STAT.utime], fields[STAT.stime]];
  const [cutime, cstime] = [fields[STAT.cutime], fields[STAT.cstime]];
  if (utime === undefined || stime === undefined || cutime === undefined) return null;
  // A process that has ended and was not waited for has no memory, and no line of it.
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  if (cstime === undefined || !status.startsWith("Name:")) return null;
  return {
    cpuSeconds: (utime + stime) / TICKS_PER_SECOND,
    childrenCpuSeconds: (cutime + cstime) / TICKS_PER_SECOND,
    residentBytes: kilobytes * 1024,
  };
}

/** Since Linux 6.2 the size of the folder says how many descriptors are open; before that they are counted. */
export function descriptorUse(): DescriptorUse | null {
  const limits = read("/proc/self/limits");
  const max = /^Max open files\s+(\S+)/m.exec(limits ?? "")?.[1];
  if (max === undefined) return null;
  try {
    const { size } = statSync("/proc/self/fd");
    const open = size > 0 ? size : readdirSync("/proc/self/fd").length;
    return { open, max: max === "unlimited" ? Infinity : Number(max) };
  } catch {
    return null;
  }
}

/** Bytes of the heap in use; 0 where the runtime cannot say, which without a descriptor it cannot (Bun 1.4.5 reads a file for it). */
export function heapBytes(): number {
  try {
    return process.memoryUsage().heapUsed;
  } catch {
    return 0;
  }
}

/**
 * Whether this process, or the machine, has no descriptor left. For when something could not be opened: runtimes say of a socket
 * that it was refused, as if somebody else had done so (Bun 1.4.5).
 */
export function lacksDescriptors(): boolean {
  try {
    closeSync(openSync("/dev/null", "r"));
    return false;
  } catch (thrown) {
    const code: unknown = thrown instanceof Error ? Reflect.get(thrown, "code") : null;
    return code === "EMFILE" || code === "ENFILE";
  }
}

/** Bytes of memory that the machine has. The runtime asks the kernel (sysinfo(2)): a service with `ProcSubset=pid` has no /proc/meminfo. */
export function machineMemoryBytes(): number {
  return totalmem();
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}
