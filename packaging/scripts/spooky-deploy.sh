#!/bin/bash
# spooky-deploy.sh ARCHIVE HOST...: upgrades one machine after the other without losing a request. The first is the canary: it is watched for SOAK_S
# seconds (300), each other one for STAGGER_S (30). One that does not become ready, or does not stay so, gets its former program back, and no further
# machine is touched. ARCHIVE holds `spooky`; ARCHIVE.sha256 lies beside it.
#
# Settings: SOAK_S, STAGGER_S, SSH (ssh), SCP (scp). On each machine, where it is not as usual: SPOOKY_BIN (/usr/local/bin/spooky),
# SPOOKY_CONFIG (/etc/spooky/config.yaml), SPOOKY_USER (spooky). Exit codes: 0 all run it, 1 one has refused it or was rolled back, 2 wrong use.
# What stands in single quotes is for the other machine.
# shellcheck disable=SC2016
set -euo pipefail

help() { sed -n '2,/^set /{/^# What stands/q;/^#/p}' -- "$0" >&2; }
case "${1:-}" in -h | --help) help && exit 0 ;; esac
if [ "$#" -lt 2 ]; then
  help
  exit 2
fi
ARCHIVE="$1"
shift
for file in "${ARCHIVE}" "${ARCHIVE}.sha256"; do
  if [ ! -r "${file}" ]; then
    echo "${file} cannot be read" >&2
    exit 2
  fi
done
NAME=$(basename -- "${ARCHIVE}")

# What is run over there, by bash: `remote HOST ARGUMENT... < script`. It is read to its end before it begins, so that no command in it takes its rest
# for input. ssh puts arguments together with blanks, and a shell over there takes them apart again: each is quoted for that.
remote() {
  local host="$1" script
  shift
  script=$(cat)
  # `SSH="ssh -J bastion"` is meant to be several words.
  # shellcheck disable=SC2086
  ${SSH:-ssh} "${host}" bash -s -- "${@@Q}" <<< "{ ${script}
exit; } < /dev/null"
}

PLACES='
BIN="${SPOOKY_BIN:-/usr/local/bin/spooky}"
CONFIG="${SPOOKY_CONFIG:-/etc/spooky/config.yaml}"
# There is nobody to ask for a password.
as_user() { sudo -n -u "${SPOOKY_USER:-spooky}" "$@"; }
# A program that runs cannot be written over: the new file takes its name.
put() { sudo -n install -m 755 -- "$1" "${BIN}.new" && sudo -n mv -- "${BIN}.new" "${BIN}"; }
'

deploy() {
  local host="$1" folder
  echo "deploying to ${host}"
  # Called in a condition, where `set -e` counts for nothing.
  folder=$(remote "${host}" <<< 'mktemp -d') || return 1
  # shellcheck disable=SC2086
  if ! ${SCP:-scp} -q -- "${ARCHIVE}" "${ARCHIVE}.sha256" "${host}:${folder}/"; then
    remote "${host}" "${folder}" <<< 'rm -rf -- "$1"'
    return 1
  fi
  remote "${host}" "${folder}" "${NAME}" <<< "set -euo pipefail
${PLACES}"'
folder=$1
trap "rm -rf -- \"\${folder}\"" EXIT
cd -- "${folder}"
sha256sum --quiet -c -- "$2.sha256"
tar xzf - spooky < "$2"
# A program that does not even say its version on this machine (another processor, an older system) is not put in place.
./spooky --version
sudo -n cp -p -- "${BIN}" "${BIN}.prev"
put spooky
# Whatever is wrong with the new program, the old one serves on; the file is put back so that no restart finds the new one.
as_user "${BIN}" upgrade --config "${CONFIG}" || { put "${BIN}.prev"; exit 1; }
'
}

roll_back() {
  echo "rolling back ${1}" >&2
  remote "$1" <<< "set -euo pipefail
${PLACES}"'
put "${BIN}.prev"
as_user "${BIN}" upgrade --config "${CONFIG}"
'
}

# Ready now, and at every look until so many seconds are over.
stays_ready() {
  remote "$1" "$2" <<< "set -uo pipefail
${PLACES}"'
end=$((SECONDS + $1))
while :; do
  "${BIN}" healthcheck --ready --config "${CONFIG}" || exit 1
  [ "${SECONDS}" -lt "${end}" ] || exit 0
  sleep 2
done
'
}

WATCH_S="${SOAK_S:-300}"
for host in "$@"; do
  if ! deploy "${host}"; then
    echo "${host} keeps the program that it had" >&2
    exit 1
  fi
  if ! stays_ready "${host}" "${WATCH_S}"; then
    roll_back "${host}"
    exit 1
  fi
  WATCH_S="${STAGGER_S:-30}"
done
echo "deployment complete"
