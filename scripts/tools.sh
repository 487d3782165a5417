#!/usr/bin/env bash
# Installs what this repository needs and the machine lacks; says nothing and changes nothing when all is there.
#
#   scripts/tools.sh [build|test|pebble|fuzz|bench|all]...      (default: build test)
#
#   build    C compiler, cmake                             (aws-lc and zlib-ng are compiled)
#   test     curl, openssl, Python, Node.js, PHP, setpriv, ip, cargo-nextest, PostgreSQL, Pebble,
#            Caddy, schemathesis, domainconnectzone, BIND
#   pebble   Pebble 2.6 with its DNS test server, unpacked into the cache folder; needs no root
#   fuzz     C++ compiler                                  (libFuzzer is compiled)
#   bench    debootstrap                                   (peers are measured in a chroot)
#
# The cache folder is ${NAMEGATE_CACHE:-$HOME/.cache/namegate}. No mirror is named here: the machine's own apt sources
# say where to download from.
set -euo pipefail

CACHE="${NAMEGATE_CACHE:-$HOME/.cache/namegate}"
# Debian 12 has Pebble 2.4, which knows no renewal information (RFC 9773). The build in 13 needs libc 2.34 only.
PEBBLE_SUITE=trixie
# Another version makes other requests: a new one is a change of the tests.
SCHEMATHESIS=4.32.5
# The reference implementation of what a provider does with a Domain Connect template.
DOMAINCONNECTZONE=3.3.0
# debootstrap lives where a plain user's PATH does not look.
PATH="$PATH:/usr/sbin:/sbin"

have() { command -v "$1" >/dev/null 2>&1; }

fail() {
    printf 'tools: %s\n' "$*" >&2
    exit 1
}

say() { printf 'tools: %s\n' "$*" >&2; }

# apt_install PACKAGE... as root, or a message with the command to type.
apt_install() {
    have apt-get || fail "missing: $*. This script knows apt only; install them with your system's own tool."
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || fail "missing: $*. As root: apt-get install $*"
        sudo=(sudo -n)
    fi
    say "installing $*"
    local install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@")
    if ! "${install[@]}" </dev/null >/dev/null 2>&1; then
        # A fresh image has no package lists.
        "${sudo[@]}" apt-get update -qq </dev/null >&2
        "${install[@]}" </dev/null >&2
    fi
}

# need COMMAND PACKAGE...: collects the packages whose command is missing.
MISSING=()
need() { have "$1" || MISSING+=("${@:2}"); }

