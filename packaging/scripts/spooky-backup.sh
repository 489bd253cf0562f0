#!/bin/bash
# spooky-backup.sh: keeps the configuration, the certificates and what ran, in one archive a day: 0 2 * * * root /usr/local/bin/spooky-backup.sh
# Private keys and the cluster's keys are left out: they come again from their authority, or from the place for secrets that you keep.
# Prints the archive's path. Settings: SPOOKY_ETC (/etc/spooky), SPOOKY_BACKUPS (/var/backups/spooky), SPOOKY_BIN (/usr/local/bin/spooky), KEEP_DAYS (30).
# Exit codes: 0 done, 1 failed, with no archive of that name, 2 wrong use.
set -euo pipefail
umask 077

if [ "$#" -gt 0 ]; then
  sed -n '2,/^set /{/^#/p}' -- "$0" >&2
  case "$1" in -h | --help) exit 0 ;; *) exit 2 ;; esac
fi
ETC="${SPOOKY_ETC:-/etc/spooky}"
BACKUPS="${SPOOKY_BACKUPS:-/var/backups/spooky}"
NAME="spooky-config-$(date +%Y%m%d-%H%M%S)"

if [ ! -r "${ETC}/config.yaml" ]; then
  echo "spooky: ${ETC}/config.yaml cannot be read" >&2
  exit 1
fi
mkdir -p -- "${BACKUPS}"
work=$(mktemp -d)
trap 'rm -rf -- "${work}" "${BACKUPS}/.${NAME}.new"' EXIT
mkdir -- "${work}/${NAME}" "${work}/${NAME}/certs"
cp -p -- "${ETC}"/*.yaml "${work}/${NAME}/"
# By what is in them, whatever they are called.
for file in "${ETC}"/certs/*.pem; do
  if [ ! -f "${file}" ]; then continue; fi
  code=0
  grep -q 'PRIVATE KEY' -- "${file}" || code=$?
  # 0: there is a key in it; 1: there is none; all else: nobody knows.
  if [ "${code}" -gt 1 ]; then exit 1; fi
  if [ "${code}" -eq 1 ]; then cp -p -- "${file}" "${work}/${NAME}/certs/"; fi
done
{
  date -Is
  uname -n
  "${SPOOKY_BIN:-/usr/local/bin/spooky}" --version || echo "version unknown"
} > "${work}/${NAME}/metadata.txt"
# Under its name only when it is whole.
tar czf "${BACKUPS}/.${NAME}.new" -C "${work}" -- "${NAME}"
mv -- "${BACKUPS}/.${NAME}.new" "${BACKUPS}/${NAME}.tar.gz"
find "${BACKUPS}" -maxdepth 1 -name 'spooky-config-*.tar.gz' -mtime "+${KEEP_DAYS:-30}" -delete
echo "${BACKUPS}/${NAME}.tar.gz"
