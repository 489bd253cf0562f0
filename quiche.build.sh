#!/usr/bin/env bash
# Builds the native library: the crate in ffi/native (quiche's whole C API and a few functions of ours) as one shared object.
#
#   ./quiche.build.sh                builds it, or takes it from the cache, and puts it into dist/native
#   ./quiche.build.sh --check        says by its exit code whether it is in the cache already (0) or has to be built (1)
#   ./quiche.build.sh --print-path   prints where the cached library is, or will be; builds nothing
#   ./quiche.build.sh --portable=ARCH [--check | --print-path]
#                                    the same for the library of a release (scripts/portable.sh): for x86_64 or aarch64, for old
#                                    systems, and without a path of this machine in it; it goes into dist/native-ARCH
#
# The cache is keyed by a hash of everything that goes in: the crate, the probe, this script, the compiler and the target. It
# lives in the user's cache folder, so that a second clone builds nothing. An entry holds libspooky_native.so, quiche.h and
# quiche.layout.ts (what ffi/probe/layout.c prints), and appears as a whole or not at all.
# Exit codes: 0 done, 1 the build failed (or --check: it has to be built), 2 wrong use, 3 something must be installed first.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/scripts/environment.sh"
. "$ROOT/scripts/packages.sh"
. "$ROOT/scripts/portable.sh"

RUST_MINOR_MIN=88       # quiche 0.30 says rust-version 1.88
ENTRIES_KEPT_MAX=4      # older entries of the cache are deleted; one takes 4 MB
PROGRESS_EVERY_S=10

CRATE=$ROOT/ffi/native
LIBRARY=libspooky_native.so
STORE=$CACHE/native
OUT=$ROOT/dist/native
TARGET=
CARGO_BUILD=(cargo build)

main() {
  local portable=
  case ${1:-} in
    --portable=*)
      portable=${1#*=}
      shift
      ;;
  esac
  case $# in
    0) set -- --build ;;
    1) ;;
    *) fail 2 "one option at most; see the head of $0" ;;
  esac
  case $1 in
    --build | --check | --print-path) ;;
    *) fail 2 "unknown option $1; see the head of $0" ;;
  esac
  if [ -n "$portable" ]; then use_portable "$portable"; else read_compiler; fi
  HASH=$(input_hash)
  ENTRY=$STORE/$HASH
  case $1 in
    --print-path) printf '%s\n' "$ENTRY/$LIBRARY" ;;
    --check) is_published || is_complete ;;
    --build)
      touch -c -- "$ENTRY" 2>/dev/null || true # the newest entries survive pruning
      is_published && return
      is_complete || build_once
      publish
      ;;
  esac
}

# Reads the compiler's version and target; refuses one that is too old.
read_compiler() {
  local minor
  command -v cargo >/dev/null 2>&1 && command -v rustc >/dev/null 2>&1 ||
    fail 3 "cargo and rustc are not there: install Rust 1.$RUST_MINOR_MIN or newer"
  COMPILER=$(cd -- "$CRATE" && rustc -vV 2>&1) || fail 3 "rustc does not run: ${COMPILER%%$'\n'*}"
  minor=$(sed -n 's/^release: 1\.\([0-9]*\).*/\1/p' <<<"$COMPILER")
  [ "${minor:-0}" -ge $RUST_MINOR_MIN ] ||
    fail 3 "${COMPILER%%$'\n'*} is too old: the native library needs Rust 1.$RUST_MINOR_MIN or newer (rustup update stable)"
}

# The name of everything that goes into the library. Paths count, so that a moved file is a change.
input_hash() {
  (
    cd -- "$ROOT"
    {
      printf '%s\0' ffi/native/Cargo.toml ffi/native/Cargo.lock ffi/native/build.rs quiche.build.sh
      [ -z "$TARGET" ] || printf '%s\0' scripts/portable.sh
      find ffi/native/src -type f -name '*.rs' -print0
      find ffi/native/patches -type f -name '*.patch' -print0
      [ ! -d ffi/probe ] || find ffi/probe -type f -name '*.[ch]' -print0
    } | LC_ALL=C sort -z | xargs -0 sha256sum --
    printf '%s\n' "$COMPILER" "flags ${RUSTFLAGS:-} ${CARGO_ENCODED_RUSTFLAGS:-} ${CFLAGS:-} ${CXXFLAGS:-}"
  ) | sha256sum | cut -c 1-32
}

