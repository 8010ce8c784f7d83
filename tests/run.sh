#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs every test program, test script and fuzz corpus below the build folder
# $1 (or only those named in the rest of the arguments); prints one line each
# and the output of what fails. The last line counts.
set -u
build=$1
shift
export BUILD=$build
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run() { # name command...
    local name=$1 start=$SECONDS
    shift
    if timeout -k 10 600 "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        printf '  ok    %-32s %s\n' "$name" "$(grep -oE 'asserts +[0-9]+|tests +[0-9]+ +[0-9]+' "$log" | tr -s ' ' | awk '/tests/{t=$3}/asserts/{a=$2}END{if(t)printf "%s tests, %s asserts",t,a}') ($((SECONDS - start)) s)"
    else
        failed=$((failed + 1))
        printf '  FAIL  %s\n' "$name"
        cat "$log"
    fi
}
wanted() { # name
    [ $# -eq 1 ] && [ ${#only[@]} -eq 0 ] && return 0
    local o
    for o in "${only[@]}"; do [ "$o" = "$1" ] && return 0; done
    return 1
}
only=("$@")
for t in "$build"/tests/test_*; do
    [ -x "$t" ] && [ ! -d "$t" ] || continue
    n=$(basename "$t")
    [ -e "tests/$n.c" ] && wanted "$n" && run "$n" "$t"
done
for t in tests/test_*.sh; do
    [ -e "$t" ] || continue
    n=$(basename "$t" .sh)
    wanted "$n" && run "$n" "$t" "$build"
done
for t in "$build"/fuzz/fuzz_*; do
    [ -x "$t" ] && [ ! -d "$t" ] || continue
    n=$(basename "$t")
    [ -d "fuzz/corpus/$n" ] && wanted "$n" && run "$n (corpus)" "$t" fuzz/corpus/"$n"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
