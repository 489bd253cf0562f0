# shellcheck shell=bash
# Sourced by every shell script of the project: messages, the project's folder, a cache folder that can be written to, and a
# Rust toolchain that can be found. It changes no folder and writes nothing to standard output.

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd -P)

# One line of progress. Standard output belongs to the program that is started at the end.
say() { printf '==> %s\n' "$*" >&2; }

# fail CODE MESSAGE: 1 a step failed, 2 wrong use, 3 something has to be installed first.
fail() {
  local code=$1
  shift
  printf 'error: %s\n' "$*" >&2
  exit "$code"
}

writable_folder() { mkdir -p -- "$1" 2>/dev/null && [ -w "$1" ]; }

# The user's cache folder, or one inside the project when there is no home or it cannot be written to.
find_cache() {
  local home=${HOME:-} xdg=${XDG_CACHE_HOME:-}
  HOME_USABLE=no
  if [ -n "$home" ] && [ -d "$home" ] && [ -w "$home" ]; then HOME_USABLE=yes; fi
  if [ "${xdg:0:1}" = / ] && writable_folder "$xdg/spooky"; then
    CACHE=$xdg/spooky
  elif [ "$HOME_USABLE" = yes ] && writable_folder "$home/.cache/spooky"; then
    CACHE=$home/.cache/spooky
  else
    CACHE=$ROOT/.cache/spooky
    writable_folder "$CACHE" || fail 3 "neither a cache folder of the user nor $CACHE can be written to: set XDG_CACHE_HOME"
  fi
}

# used PLACE NAME: remembers when PLACE, a folder NAME-KEY in $STORE, was used, and keeps only the $KEPT_MAX latest of its name.
used() {
  local old
  touch -- "$1" 2>/dev/null || true
  find "$STORE" -mindepth 1 -maxdepth 1 -name "$2-????????????????????????????????" -printf '%T@ %p\n' | sort -rn |
    tail -n +$((KEPT_MAX + 1)) | cut -d ' ' -f 2- |
    while IFS= read -r old; do rm -rf -- "$old"; done
}

# npm, cargo and Deno keep their downloads in the home folder; without one they get a place beside our own cache.
give_tools_a_home() {
  [ "$HOME_USABLE" = no ] || return 0
  export npm_config_cache=${npm_config_cache:-$CACHE/npm}
  export CARGO_HOME=${CARGO_HOME:-$CACHE/cargo}
  export DENO_DIR=${DENO_DIR:-$CACHE/deno}
}

# rustup's `cargo` looks for its toolchains in $HOME/.rustup. In an environment with another HOME they are found beside the
# program itself.
find_rust() {
  local bin beside
  if ! command -v cargo >/dev/null 2>&1 && [ -x "${HOME:-}/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
  bin=$(command -v rustc) || return 0
  beside=$(dirname -- "$(dirname -- "$(dirname -- "$bin")")")/.rustup
  if [ -z "${RUSTUP_HOME:-}" ] && [ ! -d "${HOME:-}/.rustup" ] && [ -d "$beside/toolchains" ]; then export RUSTUP_HOME=$beside; fi
}

find_cache
give_tools_a_home
find_rust
