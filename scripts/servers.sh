#!/usr/bin/env bash
# Prints where the real servers and clients of the tests are, one `NAME=PATH` line each for nginx, nginxstream (a file that nginx includes to
# balance UDP), haproxy, prometheus, promtool, chromium (without a window), h2load (with HTTP/3), go, grpc and quicgo (the programs of test/interop/go, grpc and quicgo, built), or a line `lacking NAME: REASON`. nginx
# and HAProxy are those of the search path, else
# Debian's packages, unpacked in the user's cache folder: nothing is installed on the system and nothing is started. Go is the one of
# the search path, else Debian's, which is kept only as long as the program is built, and is too old for the libraries of gRPC and quic-go. Node needs no
# line: the set-up needs it anyway.
# Exit codes: 0 printed, 1 a Go program does not compile.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$(readlink -f -- "$0")")/environment.sh"
. "$ROOT/scripts/go.sh"

STORE=$CACHE/servers
GO_MINOR_MIN=19
# What the libraries of test/interop/grpc and quicgo ask for.
NEW_GO_MINOR_MIN=26
KEPT_MAX=2
APT_OPTIONS=()

main() {
  mkdir -p -- "$STORE"
  exec 9>"$STORE/lock"
  flock 9
  find_server nginx -v
  find_nginx_stream
  find_server haproxy -v
  find_server prometheus --version
  find_promtool
  find_chromium
  find_go_program go "$ROOT/test/interop/go" $GO_MINOR_MIN
  find_go_program grpc "$ROOT/test/interop/grpc" $NEW_GO_MINOR_MIN
  find_go_program quicgo "$ROOT/test/interop/quicgo" $NEW_GO_MINOR_MIN
  find_h2load
  rm -rf -- "$STORE/apt"
}

# The one that SPOOKY_TEST_H2LOAD names, or the search path's. Distributions build theirs without HTTP/3, and to build one with it takes
# longer than all tests.
find_h2load() {
  local path
  if path=${SPOOKY_TEST_H2LOAD:-$(command -v h2load)} && "$path" --help 2>/dev/null | grep -c -e '--h3' >/dev/null; then
    printf 'h2load=%s\n' "$path"
  else
    lacking h2load "none in the search path knows HTTP/3, and SPOOKY_TEST_H2LOAD names none that does"
  fi
}

# find_server NAME VERSION_OPTION: the search path's, or Debian's package from the cache, made when it is not there.
find_server() {
  local name=$1 option=$2 path place
  if path=$(PATH=$PATH:/usr/local/sbin:/usr/sbin command -v "$name") && "$path" "$option" >/dev/null 2>&1; then
    printf '%s=%s\n' "$name" "$path"
    return 0
  fi
  place=$STORE/$name-$(package_key "$name")
  if ! "$place/run" "$option" >/dev/null 2>&1; then
    if ! command -v dpkg-deb >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
      lacking "$name" "it is not in the search path, and this is no Debian system whose package could be unpacked"
      return 0
    fi
    say "real servers: unpacking Debian's $name"
    rm -rf -- "$place"
    if ! unpack "$name" "$place/root" || ! write_runner "$name" "$place" || ! "$place/run" "$option" >/dev/null 2>&1; then
      rm -rf -- "$place"
      lacking "$name" "Debian's package could not be fetched, or does not run here"
      return 0
    fi
  fi
  used "$place" "$name"
  printf '%s=%s\n' "$name" "$place/run"
}

# nginx's module for streams: built in, beside it, or Debian's from the cache. What fits is what that nginx takes.
find_nginx_stream() {
  local name=nginxstream nginx place module
  nginx=$(PATH=$PATH:/usr/local/sbin:/usr/sbin command -v nginx) || nginx=$STORE/nginx-$(package_key nginx)/run
  place=$STORE/$name-$({ package_key libnginx-mod-stream; "$nginx" -V 2>&1 || true; } | sha256sum | cut -c 1-32)
  if [ ! -f "$place/load.conf" ]; then
    rm -rf -- "$place"
    mkdir -p -- "$place"
    if ! takes_stream "$nginx" "$place" "" && ! takes_stream "$nginx" "$place" /usr/lib/nginx/modules/ngx_stream_module.so; then
      say "real servers: unpacking nginx's module for streams"
      unpack libnginx-mod-stream "$place/root" || true
      module=$(find "$place" -name ngx_stream_module.so 2>/dev/null | head -n 1)
      if [ -z "$module" ] || ! takes_stream "$nginx" "$place" "$module"; then
        rm -rf -- "$place"
        lacking "$name" "Debian's libnginx-mod-stream could not be fetched, or does not fit $nginx"
        return 0
      fi
    fi
  fi
  used "$place" "$name"
  printf '%s=%s\n' "$name" "$place/load.conf"
}

# takes_stream NGINX FOLDER MODULE: writes FOLDER/load.conf when that nginx balances UDP with the module, or with none.
takes_stream() {
  local load=''
  [ -z "$3" ] || load="load_module $3;"
  printf '%s\nerror_log stderr;\npid %s;\nevents {}\nstream { server { listen 127.0.0.1:9 udp; proxy_pass 127.0.0.1:9; } }\n' \
    "$load" "$2/pid" >"$2/try.conf"
  "$1" -t -q -p "$2" -c "$2/try.conf" >/dev/null 2>&1 || return 1
  printf '%s\n' "$load" >"$2/load.conf"
}

# Prometheus' own checker, which comes with it.
find_promtool() {
  local path unpacked
  unpacked=$STORE/prometheus-$(package_key prometheus)/root
  path=$(command -v promtool) || path=$unpacked/usr/bin/promtool
  if [ -x "$path" ]; then printf 'promtool=%s\n' "$path"; else lacking promtool "it comes with Prometheus, which is not there"; fi
}