# True if dist/native holds the library of these inputs already, wherever it was built. It comes last, so all is there.
is_published() { [ -f "$OUT/quiche.h" ] && { [ -f "$OUT/quiche.layout.ts" ] || ! has_probe; } && grep -qaF -- "$HASH" "$OUT/$LIBRARY" 2>/dev/null; }

# What the probe prints is asked of the machine that it runs on, which need not be the library's.
has_probe() { [ -z "$TARGET" ] && [ -f "$ROOT/ffi/probe/layout.c" ]; }

is_complete() {
  [ -f "$ENTRY/$LIBRARY" ] && [ -f "$ENTRY/quiche.h" ] &&
    { [ -f "$ENTRY/quiche.layout.ts" ] || ! has_probe; }
}

# Builds under a lock: of two scripts that run at once one builds, and the other finds the result.
build_once() {
  local missing
  missing=$(missing_build_packages)
  # shellcheck disable=SC2086 # a list of package names
  [ -z "$missing" ] || install_packages "the native library" $missing || exit 3
  mkdir -p -- "$STORE"
  exec 9>"$STORE/lock"
  if ! flock -n 9; then
    say "native library: another build is running; waiting for it"
    flock 9
  fi
  if ! is_complete; then
    rm -rf -- "$STORE"/.build.* # left by a build that was killed: whoever holds the lock is the only one
    WORK=$(mktemp -d "$STORE/.build.XXXXXX")
    trap 'stop_progress; rm -rf -- "$WORK"' EXIT
    mkdir -- "$WORK/entry"
    compile
    find_header
    probe
    rm -rf -- "$ENTRY"
    mv -- "$WORK/entry" "$ENTRY"
    rm -rf -- "$WORK"
    trap - EXIT
    prune
  fi
  exec 9>&-
}

# Fetches what the lock file names, by its checksums, and makes a copy of the crate that is built with our changes to quiche. Only the
# copy's lock file says so; everything else in it stays as it is locked. Quiche lies inside the crate: cargo names functions by where a
# package is, and that must not be a path of this machine.
patch_quiche() {
  local manifest patch
  (cd -- "$CRATE" && cargo fetch --locked 9>&- >>"$WORK/log" 2>&1) || return 1
  manifest=$(cd -- "$CRATE" && cargo metadata --format-version 1 --locked --offline 2>>"$WORK/log" |
    grep -o '"manifest_path":"[^"]*/quiche-[0-9][^"/]*/Cargo.toml"' | head -n 1 | cut -d '"' -f 4) || return 1
  PATCHED=$STORE/patched
  rm -rf -- "$PATCHED"
  mkdir -p -- "$PATCHED"
  QUICHE=$PATCHED/crate/$(basename -- "${manifest%/Cargo.toml}")
  cp -r -- "$CRATE" "$PATCHED/crate" && cp -r -- "${manifest%/Cargo.toml}" "$QUICHE"
  for patch in "$CRATE"/patches/*.patch; do
    # Were the cache inside a repository, git would take its files for those of that repository and do nothing.
    GIT_CEILING_DIRECTORIES=$PATCHED git -C "$PATCHED/crate/$(basename -- "$patch" .patch)" apply --whitespace=nowarn -p1 -- "$patch" \
      >>"$WORK/log" 2>&1 || return 1
  done
}

compile() {
  local started=$SECONDS artifact
  say "native library: building quiche and BoringSSL (some 4 minutes on 2 cores, most of them in BoringSSL; once per version)"
  touch -- "$WORK/started"
  start_progress
  if ! patch_quiche || ! (run_cargo 9>&- >"$WORK/messages" 2>>"$WORK/log"); then
    stop_progress
    tail -n 40 -- "$WORK/log" >&2
    cp -- "$WORK/log" "$STORE/failed.log"
    fail 1 "the native library could not be built; the whole log is $STORE/failed.log"
  fi
  stop_progress
  artifact=$(grep -o '"[^"]*/'"$LIBRARY"'"' "$WORK/messages" | tail -n 1 | tr -d '"')
  # The hash stands in the library as text. A library without it was built for other inputs.
  grep -qaF -- "$HASH" "$artifact" || fail 1 "cargo gave a library that was built from other inputs: $artifact"
  [ "$(input_hash)" = "$HASH" ] || fail 1 "the sources of the native library were changed while it was built; build it again"
  cp -- "$artifact" "$WORK/entry/$LIBRARY"
  say "native library: built in $((SECONDS - started)) s, $(($(stat -c %s "$artifact") / 1024)) KiB"
}

