#!/usr/bin/env bash
# Prints where roots of Debian systems are, in which releases are tried out: one `NAME=PATH` line each for bullseye (glibc 2.31), bookworm
# and bookworm-arm64, or a line `lacking NAME: REASON`. They are made by debootstrap in the user's cache folder, hold nothing but what
# Debian calls required, and nothing in them is ever started but the programs of a test: they have no init.
#
#   ./scripts/roots.sh             makes what is not there (some 2 minutes each)
#   ./scripts/roots.sh --cached    makes nothing
#
# Exit codes: 0 printed, 2 wrong use.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"

STORE=$CACHE/roots
MIRROR=http://deb.debian.org/debian

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
}

# find_root NAME SUITE ARCH MAKE
find_root() {
  local name=$1 suite=$2 arch=$3 place=$STORE/$1 problem
  if [ ! -f "$place/complete" ]; then
    if [ "$4" = no ]; then
      printf 'lacking %s: it is not in the cache (./scripts/roots.sh makes it)\n' "$name"
      return 0
    fi
    if ! problem=$(make_root "$place" "$suite" "$arch"); then
      printf 'lacking %s: %s\n' "$name" "$problem"
      return 0
    fi
  fi
  printf '%s=%s\n' "$name" "$place/root"
}

# Another processor's programs cannot run here as they are, so of such a root only the first of debootstrap's two stages is made: all is
# unpacked, and no package's own script has run. Prints what is wrong.
make_root() {
  local place=$1 suite=$2 arch=$3 foreign=() log
  if [ "$(id -u)" != 0 ]; then
    printf 'debootstrap needs root\n'
    return 1
  fi
  PATH=$PATH:/usr/sbin:/sbin
  if ! command -v debootstrap >/dev/null 2>&1 && ! install_packages "Debian roots" debootstrap 2>/dev/null; then
    printf 'debootstrap is not there\n'
    return 1
  fi
  [ "$arch" = "$(dpkg --print-architecture 2>/dev/null)" ] || foreign=(--foreign)
  say "Debian root: $suite for $arch"
  rm -rf -- "$place"
  mkdir -p -- "$place"
  log=$place/log
  if ! debootstrap --variant=minbase "${foreign[@]}" --arch="$arch" "$suite" "$place/root" "$MIRROR" >"$log" 2>&1 9>&-; then
    printf 'debootstrap failed: %s\n' "$(tail -n 1 -- "$log")"
    return 1
  fi
  # The first stage alone leaves a link to the path itself, for a second stage under an emulator that would translate it.
  [ ! -L "$place/root/proc" ] || { rm -- "$place/root/proc" && mkdir -- "$place/root/proc"; }
  rm -rf -- "$place/root/var/cache/apt/archives" "$place/root/var/lib/apt/lists"
  touch -- "$place/complete"
}

main "$@"
