#!/bin/bash
# SPDX-License-Identifier: MIT
# A node is replaced and comes back, twice, with real processes: A -> B -> A
# after A's shares were wiped, then A -> B again from the shares B still has.
# What was replaced stops serving at once and says so; `wipe` refuses whenever
# the shares may still be needed. The hooks of a served backup and of a recovery
# are told on the way. Waits for events only.
set -u
build=$(cd "${1:-build}" && pwd)
b=$build/mpc-backup
d=$build/mpc-migrationd
op=$build/examples/operator
dir=$(mktemp -d "${TMPDIR:-/tmp}/mig-return-XXXXXX")
pids=()
# shellcheck disable=SC2317
finish() {
    local status=$?
    for p in "${pids[@]}"; do kill -TERM "$p" 2>/dev/null; done
    wait
    if [ $status -ne 0 ]; then
        for f in "$dir"/*.log; do echo "--- $f"; tail -40 "$f"; done
    fi
    [ -n "${KEEP:-}" ] || rm -rf "$dir"
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
until_true() { # command...: until it succeeds; 60 s at most
    local until=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || die "never: $*"
        nap
    done
}
await() { until_true grep -qE -- "$2" "$1"; } # file pattern
exits() { # status command...
    local status=$1
    shift
    "$@" >out.log 2>&1
    local got=$?
    [ $got -eq "$status" ] || die "exit $got, not $status: $*: $(cat out.log)"
}
says() { grep -qE -- "$1" out.log || die "does not say '$1': $(cat out.log)"; }
start() { # log command...: in the background, its number in $started
    local log=$1
    shift
    "$@" >"$log" 2>&1 &
    started=$!
    pids+=("$started")
}
stop() { # pid
    kill -TERM "$1"
    wait "$1" || die "process $1 ended with $?"
}

# ---- a chain, two nodes of alice's, a backup service -------------------------
for n in a b operator bob; do
    mkdir -p $n/state
    "$build/examples/threshold" keys $n >$n/public
done
tls() { sed -n 1p "$1/public"; }
access() { sed -n 2p "$1/public"; }
"$build/examples/threshold" deal v1.signer 5 2 a/state/keyshares a/store.key bob/state/keyshares bob/store.key >keyset.json || die "dealing"
function_key() { echo "{\"public_key\":\"$(access "$1")\",\"permission\":{\"FunctionCall\":{\"allowance\":null,\"receiver_id\":\"v1.signer\",\"method_names\":[\"conclude_node_migration\",\"submit_participant_info\"]}}}"; }
cat >genesis.json <<G
{"dialect":"3.14.1",
 "contract":{"account_id":"v1.signer","epoch_id":5,"threshold":2,
  "participants":[{"account_id":"alice.near","url":"http://127.0.0.1:1","tls_public_key":"$(tls a)","account_public_key":"$(access a)"},
                  {"account_id":"bob.near","url":"http://127.0.0.1:2","tls_public_key":"$(tls bob)","account_public_key":"$(access bob)"}],
  "domains":[{"protocol":"CaitSith","public_key":"$(grep -o 'secp256k1:[A-Za-z0-9]*' keyset.json)","attempt":0},
             {"protocol":"Frost","public_key":"$(grep -o 'ed25519:[A-Za-z0-9]*' keyset.json)","attempt":0}]},
 "accounts":[{"account_id":"alice.near","balance":"1000000000000000000000000000","keys":[
   {"public_key":"$(access operator)","permission":"FullAccess"},$(function_key a),$(function_key b)]}]}
G
start devnet.log "$build/mpc-devnet" --listen 127.0.0.1:0 --scenario 127.0.0.1:0 --genesis genesis.json --block-ms 100
await devnet.log '^listening'
rpc=http://$(grep -oE 'rpc=\S+' devnet.log | cut -d= -f2)

# Each hook appends what it is told to a file of its node.
for n in a b; do
    printf '#!/bin/sh\ncat >>%s/%s/told\necho >>%s/%s/told\n' "$dir" $n "$dir" $n >$n/hook
    chmod 700 $n/hook
done
declare -A node address admin
run_node() { # name
    cat >"$1/node.conf" <<C
[node]
account = alice.near
identity_key = identity.key
access_key = access.key
[contract]
account = v1.signer
rpc = ${2:-$rpc}
poll_interval = 100ms
[listen]
migration = 127.0.0.1:0
admin = 127.0.0.1:0
[store]
path = state
key = store.key
[protocol]
skew = 1s
[hooks]
participants_changed = hook
purge_assets = hook
job_changed = hook
backup_served = hook
recovered = hook
C
    start "$1.log" "$d" --config "$1/node.conf"
    node[$1]=$started
    await "$1.log" '^listening'
    address[$1]=$(grep -oE 'migration=\S+' "$1.log" | tail -1 | cut -d= -f2)
    admin[$1]=$(grep -oE 'admin=\S+' "$1.log" | tail -1 | cut -d= -f2)
    await "$1.log" ' view: '
}
status() { curl -s "http://${admin[$1]}/status" >status.json; grep -qE -- "$2" status.json; }
metric() { curl -s "http://${admin[$1]}/metrics" | grep -qxF -- "$2"; }
migrate_to() { # name
    exits 0 "$op" attest "$rpc" v1.signer alice.near "$1/access.key" "$(tls "$1")"
    exits 0 "$op" start "$rpc" v1.signer alice.near operator/access.key "https://${address[$1]}" "$(tls "$1")" "$(access "$1")"
    until_true status "$1" '"job": "done"'
}
shares_of() { find "$1/state/keyshares" -name '*.shares' | wc -l; }
run_node a
metric a 'mpc_migration_decommissioned 0' || die "decommissioned before anything happened"
"$b" --home backup keygen >/dev/null 2>&1 || die keygen
cat >backup/mpc-backup.conf <<C
[node]
account = alice.near
node_url = https://${address[a]}
[contract]
account = v1.signer
rpc = $rpc
poll_interval = 100ms
C
exits 0 "$b" --home backup register --send --operator-key operator/access.key
start run.log "$b" --home backup run
run=$started
await run.log ' acknowledged: epoch 5'
await a/told '"event":"backup_served","epoch":"5","keyset":"[0-9a-f]{64}"'
digest=$(grep -oE '"keyset":"[0-9a-f]{64}' a/told | head -1 | cut -d'"' -f4)
until_true metric a 'mpc_migration_hook_pending{hook="backup_served"} 0'
metric a 'mpc_migration_hook_failures_in_a_row{hook="backup_served"} 0' || die "hook failures"

# ---- who holds the seat keeps its shares --------------------------------------
exits 75 "$d" wipe --config a/node.conf --yes-i-know="$digest"
stop "${node[a]}"
exits 1 "$d" wipe --config a/node.conf --yes-i-know="$digest"
says 'refused.*this node holds the seat'
[ "$(shares_of a)" = 1 ] || die "shares of the seat are gone"
run_node a

# ---- A -> B --------------------------------------------------------------------
run_node b
migrate_to b
await b/told "\"event\":\"recovered\",\"epoch\":\"5\",\"keyset\":\"$digest\",\"shares\":2,.*\"repeated\":false"
until_true status a '"last_seated_height": "[0-9]+"'
status a '"seat": "standby"' || die "the old node does not know"
metric a 'mpc_migration_decommissioned 1' || die "no metric of the decommissioned node"
await a/told '"event":"participants_changed".*"active":false'
[ "$(shares_of a)" = 1 ] || die "the old node lost its shares by itself"
await run.log ' backed_up: .*from https://'"${address[b]}"


# ---- decommissioned --------------------------------------------------------------
ask() { # name: again when no answer came at all
    local i
    for i in 1 2 3; do
        "$build/tests/ask_node" "$rpc" v1.signer alice.near backup/identity.key "https://${address[$1]}" "$(tls "$1")" && return
    done
}
[ "$(ask a)" = "403 decommissioned" ] || die "the old node answers $(ask a)"
[ "$(ask b)" = "200 " ] || die "the new node answers $(ask b)"
stop "${node[a]}"
run_node a
[ "$(ask a)" = "403 decommissioned" ] || die "the old node forgot over a restart: $(ask a)"
metric a 'mpc_migration_decommissioned 1' || die "the metric did not survive a restart"

# ---- wipe refuses ----------------------------------------------------------------
wipe() { "$d" wipe --config "$1/node.conf" "${@:2}"; }
exits 75 wipe a --yes-i-know="$digest"
says 'another process'
stop "${node[a]}"
exits 1 wipe a </dev/null
says 'no terminal'
exits 1 wipe a --yes-i-know="${digest:0:7}"
exits 1 wipe a --yes-i-know="00000000"
exits 64 wipe a --yes-i-know=
exits 64 wipe a --yes-i-now="$digest"
exits 64 "$d" wipe
sed "s|^rpc.*|rpc = http://127.0.0.1:1|" a/node.conf >a/blind.conf
exits 69 "$d" wipe --config a/blind.conf --yes-i-know="$digest"
says 'cannot be read, nothing was touched'
# B came by the migration, so it holds the seat.
exits 75 wipe b --offline --yes-i-know="$digest"
[ "$(shares_of a)" = 1 ] && [ "$(shares_of b)" = 1 ] || die "a refused wipe touched something"

# ---- wiped, on a terminal -----------------------------------------------------------
ln a/state/keyshares/*.shares witness
cp witness before
script -qec "$d wipe --config a/node.conf" /dev/null <<<"no" >out.log 2>&1 && die "a wrong answer wipes"
says 'not confirmed'
script -qec "$d wipe --config a/node.conf" /dev/null <<<"${digest:0:8}" >out.log 2>&1 || die "wipe on a terminal: $(cat out.log)"
says "$digest  epoch 5, 2 shares, .*the contract's keyset"
says "the seat is $(tls b)"
[ "$(shares_of a)" = 0 ] || die "the shares are still there"
cmp -s witness before && die "not overwritten"
[ "$(stat -c %s witness)" = "$(stat -c %s before)" ] || die "not overwritten in place"
exits 0 wipe a --yes-i-know="$digest"
says '0 files'

# ---- B -> A: back, by an upload ------------------------------------------------------
rm a/told
run_node a
[ "$(ask a)" = "403 decommissioned" ] || die "a wiped node answers $(ask a)"
metric a 'mpc_migration_decommissioned 1' || die "a wiped node forgot"
migrate_to a
await a/told '"event":"recovered".*"repeated":false'
metric a 'mpc_migration_decommissioned 0' || die "back, and still decommissioned"
status a '"decommissioned": null' || die "back, and still decommissioned in /status"
until_true metric b 'mpc_migration_decommissioned 1'
[ "$(ask b)" = "403 decommissioned" ] || die "B answers $(ask b)"
[ "$(ask a)" = "200 " ] || die "A answers $(ask a)"

# ---- A -> B: back, with the shares it kept ---------------------------------------------
rm b/told
stop "${node[b]}"
run_node b
# No service this time: what B kept must do.
kill -TERM "$run" && wait "$run"
migrate_to b
grep -q '"event":"recovered"' b/told && die "B imported although it had the shares"
until_true metric a 'mpc_migration_decommissioned 1'
[ "$(ask b)" = "200 " ] || die "B answers $(ask b)"
stop "${node[a]}"
exits 0 "$d" wipe --config a/blind.conf --offline --yes-i-know="${digest:0:12}"
says 'NOT ASKED'
[ "$(shares_of a)" = 0 ] || die "not wiped offline"
stop "${node[b]}"
exits 1 wipe b --yes-i-know="$digest"
says 'this node holds the seat'
grep -qi bug ./*.log && die "a bug was reported"
echo "a node was replaced and came back, twice; 403 decommissioned in between"