# Chromium for the test of the documentation's site. Debian's wrapper wants its files below /usr, so the program itself is run.
find_chromium() {
  local name=chromium-headless-shell place path
  if path=$(command -v "$name" || command -v chromium) && "$path" --version >/dev/null 2>&1; then
    printf 'chromium=%s\n' "$path"
    return 0
  fi
  place=$STORE/chromium-$(package_key "$name")
  if ! "$place/run" --version >/dev/null 2>&1; then
    rm -rf -- "$place"
    if ! command -v dpkg-deb >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
      lacking chromium "it is not in the search path, and this is no Debian system whose package could be unpacked"
      return 0
    fi
    say "real servers: unpacking Debian's $name"
    if ! unpack "$name" "$place/root" || ! write_runner "$name" "$place" || ! "$place/run" --version >/dev/null 2>&1; then
      rm -rf -- "$place"
      lacking chromium "Debian's package could not be fetched, or does not run here"
      return 0
    fi
  fi
  used "$place" chromium
  printf 'chromium=%s\n' "$place/run"
}

lacking() { printf 'lacking %s: %s\n' "$1" "$2"; }

# What an unpacked package depends on: the system it was chosen for, and the way this script unpacks it.
package_key() {
  { printf '%s\n' "$1"; uname -m; cat /etc/os-release 2>/dev/null; cat -- "$0"; } | sha256sum | cut -c 1-32
}

# unpack PACKAGE FOLDER: the package and all that it needs and the system has not.
unpack() {
  local debs packages
  debs=$(mktemp -d) || return 1
  if { packages=$(wanted_packages "$1") && download "$debs" "$packages"; } ||
    { own_package_lists && packages=$(wanted_packages "$1") && download "$debs" "$packages"; }; then
    mkdir -p -- "$2"
    find "$debs" -name '*.deb' -exec dpkg-deb -x {} "$2" \;
    rm -rf -- "$debs"
    return 0
  fi
  rm -rf -- "$debs"
  return 1
}

# apt's own answer to what an installation would bring, as NAME=VERSION. Fails when there is no such package.
wanted_packages() {
  apt-get "${APT_OPTIONS[@]}" install --simulate --no-install-recommends "$1" 2>/dev/null |
    sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p' | grep .
}

# download FOLDER PACKAGES. As root, apt would read the folder as another user; it is told not to.
download() {
  # shellcheck disable=SC2086
  (cd -- "$1" && apt-get "${APT_OPTIONS[@]}" -o APT::Sandbox::User=root download --quiet $2 >/dev/null 2>&1)
}

# The system's lists are missing or older than the archive: lists of our own, so that the system's stay as they are.
own_package_lists() {
  local apt=$STORE/apt
  [ ${#APT_OPTIONS[@]} = 0 ] || return 1
  mkdir -p -- "$apt/lists/partial" "$apt/cache/archives/partial"
  APT_OPTIONS=(-o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
  say "real servers: reading Debian's package lists"
  apt-get "${APT_OPTIONS[@]}" update >/dev/null 2>&1
}

# A program that becomes the server, with the libraries that were unpacked beside it; its process id stays the one started.
write_runner() {
  local root=$2/root program libraries
  program=$(find "$root/usr/sbin" "$root/usr/lib/chromium" "$root/usr/bin" -name "$1" -type f 2>/dev/null | head -n 1)
  [ -n "$program" ] || return 1
  libraries=$(find "$root/usr/lib" "$root/lib" -maxdepth 2 -type d \( -name '*-linux-*' -o -name pulseaudio \) 2>/dev/null | paste -sd :)
  # shellcheck disable=SC2016
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec %s "$@"\n' "'$libraries'" "'$program'" >"$2/run"
  chmod +x "$2/run"
}

# find_go_program NAME SOURCE MINOR_MIN: a program of ours, built with the search path's Go. For the NAME `go` Debian's will do, too.
find_go_program() {
  local name=$1 source=$2 minor_min=$3 go go_root='' key place version
  if ! go=$(command -v go) || ! is_go_new_enough "$go" "$minor_min"; then go=''; fi
  version=$([ -z "$go" ] && printf 'Debian' || "$go" env GOVERSION)
  key=$({ printf '%s\n' "$version"; uname -m; cat -- "$source"/*; } | sha256sum | cut -c 1-32)
  place=$STORE/$name-$key
  if [ ! -x "$place/server" ]; then
    if [ -z "$go" ]; then
      if [ "$name" != go ]; then
        lacking "$name" "no Go 1.$minor_min or newer in the search path"
        return 0
      fi
      if ! command -v dpkg-deb >/dev/null 2>&1; then
        lacking go "no Go 1.$minor_min or newer in the search path, and this is no Debian system whose package could be unpacked"
        return 0
      fi
      say "real servers: unpacking Debian's Go for the time of the build"
      go_root=$STORE/toolchain
      rm -rf -- "$go_root"
      if ! unpack golang-go "$go_root" || ! go=$(echo "$go_root"/usr/lib/go-1.*/bin/go) || ! is_go_new_enough "$go" "$minor_min"; then
        rm -rf -- "$go_root"
        lacking go "no Go 1.$minor_min or newer in the search path, and Debian's package could not be fetched or is older"
        return 0
      fi
    fi
    if ! build_go "$go" "$source" "$place/server" .; then
      lacking "$name" "its modules (${source#"$ROOT/"}/go.mod) could not be fetched"
      return 0
    fi
    [ -z "$go_root" ] || { chmod -R u+w -- "$go_root" && rm -rf -- "$go_root"; }
  fi
  used "$place" "$name"
  printf '%s=%s\n' "$name" "$place/server"
}

main
