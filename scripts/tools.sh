#!/bin/sh
# Puts what the project needs on this machine, and prints the folder that has uv on standard output.
# mmdebstrap, bubblewrap and the tools for disk images come from the system's packages; uv, where it
# is not there, from PyPI into the cache folder, checked by pip; promtool, which tests the alert
# rules, out of Debian's package into the cache folder. All else lives in the lab's private root.
set -eu

UV_VERSION=0.11
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wholecard/tools

say() { echo "tools: $*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "error: not root, and sudo is not there. Run as root: $*"
        exit 3
    fi
}

packages=
# An ordinary user of Debian has no sbin on PATH.
PATH=$PATH:/usr/sbin:/sbin
need() { command -v "$1" >/dev/null || packages="$packages $2"; }

need mmdebstrap mmdebstrap
need bwrap bubblewrap
need python3 python3
need qemu-img qemu-utils
need sfdisk fdisk
need mke2fs e2fsprogs
[ "$(id -u)" -eq 0 ] || need newuidmap uidmap
# Ubuntu has no keys of Debian's archive by default, and the private root is Debian's.
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || packages="$packages debian-archive-keyring"

find_uv() {
    for place in "$(command -v uv || true)" "$cache/uv/bin/uv"; do
        if [ -n "$place" ] && "$place" --version >/dev/null 2>&1; then
            dirname "$place"
            return 0
        fi
    done
    return 1
}

if ! find_uv >/dev/null && ! python3 -m pip --version >/dev/null 2>&1; then
    # Debian's python3 has no pip of its own; a virtual environment brings one.
    python3 -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"
fi

if [ -n "$packages" ]; then
    if ! command -v apt-get >/dev/null; then
        say "error: these are missing:$packages, and this is no Debian or Ubuntu. Install them."
        exit 3
    fi
    say "installing$packages"
    as_root apt-get update -qq >&2
    # shellcheck disable=SC2086 # a list of names
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends \
        $packages >&2
fi

# The package prometheus would start a service on port 9090, so one program of it is taken out: 19 MB
# are fetched, checked by apt, and 46 MB are kept. Without it the tests of the alert rules fail.
if ! command -v promtool >/dev/null && [ ! -x "$cache/prometheus/promtool" ] \
    && command -v apt-get >/dev/null; then
    say "fetching promtool into $cache/prometheus"
    new=$(mktemp -d)
    mkdir -p "$cache/prometheus"
    if (cd "$new" && { apt-get download -qq prometheus || {
            as_root apt-get update -qq && apt-get download -qq prometheus; }; } >&2 \
        && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool >promtool \
        && chmod 755 promtool && mv promtool "$cache/prometheus/promtool"); then :; else
        say "promtool could not be fetched; only the tests of the alert rules need it"
    fi
    rm -rf "$new"
fi

if ! find_uv; then
    say "installing uv into $cache"
    rm -rf "$cache/uv"
    mkdir -p "$cache"
    if python3 -c 'import ensurepip' 2>/dev/null; then
        python3 -m venv "$cache/uv" >&2
        "$cache/uv/bin/python" -m pip install --quiet "uv>=$UV_VERSION" >&2
    else
        python3 -m pip install --quiet --target "$cache/uv" "uv>=$UV_VERSION" >&2
    fi
    find_uv || {
        say "error: uv could not be installed. Does PyPI answer? pip's words stand above."
        exit 3
    }
fi
