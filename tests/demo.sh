#!/bin/bash
# SPDX-License-Identifier: MIT
# The whole story on one machine: real processes, real cryptography, a real
# local chain. Every line is a step and the second it was done at; the first
# step that fails ends it. Usage: demo.sh BUILD-FOLDER [FOLDER-TO-KEEP]
set -euo pipefail
umask 077
build=$(realpath "${1:-build}")
dir=${2:-$(mktemp -d "${TMPDIR:-/tmp}/mpc-demo-XXXXXX")}
mkdir -p "$dir" && chmod 700 "$dir"
contract=v1.signer account=alice.near
limit=30 # seconds that any event may take

began=$(date +%s%N)
step() { printf '%6.2f s  %s\n' "$(($(date +%s%N) - began))e-9" "$1"; }
give_up() {
    printf '%6.2f s  FAILED: %s\n' "$(($(date +%s%N) - began))e-9" "$1" >&2
    for log in "$dir"/*.log; do [ -e "$log" ] && { echo "--- $log" && tail -n 15 "$log"; } >&2; done
    exit 1
}
declare -A pids
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    [ -n "${keep:-}" ] || rm -rf "$dir"
}
[ $# -lt 2 ] || keep=yes
trap cleanup EXIT
trap 'give_up "line $LINENO: $BASH_COMMAND"' ERR

# Waits until a line of the file matches; follows the file, does not poll.
await() { # file pattern [what]
    timeout "$limit" bash -c 'exec 3< <(exec tail -s 0.02 -n +1 -F "$1" 2>/dev/null); t=$!; grep -m1 -qE -e "$2" <&3; r=$?; kill $t 2>/dev/null; exit $r' _ "$1" "$2" ||
        give_up "${3:-no line like '$2' in $1}"
}
start() { # name command...
    local name=$1
    shift
    "$@" >"$dir/$name.out" 2>"$dir/$name.log" &
    pids[$name]=$!
}
stop() { # name [signal]
    kill "-${2:-TERM}" "${pids[$1]}" 2>/dev/null || true
    wait "${pids[$1]}" 2>/dev/null || true
    unset "pids[$1]"
}
word() { sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" "$dir/$1.out"; } # a value of a ready line
scenario() { curl -sSf -o /dev/null -d "$1" "http://$(word devnet scenario)/scenario" || give_up "scenario $1"; }
view() { "$build/examples/operator" view "$rpc" $contract "$1"; }
tls_key() { sed -n 1p "$dir/$1/public"; }
access_key() { sed -n 2p "$dir/$1/public"; }

make_node() { # name
    mkdir -m 700 "$dir/$1" "$dir/$1/state"
    "$build/examples/threshold" keys "$dir/$1" >"$dir/$1/public"
}
start_node() { # name listen-options...
    local name=$1
    shift
    cat >"$dir/$name/node.conf" <<EOF
[node]
account      = $account
identity_key = identity.key
access_key   = access.key
[contract]
account       = $contract
rpc           = $rpc
poll_interval = 100ms
[listen]
migration = 127.0.0.1:0
admin     = 127.0.0.1:0
$(printf '%s\n' "$@")
[store]
path = state
key  = store.key
[protocol]
skew = 1s ; a node without a nonce journal turns requests away for this long
EOF
    start "$name" "$build/mpc-migrationd" --config "$dir/$name/node.conf"
    await "$dir/$name.out" '^listening' "node $name does not listen"
    await "$dir/$name.log" ' view: protocol=running' "node $name sees no contract"
}
operator() { "$build/examples/operator" "$1" "$rpc" $contract $account "${@:2}" >>"$dir/operator.log" 2>&1 || give_up "operator $1"; }
swap_to() { # node url: what an operator does, in this order
    operator grant "$dir/operator/access.key" "$(access_key "$1")"
    operator attest "$dir/$1/access.key" "$(tls_key "$1")"
    operator start "$dir/operator/access.key" "$2" "$(tls_key "$1")" "$(access_key "$1")"
}

# ---- a network ---------------------------------------------------------------
for n in old bob carol dave operator; do make_node $n; done
"$build/examples/threshold" deal $contract 5 3 $(for n in old bob carol dave; do
    echo "$dir/$n/state/keyshares $dir/$n/store.key"
done) >"$dir/keyset.json"
participants=
i=0
for n in old bob carol dave; do
    name=$([ $n = old ] && echo $account || echo $n.near)
    participants+="${participants:+,}{\"account_id\":\"$name\",\"id\":$i,\"url\":\"http://127.0.0.1:$((9000 + i))\",\"tls_public_key\":\"$(tls_key $n)\",\"account_public_key\":\"$(access_key $n)\"}"
    i=$((i + 1))
done
cat >"$dir/genesis.json" <<EOF
{"dialect":"3.14.1",
 "contract":{"account_id":"$contract","threshold":3,"epoch_id":5,"participants":[$participants],
  "domains":[{"protocol":"CaitSith","public_key":"$(grep -o 'secp256k1:[A-Za-z0-9]*' "$dir/keyset.json")","attempt":0},
             {"protocol":"Frost","public_key":"$(grep -o 'ed25519:[A-Za-z0-9]*' "$dir/keyset.json")","attempt":0}]},
 "accounts":[{"account_id":"$account","balance":"1000000000000000000000000000","keys":[{"public_key":"$(access_key operator)"}]}]}
EOF
start devnet "$build/mpc-devnet" --genesis "$dir/genesis.json" --listen 127.0.0.1:0 --scenario 127.0.0.1:0 --block-ms 100
await "$dir/devnet.out" '^listening' "the devnet does not start"
rpc=http://$(word devnet rpc)
step "a chain with four participants; each holds a share of an ed25519 and of a secp256k1 key, any 3 of 4 sign"
start_node old
step "the operator's node serves on $(word old migration), under the TLS key the contract names"

# ---- backup ------------------------------------------------------------------
service=$dir/backup
"$build/mpc-backup" --home "$service" keygen >"$dir/keygen.out" 2>&1
cat >"$service/mpc-backup.conf" <<EOF
[node]
account  = $account
node_url = https://$(word old migration)
[contract]
account       = $contract
rpc           = $rpc
poll_interval = 100ms
EOF
"$build/mpc-backup" --home "$service" register --send --operator-key "$dir/operator/access.key" >"$dir/register.out" 2>&1 ||
    give_up "the backup service cannot be registered: $(cat "$dir/register.out")"
step "the backup service made its keys and is registered in the contract"
start backup "$build/mpc-backup" --home "$service" run
await "$dir/backup.log" ' acknowledged:' "no backup was acknowledged"
await "$dir/old.log" ' backup_acknowledged' "the node recorded no receipt"
step "it fetched the shares by itself, sealed them away, read them back, and told the node so"

# ---- the loss, and the recovery ------------------------------------------------
stop old KILL
rm -rf "$dir/old/state"
step "the node is killed and its disk wiped: the share exists in the backup only"
make_node new
start_node new
swap_to new "https://$(word new migration)"
step "a new machine with new keys is up; the operator calls for the swap"
await "$dir/new.log" ' import_done' "the new node imported nothing"
step "the backup service noticed and delivered; the new node has the shares, durable"
await "$dir/new.log" ' job: done' "the new node did not take the seat"
view state >"$dir/state.json"
grep -q "\[\"$account\",0,{\"url\":\"[^\"]*\",\"tls_public_key\":\"$(tls_key new)\"}\]" "$dir/state.json" ||
    give_up "the contract does not show the new key in the old seat"
grep -q '"keyset":{"epoch_id":5,' "$dir/state.json" || give_up "the epoch moved"
[ "$(view migration_info | grep -c destination_node_info)" = 0 ] || give_up "the record of the migration is still there"
step "it concluded: the contract shows its key in the old seat, same id, same epoch"
signature=$("$build/examples/threshold" sign $contract "$dir/keyset.json" "after the recovery" \
    0 "$dir/new/state/keyshares" "$dir/new/store.key" \
    1 "$dir/bob/state/keyshares" "$dir/bob/store.key" \
    3 "$dir/dave/state/keyshares" "$dir/dave/store.key") || give_up "no threshold signature"
step "the new node and two others signed; it verifies under the unchanged group key: ${signature:0:16}..."

# ---- a second migration, cut off by a resharing -----------------------------------
await "$dir/new.log" ' backup_acknowledged' "the new node's shares were not backed up again"
step "the backup service has fetched and acknowledged the new node's shares too"
make_node third
start_node third "tls = no"
start hold "$build/examples/hold" "$(word third migration | sed 's/.*://')"
await "$dir/hold.out" '^[0-9]'
swap_to third "http://127.0.0.1:$(head -1 "$dir/hold.out")"
await "$dir/hold.out" '^holding' "no upload began"
step "a second migration has begun: an upload is on its way, half of it is there"
scenario '{"op":"start_resharing"}'
await "$dir/hold.out" '^cut' "the upload was not cut off"
await "$dir/third.log" ' cancelled:' "the node reports no cancelled request"
step "a resharing started; the node cut the upload off"
await "$dir/third.log" ' view: protocol=resharing'
[ -z "$(ls "$dir/third/state/keyshares" | grep shares || true)" ] || give_up "something was kept of the cancelled migration"
curl -s "http://$(word third admin)/status" >"$dir/status.json"
grep -q '"job": *"none"' "$dir/status.json" || give_up "the onboarding did not end"
"$build/mpc-backup" --home "$service" verify >"$dir/verify.out" || give_up "the vault does not verify"
for name in third new backup devnet; do stop $name; done
step "cancelled: nothing kept on the node, the backup is whole"
echo "the story took $(((($(date +%s%N) - began) + 500000000) / 1000000000)) seconds"
