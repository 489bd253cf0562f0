#!/bin/bash
# Keeps the configuration, the certificates and what ran, in one archive a day: 0 2 * * * root /usr/local/bin/spooky-backup.sh
# Private keys and the cluster's keys are left out: they come again from their authority, or from the place for secrets that you keep.
# Settings: SPOOKY_ETC (/etc/spooky), SPOOKY_BACKUPS (/var/backups/spooky), SPOOKY_BIN (/usr/local/bin/spooky), KEEP_DAYS (30).
set -euo pipefail
umask 077

ETC="${SPOOKY_ETC:-/etc/spooky}"
BACKUPS="${SPOOKY_BACKUPS:-/var/backups/spooky}"
NAME="spooky-config-$(date +%Y%m%d-%H%M%S)"

mkdir -p -- "${BACKUPS}"
work=$(mktemp -d)
trap 'rm -rf -- "${work}"' EXIT
mkdir -- "${work}/${NAME}" "${work}/${NAME}/certs"
find "${ETC}" -maxdepth 1 -name '*.yaml' -exec cp -p -- {} "${work}/${NAME}/" \;
# By what is in them, whatever they are called.
find "${ETC}/certs" -maxdepth 1 -type f -name '*.pem' -print0 | while IFS= read -r -d '' file; do
  if ! grep -q 'PRIVATE KEY' -- "${file}"; then cp -p -- "${file}" "${work}/${NAME}/certs/"; fi
done
{
  date -Is
  hostname
  "${SPOOKY_BIN:-/usr/local/bin/spooky}" --version || echo "version unknown"
} > "${work}/${NAME}/metadata.txt"
# Under its name only when it is whole.
tar czf "${BACKUPS}/.${NAME}.new" -C "${work}" "${NAME}"
mv -- "${BACKUPS}/.${NAME}.new" "${BACKUPS}/${NAME}.tar.gz"
find "${BACKUPS}" -maxdepth 1 -name 'spooky-config-*.tar.gz' -mtime "+${KEEP_DAYS:-30}" -delete
echo "${BACKUPS}/${NAME}.tar.gz"
