# shellcheck shell=bash
# Sourced after environment.sh: programs that are built with Go.

# is_go_new_enough GO MINOR_MIN
is_go_new_enough() {
  local minor
  minor=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  [ -n "$minor" ] && [ "$minor" -ge "$2" ]
}

# build_go GO SOURCE FILE PACKAGE [OPTION...]: builds PACKAGE of the module in the folder SOURCE of the project into FILE. False: its modules could not be
# fetched. GOFLAGS keeps the build from changing go.mod and go.sum.
build_go() {
  local go=$1 source=$2 file=$3 package=$4
  shift 4
  export GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0
  [ "$HOME_USABLE" = yes ] || export GOPATH=$CACHE/go GOCACHE=$CACHE/go/build
  (cd -- "$source" && "$go" mod download >/dev/null 2>&1) || return 1
  say "building ${source#"$ROOT/"}"
  mkdir -p -- "$(dirname -- "$file")"
  (cd -- "$source" && "$go" build -trimpath -buildvcs=false "$@" -o "$file.part" "$package" >&2) ||
    fail 1 "${source#"$ROOT/"} does not compile"
  mv -- "$file.part" "$file"
}
