#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages listed in dist/packages that are missing, when
# it may; otherwise prints the exact line to run. Usage: dist/deps.sh [npm]
set -eu
here=$(dirname "$0")
list=$(cat "$here/packages")
if [ "${1:-}" = npm ] && ! command -v npm >/dev/null 2>&1; then
    list="$list nodejs npm"
fi
missing=
for package in $list; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
# Some machines carry nodejs or compilers from elsewhere; only what is missing matters.
[ -n "$missing" ] || exit 0
line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "these packages are missing; run: sudo $line" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
