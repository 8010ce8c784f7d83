#!/bin/bash
# SPDX-License-Identifier: MIT
# The main job with real processes over loopback: a local chain, a node's
# sidecar, the unattended backup service. Register, back up, lose the node,
# deliver to a new one, back up from that; then back again to a third with the
# one-shot verbs. Waits for events only.
set -u
# DIALECT=draft: in the names of the original design, with ephemeral keys that
# are published in the contract.
build=$(cd "${1:-build}" && pwd)
dialect=${DIALECT:-3.14.1}
announce=$([ "$dialect" = draft ] && echo contract || echo header)
b=$build/mpc-backup
op=$build/examples/operator
dir=$(mktemp -d "${TMPDIR:-/tmp}/mig-e2e-XXXXXX")
pids=()
# shellcheck disable=SC2317
finish() {
    local status=$?
    for p in "${pids[@]}"; do kill -TERM "$p" 2>/dev/null; done
    wait
    if [ $status -ne 0 ]; then
        for f in "$dir"/*.log; do echo "--- $f"; tail -40 "$f"; done
    fi
    rm -rf "$dir"
    exit $status
}
trap finish EXIT
cd "$dir" || exit 2
umask 077

die() {
    echo "FAIL: $*"
    exit 1
}
nap() { read -r -t 0.05 <> <(:) || true; }
# await FILE PATTERN: until a line of the file matches; 60 s at most.
await() {
    local until=$((SECONDS + 60))
    until grep -qE -- "$2" "$1" 2>/dev/null; do
        [ $SECONDS -lt $until ] || die "no '$2' in $1"
        nap
    done
}
# exits STATUS command...
exits() {
    local status=$1
    shift
    "$@" >out.log 2>&1
    local got=$?
    cat out.log >>outputs.log
    [ $got -eq "$status" ] || die "exit $got, not $status: $*: $(cat out.log)"
}
key() { # NAME: a folder with identity.key and vault.key; its public key in NAME/public
    "$b" --home "$1" keygen >public.tmp 2>/dev/null || die "keygen $1"
    mv public.tmp "$1/public"
}
# The dealer lives shorter than its keys.
threshold() { ASAN_OPTIONS=detect_leaks=0 "$build/examples/threshold" "$@"; }
start() { # LOG command...: in the background, its number in $started
    local log=$1
    shift
    "$@" >"$log" 2>&1 &
    started=$!
    pids+=("$started")
}
stop() { # PID
    kill -TERM "$1"
    wait "$1"
    local got=$?
    [ $got -eq 0 ] || die "process $1 ended with $got"
}

# ---- keys, shares, chain ------------------------------------------------
for name in backup publisher operator old oldaccess new newaccess third thirdaccess bob carol; do key $name; done
mkdir old/state new/state third/state bob/state carol/state
threshold deal v1.signer 5 2 old/state/keyshares old/vault.key \
    bob/state/keyshares bob/vault.key carol/state/keyshares carol/vault.key >keyset.json ||
    die "dealing"
secp=$(grep -oE 'secp256k1:[1-9A-HJ-NP-Za-km-z]+' keyset.json)
frost=$(grep -oE '"ed25519:[1-9A-HJ-NP-Za-km-z]+"' keyset.json | tr -d '"')
attempts=($(grep -oE '"attempt":[0-9]+' keyset.json | cut -d: -f2))
pub() { cat "$1/public"; }
function_key() {
    echo "{\"public_key\":\"$(pub "$1")\",\"permission\":{\"FunctionCall\":{\"allowance\":null,\"receiver_id\":\"v1.signer\",\"method_names\":[\"conclude_node_migration\",\"conclude_recovery\",\"publish_ephemeral_key\",\"submit_participant_info\"]}}}"
}
seat() { # account node access
    echo "{\"account_id\":\"$1\",\"url\":\"http://127.0.0.1:1\",\"tls_public_key\":\"$(pub "$2")\",\"account_public_key\":\"$(pub "$3")\"}"
}
cat >genesis.json <<G
{"chain_id":"mpc-devnet","height":1000,"dialect":"$dialect",
 "contract":{"account_id":"v1.signer","epoch_id":5,"threshold":2,
  "participants":[$(seat alice.near old oldaccess),$(seat bob.near bob bob),$(seat carol.near carol carol)],
  "domains":[{"protocol":"CaitSith","public_key":"$secp","attempt":${attempts[0]}},
             {"protocol":"Frost","public_key":"$frost","attempt":${attempts[1]}}]},
 "accounts":[{"account_id":"alice.near","balance":"1000000000000000000000000000","keys":[
   {"public_key":"$(pub operator)","permission":"FullAccess"},
   $(function_key publisher),$(function_key oldaccess),$(function_key newaccess),$(function_key thirdaccess)]}]}
G
start devnet.log "$build/mpc-devnet" --listen 127.0.0.1:0 --scenario 127.0.0.1:0 --genesis genesis.json --block-ms 100
await devnet.log '^listening'
rpc=http://$(grep -oE 'rpc=\S+' devnet.log | cut -d= -f2)
scenario=http://$(grep -oE 'scenario=\S+' devnet.log | cut -d= -f2)/scenario

# A thread that does not block SIGTERM, a hook's too, would be the process's end.
blocks_term() { # PID
    local mask
    for task in /proc/"$1"/task/*; do
        [ "${task##*/}" != "$1" ] || continue # waits for it
        mask=$(sed -n 's/^SigBlk:[[:space:]]*//p' "$task/status")
        [ $((16#${mask: -4} & 0x4000)) -ne 0 ] || die "thread $task does not block SIGTERM: $mask"
    done
}
node() { # NAME ACCESS: starts a sidecar; its address in $address, its number in $started
    cat >"$1/node.conf" <<C
[node]
account = alice.near
identity_key = $dir/$1/identity.key
access_key = $dir/$2/identity.key
[contract]
account = v1.signer
rpc = $rpc
poll_interval = 100ms
[listen]
migration = 127.0.0.1:0
[store]
path = $dir/$1/state
key = $dir/$1/vault.key
[protocol]
skew = 1s
announce = $announce
[hooks]
job_changed = /bin/true
C
    start "$1.log" "$build/mpc-migrationd" --config "$1/node.conf"
    await "$1.log" '^listening'
    address=$(grep -oE 'migration=\S+' "$1.log" | cut -d= -f2)
    blocks_term "$started"
}

# ---- register, back up ---------------------------------------------------
node old oldaccess
old=$started
cat >backup/mpc-backup.conf <<C
[node]
account = alice.near
node_url = https://$address
[contract]
account = v1.signer
rpc = $rpc
poll_interval = 100ms
[service]
access_key = $dir/publisher/identity.key
[protocol]
announce = $announce
C
exits 1 "$b" --home backup status
grep -q 'NOT SAFE: no backup service is registered' out.log || die "status before registering"
exits 0 "$b" --home backup register
grep -qE "near .*(register_backup_service|set_backup_service)" out.log || die "no near-cli command"
exits 77 "$b" --home backup backup
exits 77 "$b" --home backup register --send --operator-key old/identity.key
exits 0 "$b" --home backup register --send --operator-key operator/identity.key
exits 0 "$b" --home backup register --send --operator-key operator/identity.key
exits 1 "$b" --home backup status
if [ $announce = contract ]; then
    # A key that may not publish: said once, and no waiting for what cannot come.
    sed "s|^access_key.*|access_key = $dir/bob/identity.key|" backup/mpc-backup.conf >wrong.conf
    exits 77 "$b" --home backup --config wrong.conf backup
    [ "$(grep -c 'publish_ephemeral_key with \[service\] access_key: ' out.log)" = 1 ] || die "a wrong access key"
fi

start run.log "$b" --home backup run
run=$started
await run.log ' acknowledged: epoch 5'
await run.log ' safe: '
exits 0 "$b" --home backup status
grep -q 'in the vault yes, acknowledged' out.log || die "status after the backup"
exits 0 "$b" --home backup list --json
grep -q '"acknowledged": true' out.log || die "list"
exits 0 "$b" --home backup verify
grep -q '^1 keysets, 2 shares' out.log || die "verify"
exits 75 "$b" --home backup backup

# ---- a damaged backup is named, and fetched again without a restart ---------
shares=$(ls backup/vault/shares/*.shares)
printf X | dd of="$shares" bs=1 seek=200 conv=notrunc 2>/dev/null
exits 65 "$b" --home backup verify
grep -q "^damaged: $(basename "$shares" .shares)" out.log || die "verify does not name what is damaged"
exits 65 "$b" --home backup verify --json
grep -q "\"$(basename "$shares" .shares)\"" out.log || die "verify --json does not name what is damaged"
exits 0 "$b" --home backup list
grep -q ' 5 .*20..-.*DAMAGED' out.log || die "list of a damaged backup"
exits 1 "$b" --home backup status
grep -q ', 1 damaged' out.log && grep -q '^next: mpc-backup run' out.log || die "status of a damaged backup"
curl -sSf "$scenario" -d '{"op":"start_resharing"}' >/dev/null || die "scenario"
await run.log ' not_running: '
curl -sSf "$scenario" -d '{"op":"cancel_resharing"}' >/dev/null || die "scenario"
await run.log ' vault_damaged: 1 damaged files were moved to quarantine'
until [ "$(grep -c ' acknowledged: ' run.log)" -ge 2 ]; do nap; done
exits 0 "$b" --home backup verify
exits 0 "$b" --home backup status

# ---- lose the node, migrate ----------------------------------------------
kill -KILL "$old"
wait "$old" 2>/dev/null
rm -rf old/state
node new newaccess
new=$started
exits 0 "$op" attest "$rpc" v1.signer alice.near newaccess/identity.key "$(pub new)"
exits 0 "$op" start "$rpc" v1.signer alice.near operator/identity.key "https://$address" "$(pub new)" "$(pub newaccess)"
await run.log ' delivered: epoch 5'
await run.log ' backed_up: .*from https://'"$address"
until [ "$(grep -c ' acknowledged: ' run.log)" -ge 3 ]; do nap; done
exits 0 "$b" --home backup status --json
grep -q '"destination": null' out.log || die "the migration is not over"

# The new node's shares and others' sign under the unchanged group key.
stop "$new"
threshold sign v1.signer keyset.json "still the same key" \
    0 new/state/keyshares new/vault.key 2 carol/state/keyshares carol/vault.key >sign.log 2>&1 ||
    die "no signature: $(cat sign.log)"

# ---- stop, and once more by hand ------------------------------------------
stop "$run"
grep -q ' stopped: by a signal' run.log || die "run did not end cleanly"
exits 1 "$b" --home backup restore --wait 0
node third thirdaccess
third=$started
sed -i "s|^node_url.*|node_url = https://$address|" backup/mpc-backup.conf
exits 0 "$op" attest "$rpc" v1.signer alice.near thirdaccess/identity.key "$(pub third)"
exits 0 "$op" start "$rpc" v1.signer alice.near operator/identity.key "https://$address" "$(pub third)" "$(pub thirdaccess)"
exits 0 "$b" --home backup restore
grep -q "delivered: $(pub third) has the seat" out.log || die "restore"
exits 0 "$b" --home backup backup
grep -q 'backed up and read back: .*acknowledged by the node' out.log || die "backup by hand"
exits 0 "$b" --home backup backup
grep -q 'in the vault already' out.log || die "backup again"

# ---- a resharing stops everything -----------------------------------------
curl -sSf "$scenario" -d '{"op":"start_resharing"}' >/dev/null || die "scenario"
until "$b" --home backup status --json 2>/dev/null | grep -q '"protocol": "resharing"'; do nap; done
exits 75 "$b" --home backup restore --wait 0
exits 0 "$b" --home backup status
grep -q '^SAFE: the protocol is not running' out.log || die "status while resharing"

# ---- another server at the node's address -----------------------------------
curl -sSf "$scenario" -d '{"op":"cancel_resharing"}' >/dev/null || die "scenario"
until "$b" --home backup status --json 2>/dev/null | grep -q '"protocol": "running"'; do nap; done
rm -rf backup/vault
node bob newaccess
sed -i "s|^node_url.*|node_url = https://$address|" backup/mpc-backup.conf
exits 0 "$b" --home backup backup
grep -q "$address: no answer: the server's TLS key is not the node's key in the contract" out.log ||
    die "no complaint about the key"
grep -q 'backed up and read back' out.log || die "the node itself was not asked"
stop "$third"
rm -rf backup/vault
exits 69 "$b" --home backup backup
exits 0 "$b" --home backup list
grep -q 'the vault is empty' out.log || die "something was kept"

# ---- nothing secret anywhere -----------------------------------------------
for f in */identity.key */vault.key; do
    secret=$(tr -d '\n' <"$f")
    grep -qF "${secret#ed25519:}" ./*.log && die "$f was printed"
done
echo ok
