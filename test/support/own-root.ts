/**
 * A file system of its own with mounts, processes and network of its own, to install packages in: what is written there is gone with the test, what it
 * is laid over stays as it was, and nothing that runs there sees or reaches this machine. No service manager is started.
 */
import { readFileSync } from "node:fs";
import { assert } from "../../src/core/assert.ts";
import type { NetworkPlace } from "./netns.ts";
import { type RunningProcess, runProcess, startProcess } from "./process.ts";
import { tempFolder } from "./temp.ts";

/** How a command is run inside. */
export interface InsideOptions {
  /** Number of the user and its group; default root. */
  readonly uid?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** True: it is the first process of a namespace of its own, which signals pass by that it does not handle. */
  readonly first?: boolean;
}

/** A root that is there until the test, group or file that made it ends; then everything in it is killed. */
export interface OwnRoot {
  /** Programs of this machine in the root's network alone: clients and backends. */
  readonly network: NetworkPlace;
  /** The path of a file of the root as this machine reaches it. */
  path(inside: string): string;
  /** A program of this machine in all of the root's namespaces, for which the root is the folder `place`. */
  beside(command: readonly string[]): readonly string[];
  /** Where programs that run beside it find the root. */
  readonly place: string;
  /** Puts a command inside. What is started is a parent of the command, which hands no signals on: `signal` reaches the command itself. */
  command(command: readonly string[], options?: InsideOptions): readonly string[];
  /** Runs a command inside to its end. */
  run(
    command: readonly string[],
    options?: InsideOptions,
  ): Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** From here on nothing in it can be written but what is mounted on it. */
  seal(): Promise<void>;
  /** Signals the program that a command became. */
  signal(child: RunningProcess, name: NodeJS.Signals): void;
}

/** What is different from a machine's root. */
export interface OwnRootOptions {
  /** False: /run and /tmp are folders like others, as in a container. */
  readonly temporary?: boolean;
  /** The emulator by which arm64's programs run in it, those too that they start. It is told to the kernel for this root alone. */
  readonly emulator?: string;
}

/** Lays a root over the folder `lower`, which is not changed. */
export async function openRoot(lower: string, options: OwnRootOptions = {}): Promise<OwnRoot> {
  const place = tempFolder("root");
  const { temporary = true, emulator } = options;
  const script = [MOUNTS, ...(temporary ? [TEMPORARY] : []), emulator === undefined ? KEEP : EMULATE].join("\n");
  const isolation = ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"];
  const keeper = startProcess({ command: [...isolation, "sh", "-c", script, "sh", place, lower, emulator ?? ""] });
  await keeper.waitForLine((line) => line === "here");
  const inner = childOf(keeper.pid);
  const root = `${place}/root`;
  const network = (command: readonly string[]): readonly string[] => [
    "nsenter",
    `--net=/proc/${inner}/ns/net`,
    "--",
    ...command,
  ];
  const user = emulator === undefined ? [] : ["--user"];
  const spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"];
  const entering = ["nsenter", `--target=${inner}`, ...user, ...spaces, "--"];
  const command = (program: readonly string[], how: InsideOptions = {}): readonly string[] => [
    ...["env", "-i", `PATH=${PATH}`, ...Object.entries(how.env ?? {}).map(([name, value]) => `${name}=${value}`)],
    ...entering,
    ...(how.first === true ? ["unshare", "--pid", "--fork", "--kill-child"] : []),
    ...asUser(how.uid ?? 0, root),
    ...program,
  ];
  return {
    network: { command: network },
    beside: (program) => [...entering, ...program],
    place: root,
    path: (inside) => `/proc/${inner}/root${root}${inside}`,
    command,
    run: (program, how) => runProcess({ command: command(program, how) }),
    seal: async () => {
      const mount = [...entering, "sh", "-c", SEAL, "sh", root];
      const { code, stderr } = await runProcess({ command: mount });
      assert(code === 0, `it can be made read-only: ${stderr}`);
    },
    signal: (child, name) => void process.kill(programOf(child.pid), name),
  };
}

function asUser(uid: number, root: string): readonly string[] {
  return ["chroot", `--userspec=${uid}:${uid}`, ...(uid === 0 ? [] : ["--groups="]), root];
}

