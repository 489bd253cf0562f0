#!/bin/bash
# spooky-restore.sh ARCHIVE [NAME]: puts a configuration of a backup to work, config.yaml or another one (0-3.yaml, for spooky@0-3). It is checked first,
# and the present one stays beside it as NAME.backup; when the reload fails, that one is put back. Certificates of the backup are only put where none
# are: those that serve are newer. Private keys are not in a backup, and have to be there.
# Settings: SPOOKY_ETC (/etc/spooky), SPOOKY_BIN (/usr/local/bin/spooky), SPOOKY_GROUP (spooky), SPOOKY_RELOAD (systemctl reload-or-restart UNIT).
# Exit codes: 0 it is at work; 1 all is as before; 2 wrong use.
set -euo pipefail

help() { sed -n '2,/^set /{/^#/p}' -- "$0" >&2; }
case "${1:-}" in -h | --help) help && exit 0 ;; esac
if [ "$#" -lt 1 ] || [ "$#" -gt 2 ]; then
  help
  exit 2
fi
ARCHIVE="$1"
NAME="${2:-config.yaml}"
ETC="${SPOOKY_ETC:-/etc/spooky}"
BIN="${SPOOKY_BIN:-/usr/local/bin/spooky}"
GROUP="${SPOOKY_GROUP:-spooky}"
case "${NAME}" in
  */* | -* | .*) echo "spooky: ${NAME} is no name of a configuration" >&2 && exit 2 ;;
  config.yaml) UNIT=spooky.service ;;
  *) UNIT="spooky@${NAME%.yaml}.service" ;;
esac
RELOAD="${SPOOKY_RELOAD:-systemctl reload-or-restart ${UNIT}}"

work=$(mktemp -d)
trap 'rm -rf -- "${work}"' EXIT
if ! tar xzf - -C "${work}" --strip-components=1 --no-same-owner < "${ARCHIVE}" || [ ! -f "${work}/${NAME}" ]; then
  echo "spooky: ${ARCHIVE} is no whole backup with ${NAME}: nothing is changed" >&2
  exit 1
fi

# A file has its owner and rights before it has its name.
put() {
  install -m "$1" -o root -g "${GROUP}" -- "$2" "$3.new" && mv -- "$3.new" "$3"
}

# On a new machine the check needs them. They go again when it does not like what it finds.
added=()
take_back() {
  for file in "${added[@]}"; do rm -f -- "${file}"; done
}
install -d -m 750 -o root -g "${GROUP}" -- "${ETC}/certs"
for file in "${work}"/certs/*.pem; do
  place="${ETC}/certs/$(basename -- "${file}")"
  if [ ! -f "${file}" ] || [ -e "${place}" ]; then continue; fi
  put 644 "${file}" "${place}"
  added+=("${place}")
done
if ! "${BIN}" check --offline --config "${work}/${NAME}"; then
  take_back
  echo "spooky: ${NAME} of the backup cannot be served here: nothing is changed" >&2
  exit 1
fi

before=
if [ -e "${ETC}/${NAME}" ]; then
  before="${ETC}/${NAME}.backup"
  cp -p -- "${ETC}/${NAME}" "${before}"
fi
put 640 "${work}/${NAME}" "${ETC}/${NAME}"
# Several words: a command.
# shellcheck disable=SC2086
if ! ${RELOAD}; then
  echo "spooky: the reload has failed: the configuration before is put back" >&2
  if [ -n "${before}" ]; then put 640 "${before}" "${ETC}/${NAME}"; else rm -f -- "${ETC}/${NAME}"; fi
  take_back
  exit 1
fi
echo "restored from ${ARCHIVE}"
