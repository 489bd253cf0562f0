#!/usr/bin/env bash
# Holds bills of materials against the schema of CycloneDX 1.6, with the library that the CycloneDX project keeps for Python.
#
#   ./scripts/sbom-check.sh FILE...
#
# Exit codes: 0 all are valid, 1 one is not (it is said why), 2 no file was named, 3 Python or its venv module is not there.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"

REQUIREMENTS=$ROOT/scripts/sbom-check.requirements.txt
STORE=$CACHE/sbom-check

main() {
  local place
  [ $# -gt 0 ] || fail 2 "no file to check; see the head of $0"
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || install_packages "bills of materials" python3 python3-venv || exit 3
  place=$STORE/$(python3 -c 'import sys; print(sys.version, sys.base_prefix)' | cat -- - "$REQUIREMENTS" | sha256sum | cut -c 1-32)
  if [ ! -f "$place/complete" ]; then
    rm -rf -- "$STORE"
    mkdir -p -- "$STORE"
    python3 -m venv "$place" >&2 || fail 1 "python3 -m venv failed"
    "$place/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-deps --requirement "$REQUIREMENTS" >&2 ||
      fail 1 "pip could not install the packages of $REQUIREMENTS"
    touch -- "$place/complete"
  fi
  "$place/bin/python" -c "$CHECK" "$@"
}

CHECK='
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
bad = 0
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read())
    if error is not None:
        bad = 1
        print(f"{path}: {str(error).splitlines()[0]}", file=sys.stderr)
sys.exit(bad)
'

main "$@"
