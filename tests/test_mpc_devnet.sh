#!/bin/bash
# SPDX-License-Identifier: MIT
# The program: options, the ready line, a clean stop, and a state that survives kill -9.
set -u
build=$1
dir=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
fail() {
    echo "FAIL: $*"
    exit 1
}
expect() { # status command...
    local want=$1
    shift
    "$@" >"$dir/out" 2>"$dir/err"
    local got=$?
    [ "$got" -eq "$want" ] || fail "$* gave $got, not $want: $(cat "$dir/err")"
}
cat >"$dir/genesis.json" <<'G'
{"dialect":"draft","contract":{"account_id":"v1.signer","epoch_id":5,"threshold":1,
 "participants":[{"account_id":"alice.near","url":"http://a:80","tls_public_key":"ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"}],
 "domains":[{"protocol":"Frost"}]},"accounts":[]}
G
devnet=$build/mpc-devnet
expect 0 "$devnet" --help
expect 0 "$devnet" --version
expect 64 "$devnet"
expect 64 "$devnet" --genesis a --genesis b
expect 64 "$devnet" --nonsense
expect 64 "$devnet" --genesis "$dir/genesis.json" --block-ms -1
expect 64 "$devnet" --genesis "$dir/genesis.json" --dialect 1.0
expect 64 "$devnet" --genesis "$dir/genesis.json" --listen 3030
expect 65 "$devnet" --genesis "$dir/genesis.json" --listen 0.0.0.0:0 --scenario none
expect 65 "$devnet" --genesis /dev/null --listen 127.0.0.1:0 --scenario none
expect 65 "$devnet" --state "$dir/none.json" --listen 127.0.0.1:0 --scenario none
expect 74 "$devnet" --genesis "$dir/absent.json"
expect 74 "$devnet" --genesis "$dir/genesis.json" --state "$dir/absent/state.json" --listen 127.0.0.1:0 --scenario none

start() {
    : >"$dir/ready"
    "$devnet" --listen 127.0.0.1:0 --scenario 127.0.0.1:0 --state "$dir/state.json" --block-ms 20 "$@" >"$dir/ready" 2>"$dir/err" &
    pid=$!
    for _ in $(seq 200); do
        grep -q '^listening rpc=127.0.0.1:[0-9]* scenario=127.0.0.1:[0-9]*$' "$dir/ready" && break
        kill -0 "$pid" 2>/dev/null || fail "ended: $(cat "$dir/err")"
        sleep 0.05
    done
    rpc=$(sed 's/.*rpc=\([^ ]*\).*/\1/' "$dir/ready")
    scenario=$(sed 's/.*scenario=//' "$dir/ready")
    [ -n "$rpc" ] || fail "no ready line"
}
height() { curl -sf "http://$rpc/status" | sed 's/.*"latest_block_height":\([0-9]*\).*/\1/'; }

start --genesis "$dir/genesis.json"
curl -sf "http://$scenario/scenario" -d '{"op":"start_resharing"}' | grep -q '"ok":true' || fail "scenario"
before=$(height)
kill -9 "$pid"
wait "$pid" 2>/dev/null
start
curl -sf "http://$scenario/state" | grep -q '"Resharing"' || fail "the state did not survive"
[ "$(height)" -gt "$before" ] || fail "the height went back"
[ "$(stat -c %a "$dir/state.json")" = 600 ] || fail "mode of the state file"
kill -TERM "$pid"
wait "$pid" || fail "did not stop cleanly"
pid=
expect 65 "$devnet" --state "$dir/state.json" --dialect 3.14.1 --listen 127.0.0.1:0 --scenario none
echo ok
