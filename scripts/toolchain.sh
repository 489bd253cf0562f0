#!/usr/bin/env bash
# Prints the folder of the release's toolchain, which it makes in the user's cache folder when it is not there. The folder holds
#
#   bin/              zig's wrappers for cargo, `rustc` with the standard libraries of both architectures
#   bun-ARCH/bun      Bun's executable for x86_64 and aarch64
#   arm64/            Debian's C library for arm64, with which qemu runs programs of that architecture
#   versions          what all of it is, one NAME VERSION a line
#
# With --cached it makes nothing, and ends with 3 when it is not there.
#
# Everything comes from package registries (PyPI, npm, Debian) by their ordinary clients, and nothing is installed on the system but the
# build's own needs. Debian's archive keeps only its newest Rust, so that one is taken and its version written down; all else is pinned.
# Exit codes: 0 printed, 1 a package could not be fetched or is not what was expected, 2 wrong use, 3 something must be installed first.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"

STORE=$CACHE/toolchain
KEPT_MAX=2
REQUIREMENTS=$ROOT/scripts/toolchain.requirements.txt
LOCK=$ROOT/package-lock.json

main() {
  local key place
  [ "${1:---cached}" = --cached ] || fail 2 "unknown option $1; see the head of $0"
  [ "$(uname -m)" = x86_64 ] || fail 3 "releases are made on x86_64, and this machine is $(uname -m)"
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 ||
    fail 3 "releases are made on Debian 12 or newer: the Rust libraries for aarch64 are Debian's packages"
  key=$(cat -- "$0" "$REQUIREMENTS" <(grep -A 2 '"node_modules/@oven/bun-linux' "$LOCK") /etc/os-release | sha256sum | cut -c 1-32)
  place=$STORE/$key
  if [ ! -f "$place/versions" ]; then
    [ $# = 0 ] || fail 3 "the release's toolchain is not in the cache"
    mkdir -p -- "$STORE"
    exec 9>"$STORE/lock"
    flock 9
    [ -f "$place/versions" ] || make_toolchain "$place" 9>&-
    exec 9>&-
  fi
  touch -c -- "$place/versions" 2>/dev/null || true
  printf '%s\n' "$place"
}

# Made where it stays, since a virtual environment knows its own path; the file `versions` comes last.
make_toolchain() {
  local place=$1
  say "release toolchain: fetching zig, Rust's libraries for both architectures and Bun (some 2 minutes, once per version)"
  rm -rf -- "$place"
  mkdir -p -- "$place/bin" "$place/temporary"
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || install_packages "releases" python3 python3-venv || exit 3
  find_zig "$place"
  find_rust_libraries "$place"
  find_bun_of x64 x86_64 "$place"
  find_bun_of aarch64 aarch64 "$place"
  rm -rf -- "$place/temporary"
  mv -- "$place/versions.new" "$place/versions"
  prune
}

find_zig() {
  python3 -m venv "$1/python" >&2 || fail 1 "python3 -m venv failed"
  "$1/python/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$REQUIREMENTS" >&2 || fail 1 "pip could not install the packages of $REQUIREMENTS"
  ln -s -- "$1/python/bin/cargo-zigbuild" "$1"/python/lib/python3*/site-packages/ziglang/zig "$1/bin/"
  printf 'zig %s\ncargo-zigbuild %s\n' "$("$1/bin/zig" version)" \
    "$("$1/bin/cargo-zigbuild" --version | sed 's/.* //')" >>"$1/versions.new"
}

# Debian's rustc with the libraries of both architectures in a folder of their own: rustup's are for this processor alone, and apt would
# not put Debian's beside another Rust. Names with versions in them are read from the dependencies.
find_rust_libraries() {
  local place=$1 debs=$1/temporary/debs rust=$1/rust std shared llvm deb
  mkdir -p -- "$place"/temporary/apt/{lists/partial,cache/archives/partial} "$debs" "$rust" "$place/arm64"
  APT=(-o "Dir::State::lists=$place/temporary/apt/lists" -o "Dir::Cache=$place/temporary/apt/cache" -o Dir::State::status=/dev/null
    -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root)
  apt-get "${APT[@]}" update -qq >&2 || fail 1 "Debian's package lists could not be fetched"
  std=$(dependency rustc-web 'libstd-rust-web-dev')
  shared=$(dependency "$std" 'libstd-rust-web-[0-9.]*')
  llvm=$(dependency "$shared" 'libllvm[0-9]*')
  (cd -- "$debs" && apt-get "${APT[@]}" download -qq rustc-web "$std" "$std:arm64" "$shared" "$llvm" libc6:arm64 libgcc-s1:arm64 >&2) ||
    fail 1 "Debian's rustc-web and its libraries could not be fetched"
  for deb in "$debs"/*_amd64.deb "$debs"/libstd-rust-web-dev_*_arm64.deb; do dpkg-deb -x "$deb" "$rust"; done
  for deb in "$debs"/libc6_*_arm64.deb "$debs"/libgcc-s1_*_arm64.deb; do dpkg-deb -x "$deb" "$place/arm64"; done
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$rust/usr/lib/x86_64-linux-gnu" "$rust/usr/bin/rustc" >"$place/bin/rustc"
  chmod 755 -- "$place/bin/rustc"
  printf 'rustc %s (Debian %s)\n' "$("$place/bin/rustc" --version | cut -d ' ' -f 2)" \
    "$(dpkg-deb -f "$debs"/rustc-web_*.deb Version)" >>"$place/versions.new"
}

# dependency PACKAGE PATTERN: the first package that it depends on and that is called so.
dependency() {
  local found
  found=$(apt-cache "${APT[@]}" depends --no-recommends "$1" | sed -n "s/.*Depends: \($2\)\$/\1/p" | head -n 1)
  [ -n "$found" ] || fail 1 "Debian's $1 depends on nothing that is called $2"
  printf '%s\n' "$found"
}

# find_bun_of NPM_NAME ARCH FOLDER: the version and the checksum are those of package-lock.json.
find_bun_of() {
  local work=$3/temporary/bun-$1 wanted version
  version=$(lock_entry "$1" version)
  wanted=$(lock_entry "$1" integrity)
  mkdir -p -- "$work" "$3/bun-$2"
  (cd -- "$work" && npm pack --silent "@oven/bun-linux-$1@$version" >/dev/null) || fail 1 "npm could not fetch Bun for $1"
  [ "sha512-$(openssl dgst -sha512 -binary "$work"/*.tgz | base64 -w 0)" = "$wanted" ] ||
    fail 1 "Bun for $1 is not the file that package-lock.json names"
  tar -xzf "$work"/*.tgz -C "$work"
  mv -- "$work/package/bin/bun" "$3/bun-$2/bun"
  printf 'bun-%s %s\n' "$2" "$version" >>"$3/versions.new"
}

lock_entry() {
  node -p 'JSON.parse(require("node:fs").readFileSync(process.argv[1])).packages[process.argv[2]][process.argv[3]]' \
    "$LOCK" "node_modules/@oven/bun-linux-$1" "$2"
}

prune() {
  local old
  find "$STORE" -mindepth 2 -maxdepth 2 -name versions -printf '%T@ %h\n' | sort -rn | tail -n +$((KEPT_MAX + 1)) | cut -d ' ' -f 2- |
    while IFS= read -r old; do rm -rf -- "$old"; done
}

main "$@"
