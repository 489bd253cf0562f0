#!/bin/bash
# spooky-healthcheck.sh: ends with 0 while this node may be sent clients, for balancers of layer 4 that run a script on it, such as keepalived.
# Settings: SPOOKY_PORT (443), SPOOKY_READY_URL (http://127.0.0.1:8080/ready; empty: not asked), SPOOKY_BIN (/usr/local/bin/spooky).
# Exit codes: 0 yes; 1 no, and why; 2 wrong use; 127 a program is missing with which it looks.
set -euo pipefail

if [ "$#" -gt 0 ]; then
  sed -n '2,/^set /{/^#/p}' -- "$0" >&2
  case "$1" in -h | --help) exit 0 ;; *) exit 2 ;; esac
fi
PORT="${SPOOKY_PORT:-443}"
READY_URL="${SPOOKY_READY_URL-http://127.0.0.1:8080/ready}"

# Only the supervisor has this name.
code=0
pgrep -x spooky > /dev/null || code=$?
if [ "${code}" -eq 1 ]; then echo "no process" >&2; fi
if [ "${code}" -ne 0 ]; then exit "${code}"; fi
# Not `ss | grep -q`: grep ends at the first hit, and with pipefail an ss that has more to say would then count as a failure.
sockets=$(ss --no-header --udp --listening --numeric "sport = :${PORT}")
[ -n "${sockets}" ] || { echo "nobody listens on UDP ${PORT}" >&2; exit 1; }
if [ -n "${READY_URL}" ]; then
  "${SPOOKY_BIN:-/usr/local/bin/spooky}" healthcheck --ready --url "${READY_URL}" > /dev/null
fi