# Within a subshell, since what it sets for the compilers is no input of the library.
run_cargo() {
  [ -z "$TARGET" ] || hide_paths
  export SPOOKY_BUILD_HASH=$HASH CARGO_TARGET_DIR=$STORE/target CARGO_TERM_COLOR=never
  cd -- "$PATCHED/crate" || return 1
  "${CARGO_BUILD[@]}" --release --offline --config "patch.crates-io.quiche.path='$QUICHE'" --message-format=json-render-diagnostics
}

# A line every few seconds while cargo runs. It waits by reading from a pipe that nobody writes to: a `sleep` would outlive
# this script and hold its standard error open.
start_progress() {
  (
    exec 9>&-
    exec {nothing}<> <(:)
    total=0 started=$SECONDS
    while true; do
      read -r -t $PROGRESS_EVERY_S -u "$nothing" _ || true
      if [ "$total" = 0 ]; then total=$(crates_total); fi
      say "native library: $(crates_ready) of $total crates, $(objects_ready) files of BoringSSL, $((SECONDS - started)) s"
    done
  ) &
  PROGRESS_PID=$!
}

stop_progress() {
  [ -n "${PROGRESS_PID:-}" ] || return 0
  kill "$PROGRESS_PID" 2>/dev/null || true
  wait "$PROGRESS_PID" 2>/dev/null || true
  PROGRESS_PID=
}

crates_total() {
  (cd -- "$CRATE" && cargo tree --locked --offline --edges normal,build --prefix none --format '{p}' 2>/dev/null) | sort -u | wc -l
}

crates_ready() {
  grep -F '"reason":"compiler-artifact"' "$WORK/messages" 2>/dev/null | grep -vF '"custom-build"' |
    grep -o '"package_id":"[^"]*"' | sort -u | wc -l
}

# BoringSSL is one crate of many and most of the work.
objects_ready() {
  find "$STORE/target/$TARGET/release/build" -path '*/boring-sys-*' -name '*.o' -newer "$WORK/started" 2>/dev/null | wc -l
}

# quiche.h comes from the very crate that was compiled: cargo's messages say where it is.
find_header() {
  local manifest
  manifest=$(grep -o '"manifest_path":"[^"]*/quiche-[0-9][^"/]*/Cargo.toml"' "$WORK/messages" | head -n 1 | cut -d '"' -f 4) || true
  [ -n "$manifest" ] || fail 1 "cargo does not say where the source of quiche is"
  cp -- "${manifest%/Cargo.toml}/include/quiche.h" "$WORK/entry/quiche.h"
}

# Sizes, offsets and numbers of the C side, printed by a program that the compiler made from the same header.
probe() {
  has_probe || return 0
  "${CC:-cc}" -std=gnu11 -I "$WORK/entry" -o "$WORK/layout" "$ROOT/ffi/probe/layout.c"
  "$WORK/layout" >"$WORK/entry/quiche.layout.ts"
}

prune() {
  local entry
  find "$STORE" -mindepth 1 -maxdepth 1 -type d -name '????????????????????????????????' -printf '%T@ %p\n' |
    sort -rn | tail -n +$((ENTRIES_KEPT_MAX + 1)) | cut -d ' ' -f 2- |
    while IFS= read -r entry; do rm -rf -- "$entry"; done
}

# Copies, never links: a cache may be emptied while a proxy runs. Renamed into place, because a library that is overwritten
# under a running program crashes it.
publish() {
  local file temporary
  for file in quiche.h quiche.layout.ts "$LIBRARY"; do
    [ -f "$ENTRY/$file" ] || continue
    ! cmp -s -- "$ENTRY/$file" "$OUT/$file" || continue
    mkdir -p -- "$OUT" && temporary=$(mktemp "$OUT/.$file.XXXXXX") || fail 1 "$OUT cannot be written to"
    cp -- "$ENTRY/$file" "$temporary"
    chmod 644 -- "$temporary"
    mv -f -- "$temporary" "$OUT/$file"
  done
}

main "$@"
