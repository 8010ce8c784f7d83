#!/bin/bash
# SPDX-License-Identifier: MIT
# Usage: run_fuzz.sh FOLDER SECONDS TARGET... Runs each fuzz target for so many
# seconds, four at a time; new inputs go to build/corpus, a crash ends the run.
set -u
bin=$1 seconds=$2
shift 2
mkdir -p build/corpus build/crashes
one() {
    t=$1
    mkdir -p "build/corpus/$t"
    dict=()
    [ -e "fuzz/$t.dict" ] && dict=(-dict="fuzz/$t.dict")
    seeds=()
    [ -d "fuzz/corpus/$t" ] && seeds=("fuzz/corpus/$t")
    if "$bin/$t" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/crashes/$t-" "${dict[@]}" "build/corpus/$t" "${seeds[@]}" \
        >"build/corpus/$t.log" 2>&1; then
        printf '  ok    %-32s %s executions\n' "$t" "$(awk '/number_of_executed_units/{print $2}' "build/corpus/$t.log")"
    else
        printf '  FAIL  %s\n' "$t"
        tail -60 "build/corpus/$t.log"
        return 1
    fi
}
export -f one
export bin seconds
printf '%s\n' "$@" | xargs -P 4 -I{} bash -c 'one {} || exit 255'
