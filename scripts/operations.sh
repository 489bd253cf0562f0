#!/usr/bin/env bash
# Prints `NAME=PATH` for each tool that test/packaging/operations.test.ts reads what operators are given with, or a line `lacking NAME: REASON`. Those that
# are Debian packages are installed where that may be done. With `--ansible` ansible-lint comes too, into the cache folder (100 MB from PyPI), and
# the line `ansible=FOLDER` is what SPOOKY_TEST_ANSIBLE names; without, it is only looked for there.
# Exit codes: 0 printed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"

# Package by tool.
TOOLS=(shellcheck:shellcheck nft:nftables apparmor_parser:apparmor logrotate:logrotate keepalived:keepalived)
ANSIBLE=(ansible-core==2.19.14 ansible-lint==26.10.1)
PATH=$PATH:/usr/sbin:/sbin

main() {
  find_tools "the tests of what operators are given" "${TOOLS[@]}"
  find_ansible "${1:-}"
}

find_ansible() {
  local folder=$CACHE/ansible
  if [ "$1" = --ansible ] && [ ! -x "$folder/bin/ansible-lint" ]; then
    say "installing ansible-lint in $folder"
    if ! { python3 -m venv "$folder" && "$folder/bin/pip" install --quiet "${ANSIBLE[@]}"; } >&2; then rm -rf -- "$folder"; fi
  fi
  if [ -x "$folder/bin/ansible-lint" ]; then
    printf 'ansible=%s\n' "$folder/bin"
  else
    printf 'lacking ansible: %s\n' "scripts/operations.sh --ansible installs it"
  fi
}

main "$@"
