# shellcheck shell=bash
# Sourced by start, build and test. Makes a fresh clone runnable: packages by lockfile (Bun among them), then the native
# library. What is there already is not made again. Afterwards BUN names the executable.
#
# Needed beforehand: git, a shell, node with npm, Rust with cargo. Exit code 3: something has to be installed first.

# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/environment.sh"
. "$ROOT/scripts/packages.sh"

NODE_MAJOR_MIN=18

set_up() {
  set_up_packages
  "$ROOT/quiche.build.sh" >&2
}

# Brings node_modules to what package-lock.json says, and finds Bun in it.
set_up_packages() {
  local started=$SECONDS
  if ! packages_are_fresh; then
    exec 8>"$CACHE/packages.lock"
    flock 8
    if ! packages_are_fresh; then
      need_node
      say "packages: npm ci"
      (cd -- "$ROOT" && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error 8>&- >&2) || fail 1 "npm ci failed"
      finish_bun
      sha256sum <"$ROOT/package-lock.json" >"$ROOT/node_modules/.spooky-lock"
      say "packages: done in $((SECONDS - started)) s"
    fi
    exec 8>&-
  fi
  link_deno
  find_bun || fail 1 "node_modules holds no Bun that runs on this machine ($(uname -sm)); remove node_modules and try again"
}

# True if node_modules was made from this lockfile. The stamp says so; where it is missing or old (`npm install` was run by
# hand), npm's own record of what it installed is compared.
packages_are_fresh() {
  local stamp=$ROOT/node_modules/.spooky-lock
  [ -f "$ROOT/node_modules/.package-lock.json" ] && find_bun || return 1
  [ "$(sha256sum <"$ROOT/package-lock.json")" != "$(cat -- "$stamp" 2>/dev/null)" ] || return 0
  (cd -- "$ROOT" && node -e "$COMPARE_LOCKS" 2>/dev/null) || return 1
  sha256sum <"$ROOT/package-lock.json" 2>/dev/null >"$stamp" || true
}

COMPARE_LOCKS='
  const { readFileSync } = require("node:fs");
  const read = (path) => JSON.parse(readFileSync(path, "utf8")).packages;
  const [wanted, present] = [read("package-lock.json"), read("node_modules/.package-lock.json")];
  const same = (name) => present[name].version === wanted[name]?.version && present[name].integrity === wanted[name].integrity;
  const missing = Object.keys(wanted).filter((name) => name !== "" && !wanted[name].optional && !present[name]);
  process.exitCode = missing.length === 0 && Object.keys(present).every(same) ? 0 : 1;
'

need_node() {
  local major
  command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 ||
    fail 3 "node and npm are not there: install Node.js $NODE_MAJOR_MIN or newer (Debian: apt-get install -y nodejs npm)"
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge $NODE_MAJOR_MIN ] || fail 3 "node $major is too old: Node.js $NODE_MAJOR_MIN or newer is needed"
}

# An npm that is told to run no install scripts leaves a placeholder where Bun should be. Bun's own script, which only links
# the executable that npm has fetched already, is run then.
finish_bun() {
  (cd -- "$ROOT/node_modules" && { .bin/bun --version >/dev/null 2>&1 || (cd bun && node install.js) >&2; })
}

# The package `deno` brings nothing but a way to find the one for this machine, which is asked for directly.
link_deno() {
  local link=$ROOT/node_modules/.bin/deno
  [ -e "$link" ] || [ ! -x "$ROOT/node_modules/@deno/linux-x64-glibc/deno" ] ||
    ln -sfn ../@deno/linux-x64-glibc/deno "$link" 2>/dev/null || true
}

# The executable itself, not npm's link to it: signals reach it, and its process id is the one that was started.
find_bun() {
  for BUN in "$ROOT"/node_modules/@oven/bun-*/bin/bun "$ROOT/node_modules/bun/bin/bun.exe"; do
    if [ -x "$BUN" ] && "$BUN" --revision >/dev/null 2>&1; then return 0; fi
  done
  return 1
}

# run_bun FILE ARGUMENT...: becomes Bun running a file of the project, deaf to a bunfig.toml or .env in the caller's folder.
run_bun() {
  exec "$BUN" --config="$ROOT/bunfig.toml" --no-env-file --no-install "$@"
}
