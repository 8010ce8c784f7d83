#!/bin/bash
# SPDX-License-Identifier: MIT
# Prints the figures, lines of `name value unit`, all measured in this run.
# Ratios compare with a floor or a peer that ran beside; nothing here fails
# because a machine is slow.
set -euo pipefail
umask 077
build=$1
for bench in "$build"/bench/bench_*; do
    [ -x "$bench" ] && [ -f "$bench" ] || continue
    case $bench in *.d | *.o) continue ;; esac
    "$bench"
done

# The sidecar as a process: how fast it is ready beside a running chain, and
# how much memory it holds when nothing happens.
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
mkdir -m 700 "$dir/node" "$dir/node/state"
"$build/examples/threshold" keys "$dir/node" >"$dir/public"
"$build/examples/threshold" deal v1.signer 5 1 "$dir/node/state/keyshares" "$dir/node/store.key" >"$dir/keyset.json"
cat >"$dir/genesis.json" <<EOF
{"dialect":"3.14.1","contract":{"account_id":"v1.signer","threshold":1,"epoch_id":5,
 "participants":[{"account_id":"alice.near","id":0,"url":"http://127.0.0.1:1","tls_public_key":"$(sed -n 1p "$dir/public")","account_public_key":"$(sed -n 2p "$dir/public")"}],
 "domains":[{"protocol":"CaitSith","public_key":"$(grep -o 'secp256k1:[A-Za-z0-9]*' "$dir/keyset.json")","attempt":0},
            {"protocol":"Frost","public_key":"$(grep -o 'ed25519:[A-Za-z0-9]*' "$dir/keyset.json")","attempt":0}]},
 "accounts":[]}
EOF
mkfifo "$dir/devnet.out" "$dir/sidecar.out"
"$build/mpc-devnet" --genesis "$dir/genesis.json" --listen 127.0.0.1:0 --scenario none --block-ms 200 >"$dir/devnet.out" &
read -r _ rpc _ <"$dir/devnet.out"
cat >"$dir/node/node.conf" <<EOF
[node]
account = alice.near
identity_key = identity.key
access_key = access.key
[contract]
account = v1.signer
rpc = http://${rpc#rpc=}
[listen]
migration = 127.0.0.1:0
admin = 127.0.0.1:0
[store]
path = state
key = store.key
EOF
began=$(date +%s%N)
"$build/mpc-migrationd" --config "$dir/node/node.conf" >"$dir/sidecar.out" 2>/dev/null &
sidecar=$!
exec 3<"$dir/sidecar.out"
read -r _ _ admin <&3
until curl -sf -o /dev/null "http://${admin#admin=}/readyz"; do :; done
printf 'start_ms %.1f ms\n' "$((($(date +%s%N) - began) / 10000))e-2"
awk '/VmRSS/{printf "rss_idle_mib %.1f MiB\n", $2 / 1024}' "/proc/$sidecar/status"
