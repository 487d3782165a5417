#!/usr/bin/env bash
# A Debian 13 folder holding the peers, in the cache; prints its path, or says on stderr why there is none.
#
# The peers are measured as Debian ships them, whatever this machine runs, so that one figure means one build. The mirror
# is the one this machine's own apt uses. Needs root (chroot) and debootstrap with Debian's keyring.
set -euo pipefail

cache="${NAMEGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/namegate}"
root="$cache/trixie"
complete="$root/.namegate-complete"
# iproute2 and friends are left out: the peers need nothing but themselves and the CA certificates.
packages="nginx,haproxy,caddy"

refuse() {
    echo "peers: $*; nginx, HAProxy and Caddy will be missing from the table" >&2
    exit 1
}

if [[ -e "$complete" ]]; then
    echo "$root"
    exit 0
fi

[[ "$(id -u)" == 0 ]] || refuse "entering a chroot needs root"
command -v debootstrap >/dev/null || refuse "debootstrap is not installed (apt-get install debootstrap)"
[[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || refuse "Debian's archive keyring is not installed"

mirror="${NAMEGATE_DEBIAN_MIRROR:-}"
if [[ -z "$mirror" ]] && command -v apt-get >/dev/null; then
    # The main archive is the source without a suite suffix; security and updates are listed beside it.
    mirror="$(apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 !~ /-/ { print $3; exit }')"
fi
[[ -n "$mirror" ]] || refuse "no Debian mirror in this machine's apt sources (set NAMEGATE_DEBIAN_MIRROR)"

# Built beside its final place and renamed, so that an interrupted run is never taken for a finished one.
building="$root.building.$$"
trap 'rm -rf "$building"' EXIT
mkdir -p "$cache"
echo "peers: building a Debian 13 folder with $packages" >&2
debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --include="$packages" trixie "$building" "$mirror" >"$cache/trixie.log" 2>&1 ||
    refuse "debootstrap failed (its log is $cache/trixie.log)"
rm -rf "$root"
mv "$building" "$root"
touch "$complete"
echo "$root"
