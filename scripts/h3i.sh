#!/usr/bin/env bash
# Prints where the HTTP/3 rule breaker of the adversarial suite is, `h3i=PATH` (the program of test/adversary/h3i, built), or a line
# `lacking h3i: REASON`. It is kept in the user's cache folder under a hash of its source and compiler. It is compiled where the
# native library is, with the same settings, so that BoringSSL is there already: half a minute instead of four.
# Exit codes: 0 printed, 1 the program does not compile.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"

STORE=$CACHE/h3i
CRATE=$ROOT/test/adversary/h3i
TARGET=$CACHE/native/target
RUST_MINOR_MIN=88 # quiche 0.30 says rust-version 1.88
KEPT_MAX=2

main() {
  local minor place version
  mkdir -p -- "$STORE"
  exec 9>"$STORE/lock"
  flock 9
  if ! version=$(cd -- "$CRATE" && command -v cargo >/dev/null && rustc -vV 2>/dev/null); then
    lacking "cargo and rustc are not there"
    return 0
  fi
  minor=$(sed -n 's/^release: 1\.\([0-9]*\).*/\1/p' <<<"$version")
  if [ "${minor:-0}" -lt $RUST_MINOR_MIN ]; then
    lacking "it needs Rust 1.$RUST_MINOR_MIN or newer"
    return 0
  fi
  place=$STORE/h3i-$(crate_key "$version")
  if [ ! -x "$place/h3i" ]; then build "$place" || return 0; fi
  used "$place"
  printf 'h3i=%s\n' "$place/h3i"
}

lacking() { printf 'lacking h3i: %s\n' "$1"; }

crate_key() {
  { printf '%s\n' "$1"; cat -- "$CRATE/Cargo.toml" "$CRATE/Cargo.lock" "$CRATE"/src/*.rs "$0"; } | sha256sum | cut -c 1-32
}

# build PLACE: the crates of Cargo.lock, and no others.
build() {
  if ! (cd -- "$CRATE" && cargo fetch --locked >/dev/null 2>&1); then
    lacking "its crates could not be fetched"
    return 1
  fi
  say "adversarial suite: building test/adversary/h3i"
  (cd -- "$CRATE" && CARGO_TARGET_DIR=$TARGET CARGO_TERM_COLOR=never cargo build --release --locked --quiet 9>&- >&2) ||
    fail 1 "test/adversary/h3i does not compile"
  mkdir -p -- "$1"
  cp -- "$TARGET/release/spooky-h3i" "$1/h3i.part"
  mv -- "$1/h3i.part" "$1/h3i"
}

# used PLACE: remembers when it was, and keeps only the latest.
used() {
  local old
  touch -- "$1" 2>/dev/null || true
  find "$STORE" -mindepth 1 -maxdepth 1 -name 'h3i-????????????????????????????????' -printf '%T@ %p\n' | sort -rn |
    tail -n +$((KEPT_MAX + 1)) | cut -d ' ' -f 2- |
    while IFS= read -r old; do rm -rf -- "$old"; done
}

main
