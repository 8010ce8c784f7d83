#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs every test program, test script and fuzz corpus below the build folder
# $1 (or only those named in the rest of the arguments), JOBS at a time; prints
# one line each and the output of what fails. The last line counts.
set -u
export BUILD=$1
shift
only=" $* "
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export out

one() { # name command...
    local name=$1 start=$SECONDS log="$out/$1.log"
    shift
    if timeout -k 10 600 "$@" >"$log" 2>&1; then
        printf '  ok    %-32s %s (%d s)\n' "$name" "$(awk '$1=="tests"{t=$3} $1=="asserts"{a=$2} END{if(t!="")printf "%s tests, %s asserts",t,a}' "$log")" $((SECONDS - start))
    else
        : >"$out/$name.failed"
        printf '  FAIL  %s\n%s\n' "$name" "$(cat "$log")"
    fi
}
export -f one

list() {
    local t n
    # Scripts first: they take longest.
    for t in tests/test_*.sh; do
        [ -e "$t" ] && echo "$(basename "$t" .sh) $t $BUILD"
    done
    for t in tests/test_*.c; do
        n=$(basename "$t" .c)
        echo "$n $BUILD/tests/$n"
    done
    for t in fuzz/corpus/fuzz_*; do
        n=$(basename "$t")
        [ -x "$BUILD/fuzz/$n" ] && echo "$n $BUILD/fuzz/$n $t"
    done
}
list | while read -r name rest; do
    [ "$only" = "  " ] || [[ $only == *" $name "* ]] && echo "$name $rest"
done >"$out/list"
xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'one {}' <"$out/list"

total=$(wc -l <"$out/list")
failed=$(find "$out" -name '*.failed' | wc -l)
[ "$failed" -eq 0 ] || echo "failed: $(cd "$out" && ls -- *.failed | sed 's/\.failed//' | tr '\n' ' ')"
echo "$((total - failed)) passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$total" -gt 0 ]
