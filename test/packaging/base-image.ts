/** A base like `gcr.io/distroless/cc-debian12:nonroot`, laid out from the same packages of Debian: no shell, no tools. */
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { DEBIAN_ARCH } from "./release-tree.ts";

/** The packages of that image that a program can notice; certificates of authorities, time zones and protocol names are left out. */
const PACKAGES = ["libc6", "libgcc-s1", "libstdc++6"];
const MERGED = ["lib", "lib64"];

/** Lays it out in the empty folder `to`, from a Debian that has been installed in the folder `debian`. */
export function layBaseImage(debian: string, to: string): void {
  for (const name of MERGED) {
    const target = readlinkSync(join(debian, name));
    mkdirSync(join(to, target), { recursive: true });
    symlinkSync(target, join(to, name));
  }
  for (const name of PACKAGES) for (const path of filesOf(debian, name)) copyInto(debian, to, path);
  mkdirSync(join(to, "etc"), { recursive: true });
  writeFileSync(
    join(to, "etc/passwd"),
    "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin\n",
  );
  writeFileSync(join(to, "etc/group"), "root:x:0:\nnonroot:x:65532:\n");
}

function filesOf(debian: string, name: string): string[] {
  const list = readFileSync(join(debian, "var/lib/dpkg/info", `${name}:${DEBIAN_ARCH}.list`), "utf8");
  return list.split("\n").filter((path) => path.length > 2 && !path.includes("/usr/share/"));
}

/** A file or a link, at the place where links to folders lead. */
function copyInto(debian: string, to: string, path: string): void {
  const from = join(debian, path);
  const found = lstatSync(from);
  if (found.isDirectory()) return;
  const folder = join(to, relative(realpathSync(debian), realpathSync(dirname(from))));
  mkdirSync(folder, { recursive: true });
  const target = join(folder, basename(path));
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) return;
  if (found.isSymbolicLink()) symlinkSync(readlinkSync(from), target);
  else copyFileSync(from, target);
}
