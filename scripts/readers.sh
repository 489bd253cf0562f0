#!/usr/bin/env bash
# Prints `NAME=PATH` for each program that reads the manual pages and the completions in test/release/pages.test.ts, or a line `lacking NAME: REASON`.
# They are installed where that may be done.
# Exit codes: 0 printed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"

find_tools "the tests of manual pages and completions" man:man-db mandoc:mandoc zsh:zsh fish:fish
