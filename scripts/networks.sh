#!/usr/bin/env bash
# Prints `ip=PATH`, the program that the tests in network namespaces need (iproute2), or a line `lacking ip: REASON`. It is installed
# where that may be done. Whether namespaces may be made is seen by the tests themselves, which are skipped by name where not.
# Exit codes: 0 printed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"

PATH=$PATH:/usr/sbin:/sbin
find_tools "the tests in network namespaces" ip:iproute2
