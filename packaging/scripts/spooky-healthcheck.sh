#!/bin/bash
# Ends with 0 while this node may be sent clients: for balancers of layer 4 that run a script on it, such as keepalived.
# Settings: SPOOKY_PORT (443), SPOOKY_READY_URL (http://127.0.0.1:8080/ready; empty: not asked).
set -euo pipefail

PORT="${SPOOKY_PORT:-443}"
READY_URL="${SPOOKY_READY_URL-http://127.0.0.1:8080/ready}"

# Only the supervisor has this name.
pgrep -x spooky > /dev/null || { echo "no process" >&2; exit 1; }
# Not `ss | grep -q`: grep ends at the first hit, and with pipefail an ss that has more to say would then count as a failure.
sockets=$(ss --no-header --udp --listening --numeric "sport = :${PORT}")
[ -n "${sockets}" ] || { echo "nobody listens on UDP ${PORT}" >&2; exit 1; }
if [ -n "${READY_URL}" ]; then
  curl --silent --show-error --fail --max-time 2 --output /dev/null "${READY_URL}" || { echo "not ready" >&2; exit 1; }
fi
