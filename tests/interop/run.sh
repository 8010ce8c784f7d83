#!/bin/bash
# SPDX-License-Identifier: MIT
# Independent clients from npm against our programs. Usage: run.sh BUILD [PART...]
# Installs the exact versions of package-lock.json into BUILD/interop (once),
# runs every part_*.sh in order, counts, fails if any fails.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
work=$build/interop
mkdir -p "$work"
cp "$here"/package.json "$here"/package-lock.json "$here"/.npmrc "$here"/*.mjs "$work"/
stamp=$(cat "$here"/package.json "$here"/package-lock.json | sha256sum)
install() { (cd "$work" && npm ci --no-progress >npm.log 2>&1); }
if [ "$(cat "$work/.installed" 2>/dev/null)" != "$stamp" ]; then
    rm -f "$work/.installed"
    if ! install && ! { sleep 2; install; }; then
        tail -20 "$work/npm.log"
        echo "npm could not install the clients"
        exit 1
    fi
    echo "$stamp" >"$work/.installed"
fi
export BUILD=$build INTEROP=$work
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0
for part in "$here"/part_*.sh; do
    name=$(basename "$part" .sh)
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    start=$SECONDS
    if (cd "$work" && timeout -k 10 300 bash "$part") >"$log" 2>&1; then
        passed=$((passed + 1))
        printf '  ok    %-24s %s (%d s)\n' "$name" "$(tail -1 "$log")" $((SECONDS - start))
    else
        failed=$((failed + 1))
        printf '  FAIL  %s\n' "$name"
        cat "$log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
