#!/usr/bin/env bash
# Makes the root of a small Debian with systemd in the project's cache folder, for test/packaging/systemd.test.ts, and prints `systemd_root=PATH`; or a
# line `lacking systemd_root: REASON`. It is made once. Nothing is ever started from here, and tests boot it with a layer of their own above it,
# in namespaces of its own (systemd-nspawn), so that it stays as it is. Takes a minute and 300 MB; needs root, debootstrap and systemd-nspawn.
# Exit codes: 0 printed, 3 something has to be installed first.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"

# What is in it; another list is another root.
SUITE=bookworm
PACKAGES=systemd,systemd-sysv,dbus,iproute2,procps,util-linux,logrotate,ca-certificates
MIRROR=${SPOOKY_DEBIAN_MIRROR:-http://deb.debian.org/debian}

main() {
  local sum path
  if [ "$(id -u)" != 0 ]; then
    printf 'lacking systemd_root: only root can make one\n'
    return
  fi
  command -v debootstrap >/dev/null 2>&1 || install_packages "a root with systemd" debootstrap
  command -v systemd-nspawn >/dev/null 2>&1 || install_packages "a root with systemd" systemd-container
  sum=$(printf '%s %s' "$SUITE" "$PACKAGES" | sha256sum)
  path=$CACHE/systemd-root-${sum:0:8}
  if [ ! -d "$path" ]; then make_root "$path"; fi
  ln -sfn "$(basename -- "$path")" "$CACHE/systemd-root"
  printf 'systemd_root=%s\n' "$path"
}

# Under another name first: a root that is there is whole.
make_root() {
  local path=$1 log
  log=$(mktemp)
  say "making a Debian with systemd in $path"
  rm -rf -- "$path.new"
  if ! debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$path.new" "$MIRROR" >"$log" 2>&1; then
    tail -n 15 -- "$log" >&2
    fail 1 "debootstrap could not make a root"
  fi
  rm -f -- "$log"
  rm -rf -- "$path.new"/var/cache/apt/archives/*.deb "$path.new"/var/lib/apt/lists/*
  mv -- "$path.new" "$path"
}

main
