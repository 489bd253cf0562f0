#!/bin/bash
# Ends with 0 while this node may be sent clients: for balancers of layer 4 that run a script on it, such as keepalived.
# Settings: SPOOKY_PORT (443), SPOOKY_READY_URL (http://127.0.0.1:8080/ready; empty: not asked), SPOOKY_BIN (/usr/local/bin/spooky).
set -euo pipefail

PORT="${SPOOKY_PORT:-443}"
READY_URL="${SPOOKY_READY_URL-http://127.0.0.1:8080/ready}"

# Only the supervisor has this name.
pgrep -x spooky > /dev/null || { echo "no process" >&2; exit 1; }
# Not `ss | grep -q`: grep ends at the first hit, and with pipefail an ss that has more to say would then count as a failure.
sockets=$(ss --no-header --udp --listening --numeric "sport = :${PORT}")
[ -n "${sockets}" ] || { echo "nobody listens on UDP ${PORT}" >&2; exit 1; }
if [ -n "${READY_URL}" ]; then
  "${SPOOKY_BIN:-/usr/local/bin/spooky}" healthcheck --ready --url "${READY_URL}" > /dev/null
fi
