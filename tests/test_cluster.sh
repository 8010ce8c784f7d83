#!/bin/bash
# SPDX-License-Identifier: MIT
# Four nodes that embed the library (examples/node.c), a local chain and a
# backup service. One node is lost and comes back as another machine while the
# others keep signing: connections to it are made anew under the new key, the
# assets that involved the old one vanish everywhere, and a signature with the
# new one verifies under the unchanged group key. Prints the longest pause
# between two signatures around the swap. Waits for events only.
set -u
build=$(cd "${1:-build}" && pwd)
most_pause=3000 # ms between two signatures, at most
dir=$(mktemp -d "${TMPDIR:-/tmp}/mig-cluster-XXXXXX")
pids=()
# shellcheck disable=SC2317
finish() {
    local status=$?
    for p in "${pids[@]}"; do kill -TERM "$p" 2>/dev/null; done
    wait
    if [ $status -ne 0 ]; then
        for f in "$dir"/*.log "$dir"/*.err; do echo "--- $f"; grep -v '^signed' "$f" | tail -25; done
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
until_true() { # command...: until it succeeds; 60 s at most
    local until=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || die "never: $*"
        nap
    done
}
await() { until_true grep -qE -- "$2" "$1"; } # file pattern
start() { # name command...
    local name=$1
    shift
    "$@" >"$name.log" 2>"$name.err" &
    started=$!
    pids+=("$started")
}

# ---- keys, shares, ports, chain -------------------------------------------------
names=(alice bob carol dave)
for n in alice bob carol dave new operator; do
    mkdir -p $n/state
    "$build/examples/threshold" keys $n >$n/public || die keys
done
tls() { sed -n 1p "$1/public"; }
access() { sed -n 2p "$1/public"; }
base=
for _ in 1 2 3 4 5 6 7 8 9; do # five free ports in a row
    try=$((20000 + RANDOM % 10000)) busy=
    for i in 0 1 2 3 4; do (: </dev/tcp/127.0.0.1/$((try + i))) 2>/dev/null && busy=yes; done
    [ -z "$busy" ] && base=$try && break
done
[ -n "$base" ] || die "no free ports"
"$build/examples/threshold" deal v1.signer 5 3 $(for n in "${names[@]}"; do echo "$n/state/keyshares $n/store.key"; done) >keyset.json || die dealing
participants= accounts=
for i in 0 1 2 3; do
    n=${names[$i]}
    participants+="${participants:+,}{\"account_id\":\"$n.near\",\"id\":$i,\"url\":\"http://127.0.0.1:$((base + i))\",\"tls_public_key\":\"$(tls "$n")\",\"account_public_key\":\"$(access "$n")\"}"
done
cat >genesis.json <<G
{"dialect":"3.14.1",
 "contract":{"account_id":"v1.signer","epoch_id":5,"threshold":3,"participants":[$participants],
  "domains":[{"protocol":"CaitSith","public_key":"$(grep -o 'secp256k1:[A-Za-z0-9]*' keyset.json)","attempt":0},
             {"protocol":"Frost","public_key":"$(grep -o 'ed25519:[A-Za-z0-9]*' keyset.json)","attempt":0}]},
 "accounts":[{"account_id":"alice.near","balance":"1000000000000000000000000000","keys":[{"public_key":"$(access operator)"},
   {"public_key":"$(access new)","permission":{"FunctionCall":{"allowance":null,"receiver_id":"v1.signer","method_names":["conclude_node_migration","submit_participant_info"]}}}]}]}
G
start devnet "$build/mpc-devnet" --listen 127.0.0.1:0 --scenario none --genesis genesis.json --block-ms 100
await devnet.log '^listening'
rpc=http://$(grep -oE 'rpc=\S+' devnet.log | cut -d= -f2)

declare -A pid
run_node() { # name account port [lead]
    start "$1" "$build/examples/node" v1.signer "$2.near" "$rpc" "$dir/$1" "$3" ${4:+"$4"}
    pid[$1]=$started
    await "$1.log" '^listening'
}
migration() { grep -oE 'migration=\S+' "$1.log" | cut -d= -f2; }
for i in 0 1 2 3; do run_node "${names[$i]}" "${names[$i]}" $((base + i)) $([ $i = 1 ] && echo lead); done
for n in "${names[@]}"; do
    for i in 0 1 2 3; do [ "${names[$i]}" = "$n" ] || await $n.log "^link $i up"; done
done
await bob.log '^triples made for 0xf$'
await bob.log '^signed .* by 1 0 2$'

# ---- the backup service -----------------------------------------------------------
"$build/mpc-backup" --home backup keygen >/dev/null 2>&1 || die keygen
cat >backup/mpc-backup.conf <<C
[node]
account = alice.near
node_url = https://$(migration alice)
recover_url = https://127.0.0.1:1
[contract]
account = v1.signer
rpc = $rpc
poll_interval = 100ms
C
"$build/mpc-backup" --home backup register --send --operator-key operator/access.key >out.log 2>&1 || die "register: $(cat out.log)"
run_node new alice $((base + 4))
sed -i "s|^recover_url.*|recover_url = https://$(migration new)|" backup/mpc-backup.conf
start run "$build/mpc-backup" --home backup run
await run.err ' acknowledged: epoch 5'
await alice.log '^backup served: epoch 5'

# ---- alice is lost; the others keep signing ------------------------------------------
kill -KILL "${pid[alice]}"
wait "${pid[alice]}" 2>/dev/null
for n in bob carol dave; do await $n.log '^link 0 down'; done
await bob.log '^triples made for 0xe$'
await bob.log '^signed .* by 1 2 3$'
lost_at=$(grep -c '^signed' bob.log)

# ---- the swap ------------------------------------------------------------------------
"$build/examples/operator" attest "$rpc" v1.signer alice.near new/access.key "$(tls new)" >out.log 2>&1 || die "attest: $(cat out.log)"
"$build/examples/operator" start "$rpc" v1.signer alice.near operator/access.key "http://127.0.0.1:$((base + 4))" "$(tls new)" "$(access new)" >out.log 2>&1 || die "start: $(cat out.log)"
await new.log '^recovered: epoch 5, 2 shares'
await new.log '^job done'
for n in bob carol dave; do
    await $n.log '^changed active=1 gone=1 all=0'
    await $n.log "^link 0 up $(tls new)"
    await $n.log '^purged gone=0x1 '
    line=$(grep '^purged gone=0x1 ' $n.log)
    read -r before after expected < <(sed -E 's/.*before=([0-9]+) after=([0-9]+) expected=([0-9]+).*/\1 \2 \3/' <<<"$line")
    [ "$after" = "$expected" ] && [ "$after" -lt "$before" ] && [ "$after" -gt 0 ] || die "$n purged wrongly: $line"
done
[ "$(grep -c "^link 0 up" bob.log)" = 2 ] || die "connections to 0: $(grep '^link 0' bob.log)"
for n in carol dave; do
    [ "$(grep -c '^link 1' $n.log)" = 1 ] || die "$n dropped a connection that was none of its business"
done
tail -n +"$(grep -n "^link 0 up $(tls new)" bob.log | cut -d: -f1)" bob.log >after.log
until_true eval 'tail -n +'"$(grep -n "^link 0 up $(tls new)" bob.log | cut -d: -f1)"' bob.log | grep -q "^signed .* by 1 0 2$"'
[ "$(grep -c '^signed' bob.log)" -gt "$lost_at" ] || die "no signatures after the loss"
pause=$(grep '^signed' bob.log | sed -E 's/.*after ([0-9]+) ms.*/\1/' | sort -n | tail -1)
[ "$pause" -le $most_pause ] || die "signing paused $pause ms"
[ "$(grep '^changed' alice.log bob.log carol.log dave.log | grep -c 'gone=1')" = 3 ] || die "told more than once"
for n in bob carol dave new; do
    kill -TERM "${pid[$n]}"
    wait "${pid[$n]}" || die "$n ended with $?"
done
echo "signatures: $(grep -c '^signed' bob.log); longest pause between two: $pause ms (at most $most_pause); purged: $line"
