#!/bin/bash
# /etc/letsencrypt/renewal-hooks/deploy/spooky-reload.sh: certbot runs it after each renewal, with the folder of the new files in RENEWED_LINEAGE.
# It copies them to where spooky reads them and has it reload. Run it by hand once, for the first certificate:
#   sudo RENEWED_LINEAGE=/etc/letsencrypt/live/proxy.example.com /etc/letsencrypt/renewal-hooks/deploy/spooky-reload.sh
# Settings: SPOOKY_LINEAGE (only the certificate of this name; default: all), SPOOKY_CERTS (/etc/spooky/certs), SPOOKY_GROUP (spooky).
set -euo pipefail

FROM="${RENEWED_LINEAGE:?certbot sets it: the folder with fullchain.pem and privkey.pem}"
TO="${SPOOKY_CERTS:-/etc/spooky/certs}"
GROUP="${SPOOKY_GROUP:-spooky}"
NAME=$(basename -- "${FROM}")

if [ "${NAME}" != "${SPOOKY_LINEAGE:-${NAME}}" ]; then exit 0; fi

# A pair that does not fit is not copied: the one that serves is kept.
certificate=$(openssl x509 -noout -pubkey -in "${FROM}/fullchain.pem")
key=$(openssl pkey -pubout -in "${FROM}/privkey.pem")
if [ "${certificate}" != "${key}" ]; then
  echo "spooky: the key of ${NAME} is not that of its certificate" >&2
  exit 1
fi

# `install` gives each file its owner and rights before it has its name, so that the key is never open to others. The key comes last.
install -m 644 -o root -g "${GROUP}" "${FROM}/fullchain.pem" "${TO}/fullchain.pem.new"
install -m 640 -o root -g "${GROUP}" "${FROM}/privkey.pem" "${TO}/privkey.pem.new"
mv "${TO}/fullchain.pem.new" "${TO}/fullchain.pem"
mv "${TO}/privkey.pem.new" "${TO}/privkey.pem"

systemctl is-active --quiet spooky.service || exit 0
systemctl reload spooky.service
logger -t spooky-cert-renewal "certificate ${NAME} is renewed (${RENEWED_DOMAINS:-})" || true
