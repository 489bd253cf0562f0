# shellcheck shell=bash
# Sourced after environment.sh: which system packages a build lacks, and their installation where that may be done.

# What bindgen needs: a libclang that can be loaded, in the places where clang-sys looks, and the compiler headers beside it.
has_libclang() {
  local folder
  for folder in "${LIBCLANG_PATH:-}" "$(llvm-config --libdir 2>/dev/null)" /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu /usr/lib64 \
    /usr/lib /usr/local/lib /usr/lib64/llvm*/lib /usr/local/llvm*/lib; do
    [ -n "$folder" ] || continue
    [ ! -f "$folder" ] || folder=$(dirname -- "$folder")
    if has_file "$folder"/libclang.so* || has_file "$folder"/libclang-*.so*; then
      if has_file "$folder"/clang/*/include/stddef.h /usr/lib/llvm-*/lib/clang/*/include/stddef.h \
        /usr/lib/clang/*/include/stddef.h /usr/lib64/clang/*/include/stddef.h; then return 0; fi
    fi
  done
  return 1
}

# True if one of the arguments (an expanded pattern) is a file.
has_file() {
  local path
  for path in "$@"; do [ ! -f "$path" ] || return 0; done
  return 1
}

# compiles LANGUAGE HEADER COMPILER...: one of the compilers is there and finds the header of its standard library.
compiles() {
  local language=$1 header=$2 compiler
  shift 2
  for compiler in "$@"; do
    if printf '#include <%s>\n' "$header" | "$compiler" -E -x "$language" - >/dev/null 2>&1; then return 0; fi
  done
  return 1
}

# Prints the Debian packages that the build of the native library needs and that are not there, on one line.
missing_build_packages() {
  local missing=()
  compiles c stdio.h "${CC:-cc}" || missing+=(gcc libc6-dev)
  compiles c++ string "${CXX:-c++}" || missing+=(g++)
  command -v make >/dev/null 2>&1 || command -v ninja >/dev/null 2>&1 || missing+=(make)
  command -v cmake >/dev/null 2>&1 || missing+=(cmake)
  command -v git >/dev/null 2>&1 || missing+=(git)
  has_libclang || missing+=(libclang-dev)
  printf '%s' "${missing[*]}"
}

# install_packages PURPOSE PACKAGE...: installs where the user is root and apt-get is there; else returns 3 after one line that
# names the packages and the command.
install_packages() {
  local purpose=$1 log
  shift
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    printf 'error: %s needs: %s. Install with: sudo apt-get install -y %s (or what they are called on this system)\n' \
      "$purpose" "$*" "$*" >&2
    return 3
  fi
  say "installing system packages for $purpose: $*"
  log=$(mktemp)
  if apt_install "$@" >"$log" 2>&1 || { apt-get update >>"$log" 2>&1 && apt_install "$@" >>"$log" 2>&1; }; then
    rm -f -- "$log"
    return 0
  fi
  tail -n 15 -- "$log" >&2
  printf 'error: apt-get could not install: %s\n' "$*" >&2
  rm -f -- "$log"
  return 3
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
}

# find_tools PURPOSE TOOL:PACKAGE...: prints `TOOL=PATH` for each program, or a line `lacking TOOL: REASON`. What is missing is installed where that may
# be done, together or, where one of the packages cannot be had, each by itself.
find_tools() {
  local purpose=$1 pair missing=() package path
  shift
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
  done
  if [ "${#missing[@]}" -gt 0 ] && ! install_packages "$purpose" "${missing[@]}" && [ "${#missing[@]}" -gt 1 ] && [ "$(id -u)" = 0 ]; then
    for package in "${missing[@]}"; do install_packages "$purpose" "$package" || true; done
  fi
  for pair in "$@"; do
    if path=$(command -v "${pair%%:*}"); then
      printf '%s=%s\n' "${pair%%:*}" "$path"
    else
      printf 'lacking %s: it is not in the search path, and Debian'"'"'s package %s may not be installed\n' "${pair%%:*}" "${pair##*:}"
    fi
  done
}
