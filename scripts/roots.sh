#!/usr/bin/env bash
# Prints where roots of Debian systems are, in which releases are tried out: one `NAME=PATH` line each for bullseye (glibc 2.31), bookworm
# and bookworm-arm64, or a line `lacking NAME: REASON`; and the same for qemu-aarch64-static, which runs what is in the last one. They are made by
# debootstrap in the user's cache folder, hold nothing but what Debian calls required, and nothing in them is ever started but the
# programs of a test: they have no init.
#
#   ./scripts/roots.sh             makes what is not there (some 2 minutes each), and installs the emulator where that may be done
#   ./scripts/roots.sh --cached    makes and installs nothing
#
# Exit codes: 0 printed, 2 wrong use.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"
. "$ROOT/scripts/debian-root.sh"

STORE=$CACHE/roots

main() {
  local make=yes
  case ${1:-} in
    '') ;;
    --cached) make=no ;;
    *) fail 2 "unknown option $1; see the head of $0" ;;
  esac
  mkdir -p -- "$STORE"
  exec 9>"$STORE/lock"
  flock 9
  find_root bullseye bullseye amd64 "$make"
  find_root bookworm bookworm amd64 "$make"
  find_root bookworm-arm64 bookworm arm64 "$make"
  [ "$make" = no ] || find_tools "a root of another processor" qemu-aarch64-static:qemu-user-static
}

# find_root NAME SUITE ARCH MAKE. Another processor's programs cannot run here as they are, so of such a root only the first of debootstrap's two stages
# is made: all is unpacked, and no package's own script has run.
find_root() {
  local name=$1 suite=$2 arch=$3 place=$STORE/$1/root options=(--arch="$3")
  if [ ! -d "$place" ]; then
    if [ "$4" = no ]; then
      printf 'lacking %s: it is not in the cache (./scripts/roots.sh makes it)\n' "$name"
      return 0
    fi
    [ "$arch" = "$(dpkg --print-architecture 2>/dev/null)" ] || options+=(--foreign)
    if ! install_debian "$place" "$suite" "${options[@]}"; then
      printf 'lacking %s: %s\n' "$name" "$PROBLEM"
      return 0
    fi
  fi
  printf '%s=%s\n' "$name" "$place"
}

main "$@"
