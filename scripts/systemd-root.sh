#!/usr/bin/env bash
# Makes the root of a small Debian with systemd in the project's cache folder, for test/packaging/systemd.test.ts, and prints `systemd_root=PATH`; or a
# line `lacking systemd_root: REASON`. It is made once. Nothing is ever started from here, and tests boot it with a layer of their own above it,
# in namespaces of its own (systemd-nspawn), so that it stays as it is. Takes a minute and 300 MB; needs root, debootstrap and systemd-nspawn.
# Exit codes: 0 printed, 3 something has to be installed first.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"
. "$ROOT/scripts/debian-root.sh"

# What is in it; another list is another root.
SUITE=bookworm
PACKAGES=systemd,systemd-sysv,dbus,iproute2,procps,util-linux,logrotate,ca-certificates,openssl,python3

main() {
  local sum path
  command -v systemd-nspawn >/dev/null 2>&1 || install_packages "a root with systemd" systemd-container
  sum=$(printf '%s %s' "$SUITE" "$PACKAGES" | sha256sum)
  path=$CACHE/systemd-root-${sum:0:8}
  if [ ! -d "$path" ] && ! install_debian "$path" "$SUITE" --include="$PACKAGES"; then
    printf 'lacking systemd_root: %s\n' "$PROBLEM"
    return
  fi
  ln -sfn "$(basename -- "$path")" "$CACHE/systemd-root"
  printf 'systemd_root=%s\n' "$path"
}

main
