#!/usr/bin/env bash
# Prints the path of a Python that has the packages of test/interop/requirements.txt, in a virtual environment that it makes
# in the user's cache folder when there is none for these packages and this Python yet.
# Exit codes: 0 printed, 1 the packages could not be installed, 3 Python or its venv module is not there and may not be installed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"

REQUIREMENTS=$ROOT/test/interop/requirements.txt
ENVIRONMENTS_KEPT_MAX=2

main() {
  local store=$CACHE/python version place
  has_venv || install_packages "the interoperability tests" python3 python3-venv || exit 3
  version=$(python3 -c 'import sys; print(sys.version, sys.base_prefix)')
  place=$store/$(printf '%s\n' "$version" | cat -- - "$REQUIREMENTS" | sha256sum | cut -c 1-32)
  if [ ! -f "$place/complete" ]; then
    mkdir -p -- "$store"
    exec 9>"$store/lock"
    flock 9
    [ -f "$place/complete" ] || make_environment "$place"
    exec 9>&-
  fi
  touch -- "$place/complete" 2>/dev/null || true
  printf '%s\n' "$place/bin/python"
}

has_venv() { python3 -c 'import venv, ensurepip' >/dev/null 2>&1; }

# Made where it stays, since a virtual environment knows its own path; the file `complete` comes last.
make_environment() {
  say "interoperability tests: installing $(grep -c '^[a-z]' "$REQUIREMENTS") Python packages"
  rm -rf -- "$1"
  python3 -m venv "$1" >&2 9>&- || fail 1 "python3 -m venv failed"
  "$1/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-deps --requirement "$REQUIREMENTS" >&2 9>&- ||
    fail 1 "pip could not install the packages of test/interop/requirements.txt"
  "$1/bin/python" -m pip check >&2 || fail 1 "the packages of test/interop/requirements.txt do not fit together"
  touch -- "$1/complete"
  prune "$(dirname -- "$1")"
}

prune() {
  local old
  find "$1" -mindepth 2 -maxdepth 2 -name complete -printf '%T@ %h\n' | sort -rn |
    tail -n +$((ENVIRONMENTS_KEPT_MAX + 1)) | cut -d ' ' -f 2- |
    while IFS= read -r old; do rm -rf -- "$old"; done
}

main