install_missing() {
    [ ${#MISSING[@]} -eq 0 ] || apt_install "${MISSING[@]}"
    MISSING=()
}

build_tools() {
    need cc gcc libc6-dev
    need cmake cmake
    need make make
    install_missing
    have cargo || fail "missing: a Rust toolchain (rust-toolchain.toml says which)"
}

test_tools() {
    need curl curl ca-certificates
    need openssl openssl
    # What docs/webhooks.md shows is run in these.
    need python3 python3
    need node nodejs
    need php php-cli
    need setpriv util-linux
    # Networks that go silent.
    need ip iproute2
    need jq jq
    need sqlite3 sqlite3
    install_missing
    if ! have cargo-nextest; then
        have cargo || fail "missing: a Rust toolchain (rust-toolchain.toml says which)"
        say "building cargo-nextest, which takes some minutes"
        cargo install --locked cargo-nextest </dev/null >&2
    fi
    postgres_tools
    pebble_tools
    caddy_tools
    python_tool schemathesis "$SCHEMATHESIS"
    python_tool domainconnectzone "$DOMAINCONNECTZONE"
    bind_tools
}

# The server's programs; tests make clusters of their own. Debian's package would make and start one at installation.
postgres_tools() {
    if have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
        return
    fi
    local settings=/etc/postgresql-common/createcluster.conf
    if [ "$(id -u)" -eq 0 ] && [ ! -e "$settings" ]; then
        mkdir -p "${settings%/*}"
        echo 'create_main_cluster = false' >"$settings"
    fi
    apt_install -o Dpkg::Options::=--force-confold postgresql
}

# The machine's package mirrors, one address a line, without the security archive (it has no pebble).
mirrors() {
    # shellcheck disable=SC2016  # apt expands $(REPO_URI), not the shell
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort -u
}

# private_apt MIRROR ARGUMENTS...: apt-get with one source and a state of its own; the machine's is not touched.
private_apt() {
    local state="$CACHE/apt" mirror="$1"
    shift
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    printf 'deb %s %s main\n' "$mirror" "$PEBBLE_SUITE" >"$state/sources.list"
    apt-get -qq \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=- \
        -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache" \
        -o APT::Sandbox::User="$(id -un)" -o APT::Default-Release= \
        -o Acquire::Languages=none -o Acquire::Retries=3 \
        "$@" </dev/null
}

# Downloads and unpacks into a folder beside the final one and renames it at the end: never a half-filled folder.
fetch_pebble() {
    local mirror="$1" work="$CACHE/pebble.new"
    rm -rf "$work"
    mkdir -p "$work"
    private_apt "$mirror" update >"$work/log" 2>&1 || return 1
    (cd "$work" && private_apt "$mirror" download pebble >>log 2>&1) || return 1
    dpkg-deb -x "$work"/pebble_*.deb "$work/root"
    mv "$work/root/usr/bin/pebble" "$work/root/usr/bin/pebble-challtestsrv" "$work/"
    rm -rf "$work/root" "$work"/pebble_*.deb "$work/log" "$CACHE/pebble" "$CACHE/apt"
    mv "$work" "$CACHE/pebble"
}

pebble_ready() { [ -x "$CACHE/pebble/pebble" ] && [ -x "$CACHE/pebble/pebble-challtestsrv" ]; }

pebble_tools() {
    pebble_ready && return
    have apt-get && have dpkg-deb || fail "missing: Pebble 2.6 or later. This script knows apt only;" \
        "put pebble and pebble-challtestsrv into $CACHE/pebble/"
    mkdir -p "$CACHE"
    exec 9>"$CACHE/pebble.lock"
    flock 9
    pebble_ready && return
    local mirror
    for mirror in $(mirrors); do
        fetch_pebble "$mirror" && return
    done
    [ -f "$CACHE/pebble.new/log" ] && tail -n 5 "$CACHE/pebble.new/log" >&2
    fail "no apt source of this machine offers Pebble of Debian $PEBBLE_SUITE"
}

caddy_ready() { [ -x "$CACHE/caddy/caddy" ]; }

# Only the program: installing Debian's package would start a server.
caddy_tools() {
    caddy_ready && return
    have apt-get && have dpkg-deb || fail "missing: Caddy. This script knows apt only; put caddy into $CACHE/caddy/"
    mkdir -p "$CACHE"
    exec 8>"$CACHE/caddy.lock"
    flock 8
    caddy_ready && return
    local work="$CACHE/caddy.new"
    rm -rf "$work"
    mkdir -p "$work"
    if ! (cd "$work" && apt-get download -qq caddy) </dev/null >/dev/null 2>&1; then
        # A fresh image has no package lists; only root may fetch them.
        [ "$(id -u)" -ne 0 ] || apt-get update -qq </dev/null >&2
        (cd "$work" && apt-get download -qq caddy) </dev/null >&2 || fail "the package caddy cannot be downloaded"
    fi
    dpkg-deb -x "$work"/caddy_*.deb "$work/root"
    mv "$work/root/usr/bin/caddy" "$work/"
    rm -rf "$work/root" "$work"/caddy_*.deb "$CACHE/caddy"
    mv "$work" "$CACHE/caddy"
}

# A name server with its tools; tests start servers of their own. Debian's package would start one at installation.
bind_tools() {
    have named && have dig && have nsupdate && return
    local policy=/usr/sbin/policy-rc.d
    if [ "$(id -u)" -eq 0 ] && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        apt_install bind9 bind9-dnsutils
        rm "$policy"
    else
        apt_install bind9 bind9-dnsutils
    fi
}

python_ready() { [ "$(cat "$CACHE/$1/version" 2>/dev/null)" = "$2" ]; }

# python_tool NAME VERSION: a Python environment of its own. It knows its own path, so it is made where it stays and
# marked when it is whole.
python_tool() {
    python_ready "$1" "$2" && return
    need python3 python3
    python3 -c 'import ensurepip' 2>/dev/null || MISSING+=(python3-venv)
    install_missing
    mkdir -p "$CACHE"
    exec 7>"$CACHE/$1.lock"
    flock 7
    python_ready "$1" "$2" && return
    say "installing $1 $2"
    rm -rf "${CACHE:?}/$1"
    python3 -m venv "$CACHE/$1"
    "$CACHE/$1/bin/pip" install --quiet --disable-pip-version-check "$1==$2" </dev/null >&2
    echo "$2" >"$CACHE/$1/version"
}

fuzz_tools() {
    need c++ g++
    install_missing
}

bench_tools() {
    need debootstrap debootstrap
    install_missing
}

[ $# -gt 0 ] || set -- build test
for part in "$@"; do
    case "$part" in
    build) build_tools ;;
    test) test_tools ;;
    pebble) pebble_tools ;;
    fuzz) fuzz_tools ;;
    bench) bench_tools ;;
    all)
        build_tools
        test_tools
        fuzz_tools
        bench_tools
        ;;
    *) fail "unknown part '$part'; known: build test pebble fuzz bench all" ;;
    esac
done