/** The program that a command became, below those that entered its namespaces. */
function programOf(pid: number): number {
  const child = childOf(pid);
  const name = readFileSync(`/proc/${child}/comm`, "utf8").trim();
  return name === "unshare" ? programOf(child) : child;
}

/** The one child of a process, as this machine numbers it. */
function childOf(pid: number): number {
  const [child = ""] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  assert(child !== "", "it has a child");
  return Number(child);
}

/** Why there are no such roots here; null when there are. */
export const ROOTS_MISSING: string | null = await whyMissing();

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** $1: an empty folder, $2: what the root is laid over. */
const MOUNTS = `set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"
mkdir -p proc dev sys run tmp
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 none dev
for device in null zero full random urandom tty; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
ln -s /proc/self/fd dev/fd
mkdir dev/shm
ip link set lo up`;

const SEAL = `mount -o remount,ro "$1" && mount -o remount,ro "$1/dev"`;

const TEMPORARY = `mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=1777 none tmp`;

/** The first process of the namespace; \`cat\` ends when its input does, and its input is ours. */
const KEEP = `echo here
exec cat`;

/** The first bytes of a 64-bit ELF program of arm64 (EM_AARCH64, 183), of either type of executable, and the bits of them that count. */
const ARM64_BYTES = `\\x7fELF\\x02\\x01\\x01${"\\x00".repeat(9)}\\x02\\x00\\xb7\\x00`;
const ARM64_BITS = `${"\\xff".repeat(7)}\\x00${"\\xff".repeat(8)}\\xfe\\xff\\xff\\xff`;

/**
 * Into a namespace of users of its own: what the kernel is told there about foreign programs holds there and nowhere else (Linux 6.7). Users have the
 * same numbers inside and outside, which those two files have to allow.
 */
const OWN_USERS = `mount -t proc proc /proc
echo root:0:65536 > "$1/numbers"
mount --bind "$1/numbers" /etc/subuid
mount --bind "$1/numbers" /etc/subgid
exec unshare --user --map-users=0,0,65536 --map-groups=0,0,65536 --mount sh -c`;

/** $3: the emulator, which the kernel keeps open. The network is not that namespace's own, so ports below 1024 are given to everybody. */
const EMULATE = `echo 0 > proc/sys/net/ipv4/ip_unprivileged_port_start
${OWN_USERS} '
set -e
mount -t binfmt_misc none "$1/root/proc/sys/fs/binfmt_misc"
printf %s ":arm64:M::${ARM64_BYTES}:${ARM64_BITS}:$3:F" > "$1/root/proc/sys/fs/binfmt_misc/register"
${KEEP}' "$0" "$@"`;

/** Why an emulator cannot be told to the kernel for a root alone; null when it can. */
export async function whyNoEmulation(): Promise<string | null> {
  if (ROOTS_MISSING !== null) return ROOTS_MISSING;
  const script = `mount -t tmpfs none /mnt && ${OWN_USERS} "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc" "$0" "$@"`;
  const command = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", `mount --make-rprivate / && ${script}`];
  const { code, stderr } = await runProcess({ command: [...command, "sh", "/mnt"] });
  return code === 0 ? null : `emulation for a root alone (Linux 6.7, newuidmap): ${stderr.trim().split("\n")[0]}`;
}

async function whyMissing(): Promise<string | null> {
  const how = "roots of their own: ";
  if (process.platform !== "linux" || process.getuid?.() !== 0) return `${how}only root of Linux makes them`;
  for (const tool of ["unshare", "nsenter", "ip"])
    if (Bun.which(tool) === null) return `${how}there is no \`${tool}\` (./scripts/test names the package)`;
  const script = "mount --make-rprivate / && mkdir -p /mnt && mount -t tmpfs none /mnt && cd /mnt && mkdir a b c d";
  const mount = "mount -t overlay -o lowerdir=a,upperdir=b,workdir=c overlay d";
  const { code, stderr } = await runProcess({
    command: ["unshare", "--mount", "--pid", "--net", "--fork", "sh", "-c", `${script} && ${mount}`],
  });
  return code === 0 ? null : `${how}they cannot be made here: ${stderr.trim().split("\n")[0]}`;
}
