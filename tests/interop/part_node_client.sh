# SPDX-License-Identifier: MIT
# docs/clients/backup.mjs backs a real node up, and restores it onto another.
set -euo pipefail
umask 077
root=$(cd "$(dirname "$0")/../.." && pwd)
cp "$root"/docs/clients/*.mjs .
dir=$(mktemp -d) contract=v1.signer account=alice.near
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
trap 'tail -n 15 "$dir"/*.log' ERR

start() { # name command...
    "${@:2}" >"$dir/$1.out" 2>"$dir/$1.log" &
    pids+=($!)
}
await() { # file pattern
    timeout 30 bash -c 'exec 3< <(exec tail -s 0.02 -n +1 -F "$1" 2>/dev/null); t=$!; grep -m1 -qE -e "$2" <&3; r=$?; kill $t; exit $r' _ "$1" "$2" ||
        { echo "no '$2' in $1"; return 1; }
}
word() { sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" "$dir/$1.out"; }
make_node() { mkdir -m 700 "$dir/$1" "$dir/$1/state" && "$BUILD/examples/threshold" keys "$dir/$1" >"$dir/$1/public"; }
tls_key() { sed -n 1p "$dir/$1/public"; }
access_key() { sed -n 2p "$dir/$1/public"; }
operator() { "$BUILD/examples/operator" "$1" "$rpc" $contract $account "${@:2}" >>"$dir/operator.log" 2>&1; }
start_node() { # name
    cat >"$dir/$1/node.conf" <<CONF
[node]
account      = $account
identity_key = identity.key
access_key   = access.key
operator_key = ../operator.key
[contract]
account       = $contract
rpc           = $rpc
poll_interval = 100ms
[listen]
migration = 127.0.0.1:0
admin     = 127.0.0.1:0
[store]
path = state
key  = store.key
[protocol]
skew = 1s
CONF
    start "$1" "$BUILD/mpc-migrationd" --config "$dir/$1/node.conf"
    await "$dir/$1.out" '^listening' && await "$dir/$1.log" ' view: protocol=running'
}
random_key() { (umask 077 && od -An -vtx1 -N32 /dev/urandom | tr -d ' \n' >"$1"); }
configure() { # node
    cat >"$dir/client.json" <<JSON
{"contract":"$contract","account":"$account","rpc":"$rpc","node_url":"https://$(word "$1" migration)","service_key":"$dir/service/identity.key",
 "vault":"$dir/vault","vault_key":"$dir/vault.key","operator_key":"$dir/operator.key"}
JSON
}

# ---- three participants; the client's key is registered
for n in old bob carol operator; do make_node $n; done
random_key "$dir/operator.key" && random_key "$dir/vault.key"
"$BUILD/examples/threshold" deal $contract 5 2 $(for n in old bob carol; do echo "$dir/$n/state/keyshares $dir/$n/store.key"; done) >"$dir/keyset.json"
participants= i=0
for n in old bob carol; do
    participants+="${participants:+,}{\"account_id\":\"$([ $n = old ] && echo $account || echo $n.near)\",\"id\":$i,\"url\":\"http://127.0.0.1:$((9000 + i))\",\"tls_public_key\":\"$(tls_key $n)\",\"account_public_key\":\"$(access_key $n)\"}"
    i=$((i + 1))
done
cat >"$dir/genesis.json" <<JSON
{"dialect":"3.14.1",
 "contract":{"account_id":"$contract","threshold":2,"epoch_id":5,"participants":[$participants],
  "domains":[{"protocol":"CaitSith","public_key":"$(grep -o 'secp256k1:[A-Za-z0-9]*' "$dir/keyset.json")","attempt":0},
             {"protocol":"Frost","public_key":"$(grep -o 'ed25519:[A-Za-z0-9]*' "$dir/keyset.json")","attempt":0}]},
 "accounts":[{"account_id":"$account","balance":"1000000000000000000000000000","keys":[{"public_key":"$(access_key operator)"}]}]}
JSON
start devnet "$BUILD/mpc-devnet" --genesis "$dir/genesis.json" --listen 127.0.0.1:0 --scenario 127.0.0.1:0 --block-ms 100
await "$dir/devnet.out" '^listening'
rpc=http://$(word devnet rpc)
"$BUILD/mpc-backup" --home "$dir/service" keygen >/dev/null 2>&1
cat >"$dir/service/mpc-backup.conf" <<CONF
[node]
account  = $account
node_url = https://127.0.0.1:1
[contract]
account = $contract
rpc     = $rpc
CONF
"$BUILD/mpc-backup" --home "$dir/service" register --send --operator-key "$dir/operator/access.key" >"$dir/register.log" 2>&1

# ---- backup
start_node old
await "$dir/old.log" ' backup_key'
configure old
node backup.mjs fetch "$dir/client.json" >"$dir/fetch.out"
[ "$(grep -cE '^epoch 5 domain [01] attempt 0 (secp256k1|ed25519):' "$dir/fetch.out")" = 2 ]
grep -q 'knows this backup' "$dir/fetch.out"
await "$dir/old.log" ' backup_acknowledged'
node node_client.mjs "$dir/client.json"

# ---- the node is lost; recovery onto another
kill -KILL "${pids[1]}" && rm -rf "$dir/old/state"
make_node new
start_node new
operator grant "$dir/operator/access.key" "$(access_key new)"
operator attest "$dir/new/access.key" "$(tls_key new)"
operator start "$dir/operator/access.key" "https://$(word new migration)" "$(tls_key new)" "$(access_key new)"
await "$dir/new.log" ' job: waiting'
configure new
node backup.mjs recover "$dir/client.json" | grep -q '^imported: 2 shares of epoch 5'
await "$dir/new.log" ' job: done'
"$BUILD/examples/threshold" sign $contract "$dir/keyset.json" "recovered" \
    0 "$dir/new/state/keyshares" "$dir/new/store.key" 1 "$dir/bob/state/keyshares" "$dir/bob/store.key" >/dev/null
echo "a client of another make: backup, refusals, recovery, a signature with the shares"
