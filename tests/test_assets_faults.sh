#!/bin/bash
# SPDX-License-Identifier: MIT
# Kills a process at every system call by which a take and a purge change
# anything on the disk (a kill at any other call finds the disk as the next of these does), and
# makes each of them fail. Afterwards every asset is untouched or gone, none
# is handed out twice, and what was purged stays purged.
set -u
tool=$1/tests/assets_tool
calls="write pwrite64 fdatasync fsync rename unlink fallocate sync_file_range mkdir"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0
command -v strace >/dev/null || { echo "strace is missing"; exit 1; }
if ! strace -o /dev/null true 2>/dev/null; then
    echo "tracing is not permitted here: skipped"
    exit 0
fi
failures=0 points=0
bad() { failures=$((failures + 1)); echo "BAD: $*"; }

# 0 is taken. Even ids involve 1 2 3, odd ones 1 2 4.
"$tool" fill "$dir/base" 0 8 && [ "$("$tool" take "$dir/base" 0)" = "taken 0" ] || exit 1

# What is there now.
listed() { # folder
    { "$tool" list "$1" 0 8 || echo "broken"; } | tr '\n' ' '
}
has() { case " $1 " in *" $2 "*) return 0 ;; esac; return 1; }

check_take() { # said left
    local id
    has "$2" broken && bad "$point: what was there does not open"
    has "$2" 0 && bad "$point: 0 was handed out twice"
    for id in 1 3 4 5 6 7; do has "$2" $id || bad "$point: $id is lost"; done
    [ "$1" = "taken 2" ] && has "$2" 2 && bad "$point: 2 was handed out twice"
}
check_purge() { # said left
    local id
    has "$2" broken && bad "$point: what was there does not open"
    has "$2" 0 && bad "$point: 0 was handed out twice"
    for id in 2 4 6; do has "$2" $id || bad "$point: $id is lost"; done
    [ "$1" = "purged" ] || return 0
    for id in 1 3 5 7; do has "$2" $id && bad "$point: $id was purged and is there"; done
}

# One act with one injection; prints what it said. Status: the act's.
act() { # act argument injection
    rm -rf "$dir/one"
    cp -r "$dir/base" "$dir/one"
    strace -f -qq -o "$dir/trace" -e trace="${3%%:*}" -e inject="$3" "$tool" "$1" "$dir/one" "$2" 2>"$dir/err"
}
after() { # act said: list, half of the time after purging again
    if [ "$1" = purge ] && [ $((points % 2)) = 0 ]; then
        [ "$("$tool" purge "$dir/one" 4)" = purged ] || bad "$point: cannot be resumed"
        "check_$1" purged "$(listed "$dir/one")"
    else
        "check_$1" "$2" "$(listed "$dir/one")"
    fi
}

kill_everywhere() { # act argument
    local call n said status
    for call in $calls; do
        for ((n = 1; n <= 40; n++)); do
            point="$1 killed at $call $n"
            said=$(act "$1" "$2" "$call:signal=KILL:when=$n")
            status=$?
            [ $status = 0 ] && break # it makes fewer of them
            [ $status = 137 ] || bad "$point: status $status: $(head -c 300 "$dir/err")"
            points=$((points + 1))
            after "$1" "$said"
        done
    done
}

# Everything from the n-th on fails, as on a full or broken disk.
fail_everywhere() { # act argument
    local call error n said status
    for call in write:ENOSPC fdatasync:EIO pwrite64:EIO fallocate:ENOSPC; do
        error=${call#*:} call=${call%:*}
        for ((n = 1; n <= 15; n += 2)); do
            point="$1 with $call failing from $n"
            grep -q "$call" "$dir/trace.$1" || break
            [ "$n" -le "$(grep -c "$call(" "$dir/trace.$1")" ] || break
            said=$(act "$1" "$2" "$call:error=$error:when=$n+")
            status=$?
            [ $status -le 1 ] || bad "$point: status $status: $(head -c 300 "$dir/err")"
            points=$((points + 1))
            after "$1" "$said"
        done
    done
}

for what in "take 2" "purge 4"; do
    # shellcheck disable=SC2086
    set -- $what
    rm -rf "$dir/one"
    cp -r "$dir/base" "$dir/one"
    strace -f -qq -o "$dir/trace.$1" -e trace="${calls// /,}" "$tool" "$1" "$dir/one" "$2" >/dev/null || bad "$what: traced"
    kill_everywhere "$1" "$2"
    fail_everywhere "$1" "$2"
done
echo "$points points in $SECONDS s, $failures failures"
[ "$failures" -eq 0 ] && [ "$points" -gt 40 ]
