# shellcheck shell=bash
# Sourced after environment.sh and packages.sh: roots of Debian, in which things are tried. Nothing in them is ever started from here.

DEBIAN_MIRROR=http://deb.debian.org/debian

# install_debian PLACE SUITE [OPTION...]: a minimal Debian in the folder PLACE, by debootstrap with more options; a folder that is there is whole. The
# caches of its package manager are left out. False: PROBLEM says what is wrong.
install_debian() {
  local place=$1 suite=$2 log=$1.log
  shift 2
  PATH=$PATH:/usr/sbin:/sbin
  if [ "$(id -u)" != 0 ]; then
    PROBLEM='only root can make it, with debootstrap'
    return 1
  fi
  if ! command -v debootstrap >/dev/null 2>&1 && ! install_packages "a root of Debian" debootstrap 2>/dev/null; then
    PROBLEM='debootstrap is not there'
    return 1
  fi
  say "installing a minimal Debian $suite into a folder"
  rm -rf --one-file-system -- "$place.part"
  mkdir -p -- "$(dirname -- "$place")"
  if ! debootstrap --variant=minbase "$@" "$suite" "$place.part" "$DEBIAN_MIRROR" >"$log" 2>&1 9>&-; then
    tail -n 15 -- "$log" >&2
    # shellcheck disable=SC2034
    PROBLEM="debootstrap failed: $(tail -n 1 -- "$log")"
    return 1
  fi
  # The first of two stages leaves a link to the path itself, for a second one under an emulator that would translate it.
  [ ! -L "$place.part/proc" ] || { rm -- "$place.part/proc" && mkdir -- "$place.part/proc"; }
  rm -rf -- "$place.part"/var/cache/apt/archives/*.deb "$place.part"/var/lib/apt/lists/*
  rm -f -- "$log"
  mv -- "$place.part" "$place"
}
