#!/bin/bash
# /etc/letsencrypt/renewal-hooks/deploy/spooky-reload.sh: certbot runs it after each renewal, with the folder of the new files in RENEWED_LINEAGE.
# It copies them to where spooky reads them and has it reload. Run it by hand once, for the first certificate:
#   sudo RENEWED_LINEAGE=/etc/letsencrypt/live/proxy.example.com /etc/letsencrypt/renewal-hooks/deploy/spooky-reload.sh
# Settings, as lines in /etc/default/spooky-certbot (SPOOKY_CERTBOT_SETTINGS names another file) or in the environment: SPOOKY_LINEAGE (the certificate's
# name; default: the only one that this machine has), SPOOKY_CERTS (/etc/spooky/certs), SPOOKY_GROUP (spooky).
# Exit codes: 0 done, or not meant; 1 refused or failed, and what served before serves on; 2 wrong use. certbot tells of them, and goes on.
set -euo pipefail

if [ "$#" -gt 0 ]; then
  sed -n '2,/^set /{/^#/p}' -- "$0" >&2
  case "$1" in -h | --help) exit 0 ;; *) exit 2 ;; esac
fi

SETTINGS="${SPOOKY_CERTBOT_SETTINGS:-/etc/default/spooky-certbot}"
# shellcheck source=/dev/null
if [ -r "${SETTINGS}" ]; then . "${SETTINGS}"; fi

fail() {
  echo "spooky: $1" >&2
  logger -t spooky-cert-renewal -p daemon.err -- "$1" || true
  exit 1
}

FROM="${RENEWED_LINEAGE:-}"
if [ -z "${FROM}" ]; then
  echo "spooky: RENEWED_LINEAGE is not set: certbot sets it, to the folder with fullchain.pem and privkey.pem" >&2
  exit 2
fi
TO="${SPOOKY_CERTS:-/etc/spooky/certs}"
GROUP="${SPOOKY_GROUP:-spooky}"
NAME=$(basename -- "${FROM}")

if [ -n "${SPOOKY_LINEAGE:-}" ]; then
  if [ "${NAME}" != "${SPOOKY_LINEAGE}" ]; then exit 0; fi
else
  # Another service's certificate in place of ours would be shown to all clients.
  lineages=$(find "$(dirname -- "${FROM}")" -mindepth 1 -maxdepth 1 ! -name README | wc -l)
  if [ "${lineages}" -gt 1 ]; then
    fail "${NAME} is not copied: there are ${lineages} certificates, and SPOOKY_LINEAGE in ${SETTINGS} does not say which is for spooky"
  fi
fi

# A pair that does not fit is not copied: the one that serves is kept.
certificate=$(openssl x509 -noout -pubkey -in "${FROM}/fullchain.pem") || fail "the certificate of ${NAME} cannot be read"
key=$(openssl pkey -pubout -in "${FROM}/privkey.pem") || fail "the key of ${NAME} cannot be read"
if [ "${certificate}" != "${key}" ]; then fail "the key of ${NAME} is not that of its certificate"; fi

# `install` gives each file its owner and rights before it has its name, so that the key is never open to others. The key comes last.
trap 'rm -f -- "${TO}/fullchain.pem.new" "${TO}/privkey.pem.new"' EXIT
install -m 644 -o root -g "${GROUP}" -- "${FROM}/fullchain.pem" "${TO}/fullchain.pem.new" || fail "${TO} cannot be written to"
install -m 640 -o root -g "${GROUP}" -- "${FROM}/privkey.pem" "${TO}/privkey.pem.new" || fail "${TO} cannot be written to"
mv -- "${TO}/fullchain.pem.new" "${TO}/fullchain.pem"
mv -- "${TO}/privkey.pem.new" "${TO}/privkey.pem"

# Those that run: patterns are for what systemd has loaded, so none is no failure. Without systemd the program finds out by itself (control.watch).
if command -v systemctl > /dev/null 2>&1; then
  systemctl try-reload-or-restart 'spooky[.]service' 'spooky@*.service' ||
    fail "${NAME} is in ${TO}, and spooky has not taken it: see its log"
fi
logger -t spooky-cert-renewal -- "certificate ${NAME} is renewed (${RENEWED_DOMAINS:-})" || true
