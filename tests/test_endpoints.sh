#!/bin/bash
# SPDX-License-Identifier: MIT
# Several endpoints of one chain, one of them dead, and the verbs that look at
# the contract or give keys: what is sent is on the chain afterwards, and no
# endpoint's API key on any output.
set -u
build=$(cd "${1:-build}" && pwd)
b=$build/mpc-backup
dir=$(mktemp -d "${TMPDIR:-/tmp}/mig-endpoints-XXXXXX")
pids=()
finish() {
    local status=$?
    for p in "${pids[@]}"; do kill -TERM "$p" 2>/dev/null; done
    wait
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
await() { # FILE PATTERN
    local until=$((SECONDS + 60))
    until grep -qE -- "$2" "$1" 2>/dev/null; do
        [ $SECONDS -lt $until ] || die "no '$2' in $1: $(tail -5 "$1")"
        read -r -t 0.05 <> <(:) || true
    done
}
expect() { # STATUS TEXT command...
    local status=$1 text=$2
    shift 2
    "$@" >out 2>&1
    local got=$?
    cat out >>everything
    [ $got -eq "$status" ] || die "exit $got, not $status: $* ($(head -c 400 out))"
    grep -qF -- "$text" out || die "no '$text' from: $* ($(head -c 400 out))"
}
key() {
    "$b" --home "$1" keygen >public.tmp 2>/dev/null || die "keygen $1"
    mv public.tmp "$1/public"
}
for name in home operator node access other; do key $name; done
pub() { cat "$1/public"; }
group=secp256k1:4Q9aK3YhZAugWM3vJrePc5CAxL81yEXzkcT5zqSscURArmybYWJyDLhJ6vijgdDr6PfCcc3dgCvG2fgdoTtFfM7i

chain() { # DIALECT: a chain of this dialect; $rpc, and a configuration for it
    cat >genesis.json <<G
{"chain_id":"mpc-devnet","height":1000,"dialect":"$1",
 "contract":{"account_id":"v1.signer","epoch_id":5,"threshold":1,
  "participants":[{"account_id":"alice.near","url":"http://127.0.0.1:1","tls_public_key":"$(pub node)","account_public_key":"$(pub other)"}],
  "domains":[{"protocol":"CaitSith","public_key":"$group","attempt":0}]},
 "accounts":[{"account_id":"alice.near","balance":"1000000000000000000000000000","keys":[
   {"public_key":"$(pub operator)","permission":"FullAccess"}]}]}
G
    "$build/mpc-devnet" --listen 127.0.0.1:0 --scenario none --genesis genesis.json --block-ms 50 >"devnet-$1.log" 2>&1 &
    pids+=($!)
    await "devnet-$1.log" '^listening'
    rpc=http://$(grep -oE 'rpc=\S+' "devnet-$1.log" | cut -d= -f2)
    cat >home/mpc-backup.conf <<C
[node]
account = alice.near
[contract]
account = v1.signer
rpc = http://127.0.0.1:1/?key=hush, $rpc/?key=hush,
      $rpc
quorum = 2
poll_interval = 100ms
C
}
methods_of() { # KEY: as the chain has them
    curl -s -H 'Content-Type: application/json' -d "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"query\",\"params\":{\"request_type\":\"view_access_key\",\"finality\":\"optimistic\",\"account_id\":\"alice.near\",\"public_key\":\"$1\"}}" "$rpc" >key.json
    grep -oE '"method_names":\[[^]]*\]' key.json
}

chain 3.14.1
# What is printed
expect 0 "--function-names 'conclude_node_migration' use-manually-provided-public-key $(pub access) network-config testnet" \
    "$b" --home home access-key --role node --key "$(pub access)" --network testnet
expect 0 "--allowance '1 NEAR' --contract-account-id v1.signer" "$b" --home home access-key --role node --key "$(pub access)"
expect 1 "no key is needed" "$b" --home home access-key --role service --key "$(pub access)"
expect 64 "--role" "$b" --home home access-key --role operator --key "$(pub access)"
expect 64 "--key" "$b" --home home access-key --role node
expect 64 "--key" "$b" --home home access-key --role node --key "$(pub access)x"
expect 64 "go together" "$b" --home home access-key --role node --key "$(pub access)" --send
expect 64 "not a name" "$b" --home home access-key --role node --key "$(pub access)" --network "a'b"
# What is sent
expect 0 "may call conclude_node_migration of v1.signer" \
    "$b" --home home access-key --role node --key "$(pub access)" --send --operator-key operator/identity.key
[ "$(methods_of "$(pub access)")" = '"method_names":["conclude_node_migration"]' ] || die "other methods: $(cat key.json)"
grep -q '"allowance":"1000000000000000000000000"' key.json || die "another allowance: $(cat key.json)"
grep -q '"receiver_id":"v1.signer"' key.json || die "another receiver: $(cat key.json)"
expect 77 "was not added" "$b" --home home access-key --role node --key "$(pub access)" --send --operator-key operator/identity.key
expect 77 "was not added" "$b" --home home access-key --role node --key "$(pub other)" --send --operator-key access/identity.key

# A dead endpoint does not matter; two would.
expect 0 "is the backup service" "$b" --home home register --send --operator-key operator/identity.key
sed -i "s|$rpc\$|http://127.0.0.1:2|" home/mpc-backup.conf
expect 69 "cannot be read from http://127.0.0.1:" "$b" --home home status
sed -i "s|http://127.0.0.1:2\$|$rpc|" home/mpc-backup.conf

# Live
"$b" --home home watch --json >watch.json 2>watch.err &
watch=$!
pids+=($watch)
"$b" --home home watch >watch.txt 2>&1 &
people=$!
pids+=($people)
await watch.json '"fresh":true.*"protocol":"running","epoch":"5".*"backup_service":"ed25519:.*"is_this_service":true,"migration":null,"quorum":2'
await watch.json "\"origin\":\"http://127.0.0.1:1\",\"agreement\":\"outvoted\".*\"origin\":\"$rpc\",\"agreement\":\"agrees\""
await watch.txt "our node    $(pub node)"
await watch.txt '2 of 3 must agree'
kill -TERM $watch $people
wait $watch || die "watch --json ended with $?"
wait $people || die "watch ended with $?"
[ -s watch.err ] && die "watch --json says: $(cat watch.err)"
while read -r line; do
    python3 -c 'import json,sys; json.loads(sys.argv[1])' "$line" || die "not JSON: $line"
done < <(head -3 watch.json)

# The draft has a method for each.
chain draft
expect 0 "--function-names 'conclude_recovery' " "$b" --home home access-key --role node --key "$(pub access)"
expect 0 "--function-names 'publish_ephemeral_key' " "$b" --home home access-key --role service --key "$(pub access)"
printf '[service]\naccess_key = other/identity.key\n[protocol]\nannounce = contract\n' >>home/mpc-backup.conf
sed -i "s|other/identity.key|$dir/other/identity.key|" home/mpc-backup.conf
expect 0 "--function-names 'conclude_recovery, publish_ephemeral_key' " "$b" --home home access-key --role node --key "$(pub access)"
expect 0 '"publish_ephemeral_key"' "$b" --home home access-key --role service --key "$(pub access)" --json --send --operator-key operator/identity.key
[ "$(methods_of "$(pub access)")" = '"method_names":["publish_ephemeral_key"]' ] || die "other methods: $(cat key.json)"

grep -rl hush everything watch.json watch.txt && die "an API key is on an output"
echo ok
