#!/bin/bash
# spooky-restore.sh ARCHIVE: puts the configuration of a backup to work. It is checked first, and the present one stays beside it as
# config.yaml.backup; when the reload fails, that one is put back. Certificates of the backup are only put where none are: those that serve are newer.
# Settings: SPOOKY_ETC (/etc/spooky), SPOOKY_BIN (/usr/local/bin/spooky), SPOOKY_GROUP (spooky), SPOOKY_RELOAD (systemctl reload-or-restart spooky.service).
set -euo pipefail

if [ "$#" -ne 1 ]; then
  echo "usage: $0 ARCHIVE" >&2
  exit 2
fi
ETC="${SPOOKY_ETC:-/etc/spooky}"
BIN="${SPOOKY_BIN:-/usr/local/bin/spooky}"
GROUP="${SPOOKY_GROUP:-spooky}"
RELOAD="${SPOOKY_RELOAD:-systemctl reload-or-restart spooky.service}"

work=$(mktemp -d)
trap 'rm -rf -- "${work}"' EXIT
tar xzf "$1" -C "${work}" --strip-components=1 --no-same-owner
"${BIN}" check --offline --config "${work}/config.yaml"

# A file has its owner and rights before it has its name.
put() {
  install -m "$1" -o root -g "${GROUP}" -- "$2" "$3.new"
  mv -- "$3.new" "$3"
}

for file in "${work}"/certs/*.pem; do
  [ -e "${file}" ] || continue
  [ -e "${ETC}/certs/$(basename -- "${file}")" ] || put 644 "${file}" "${ETC}/certs/$(basename -- "${file}")"
done
if [ -e "${ETC}/config.yaml" ]; then cp -p -- "${ETC}/config.yaml" "${ETC}/config.yaml.backup"; fi
put 640 "${work}/config.yaml" "${ETC}/config.yaml"
# Several words: a command.
# shellcheck disable=SC2086
if ! ${RELOAD}; then
  echo "the reload has failed: the configuration before is put back" >&2
  if [ -e "${ETC}/config.yaml.backup" ]; then put 640 "${ETC}/config.yaml.backup" "${ETC}/config.yaml"; fi
  exit 1
fi
echo "restored from $1"
