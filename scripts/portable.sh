# shellcheck shell=bash
# shellcheck disable=SC2034 # its variables are those of quiche.build.sh
# Sourced by quiche.build.sh for a library that runs on other machines than the one it is built on: the compiler is the release's
# toolchain, the C library asked for is an old one, and no path of this machine gets into the result, so that it is the same wherever
# it is built.

# RHEL 8 and Debian 10 have this one; Bun itself asks for 2.17.
GLIBC_OLDEST=2.28

# use_portable x86_64|aarch64: sets what the build takes from the machine otherwise.
use_portable() {
  local arch=$1 toolchain
  case $arch in
    x86_64 | aarch64) ;;
    *) fail 2 "no portable library for $arch: it is x86_64 or aarch64" ;;
  esac
  toolchain=$("$ROOT/scripts/toolchain.sh") || exit $?
  TARGET=$arch-unknown-linux-gnu
  PATH=$toolchain/bin:$PATH
  export RUSTC=$toolchain/bin/rustc
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CFLAGS CXXFLAGS CARGO_BUILD_TARGET RUSTC_WRAPPER
  # Not the version of cargo, which only calls them: another one gives the same library, as long as it names crates alike.
  COMPILER=$(cat -- "$toolchain/versions" && printf 'target %s, glibc %s\n' "$TARGET" "$GLIBC_OLDEST")
  STORE=$CACHE/native-$arch
  OUT=$ROOT/dist/native-$arch
  CARGO_BUILD=(cargo-zigbuild build --target "$TARGET.$GLIBC_OLDEST")
}

# What the compilers write of their folders (into assertions, panics and OpenSSL's error queue) is the same on every machine. Cargo
# leaves these options out of the names that it gives to functions.
hide_paths() {
  local cargo_home=${CARGO_HOME:-$HOME/.cargo} target=${TARGET//-/_} map
  map="-ffile-prefix-map=$STORE=/build -ffile-prefix-map=$cargo_home=/cargo"
  export RUSTFLAGS="--remap-path-prefix=$STORE=/build --remap-path-prefix=$cargo_home=/cargo"
  export "CFLAGS_$target=$map" "CXXFLAGS_$target=$map" "ASMFLAGS_$target=$map"
}
