#!/bin/bash
# SPDX-License-Identifier: MIT
# mpc-backup as an operator meets it: keys that are never replaced, messages
# that name file and line, exit statuses, and nothing secret on any output.
set -u
umask 077
build=$(cd "${1:-build}" && pwd)
b=$build/mpc-backup
man=$(cd "$(dirname "$0")/../dist/man" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/mig-cli-XXXXXX")
trap 'rm -rf "$dir"' EXIT
failures=0
cd "$dir" || exit 2

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}
# expect STATUS TEXT command...: the status, and TEXT somewhere in the output.
expect() {
    local status=$1 text=$2
    shift 2
    "$@" >out 2>&1
    local got=$?
    cat out >>everything
    [ $got -eq "$status" ] || fail "exit $got, not $status: $* ($(head -c 300 out))"
    grep -qF -- "$text" out || fail "no '$text' from: $* ($(head -c 300 out))"
}

# Command line
expect 64 "a verb is missing" "$b"
expect 64 "did you mean backup" "$b" bakcup
expect 64 "did you mean --home" "$b" status --hoem x
expect 64 "--home is given twice" "$b" status --home a --home b
expect 64 "takes no operands" "$b" status now
expect 64 "did you mean restore" "$b" --wait 4 restor
expect 64 "go together" "$b" register --send
expect 64 "needs a value" "$b" list --home
expect 0 "Verbs:" "$b" --help
expect 0 "mpc-backup " "$b" --version
for verb in keygen register access-key backup restore run watch verify status list; do
    expect 0 "Usage: mpc-backup $verb" "$b" "$verb" --help
    expect 0 "Exit status: 0 done" "$b" "$verb" --help
done

# The manuals know every option that --help knows.
documented() { # PAGE, --help on standard input
    local o
    for o in $(grep -oE '^  --[a-z-]+' | tr -d ' -' | sort -u); do
        tr -d -- - <"$man/$1" | grep -qE "Fl $o\b|, Fl $o\b" || fail "$1 lacks --$o"
    done
}
documented mpc-backup.1 < <(
    "$b" --help
    for verb in keygen register access-key backup restore run watch verify status list; do "$b" $verb --help; done
)
documented mpc-devnet.1 < <("$build/mpc-devnet" --help)

# Keys
expect 0 "ed25519:" "$b" --home home keygen
[ "$(stat -c %a home)" = 700 ] || fail "home is $(stat -c %a home)"
for f in identity.key vault.key; do
    [ "$(stat -c %a home/$f)" = 600 ] || fail "$f is $(stat -c %a home/$f)"
done
sha256sum home/* >before
expect 1 "nothing was changed" "$b" --home home keygen
rm home/vault.key
expect 1 "nothing was changed" "$b" --home home keygen
[ ! -e home/vault.key ] || fail "keygen made half a home"
rm -rf home
# Half a home would be refused for ever after: what is written fails as a whole.
mkdir -m 700 home
ln -s nowhere home/vault.key
expect 1 "nothing was changed" "$b" --home home keygen
[ "$(ls home)" = vault.key ] || fail "keygen made half a home: $(ls home)"
rm -rf home
"$b" --home home keygen --json >out 2>>everything || fail "keygen --json"
cat out >>everything
grep -q '"public_key": "ed25519:' out || fail "no public key in JSON"
sha256sum home/* >before

# Configuration
good() {
    printf '[node]\naccount = alice.near\n[contract]\naccount = v1.signer\nrpc = http://127.0.0.1:1\n%s\n' "${1:-}"
}
expect 78 "home/mpc-backup.conf: no such file" "$b" --home home list
good '[nodes]
x = 1' >home/mpc-backup.conf
expect 78 "mpc-backup.conf:7: unknown section; did you mean [node]?" "$b" --home home list
good 'poll_intervall = 1s' >home/mpc-backup.conf
expect 78 "mpc-backup.conf:6: unknown key in [contract]; did you mean poll_interval?" "$b" --home home list
good 'rpc = x' >home/mpc-backup.conf
expect 78 "is given twice" "$b" --home home list
printf '[node]\naccount = Alice\n[contract]\naccount = v1.signer\nrpc = http://127.0.0.1:1\n' >home/mpc-backup.conf
expect 78 "mpc-backup.conf:2: [node] account: not a NEAR account id" "$b" --home home list
printf '[node]\naccount = alice.near\nnode_url = ftp://x\n[contract]\naccount = v1.signer\nrpc = http://127.0.0.1:1\n' >home/mpc-backup.conf
expect 78 "mpc-backup.conf:3: [node] node_url" "$b" --home home list
good >elsewhere.conf
rm home/mpc-backup.conf
expect 0 "the vault is empty" "$b" --home home --config elsewhere.conf list
good >home/mpc-backup.conf

# Without a network
expect 0 "the vault is empty" "$b" --home home list
expect 0 "[]" "$b" --home home list --json
expect 0 "0 keysets, 0 shares" "$b" --home home verify
expect 0 '"good": true' "$b" --home home verify --json
[ ! -e home/vault ] || fail "reading made a vault"
expect 69 "cannot be read from http://127.0.0.1:1" "$b" --home home status
expect 69 "cannot be read" "$b" --home home backup
expect 69 "cannot be read" "$b" --home home restore --wait 0
expect 69 "cannot be read" "$b" --home home register
good 'dialect = deployed' >home/mpc-backup.conf
expect 0 "register_backup_service" "$b" --home home register --network testnet
expect 0 "testnet" "$b" --home home register --network testnet
expect 64 "--wait" "$b" --home home restore --wait soon
good >home/mpc-backup.conf

# What nobody can read was not done.
for verb in list verify; do
    "$b" --home home $verb >/dev/full 2>out
    got=$?
    [ $got -eq 74 ] || fail "exit $got with a full standard output: $verb"
    grep -q "cannot write to standard output" out || fail "no word about a full standard output"
done

# Who may write here may name an endpoint that lies.
chmod 620 home/mpc-backup.conf
expect 77 "mpc-backup.conf: others may change it" "$b" --home home status
chmod 644 home/mpc-backup.conf
expect 0 "the vault is empty" "$b" --home home list
chmod 777 home
expect 77 "home: others may write into it: chmod go-w" "$b" --home home list
chmod 700 home

# Key files that must not be used
chmod 644 home/identity.key
expect 77 "identity.key" "$b" --home home status
chmod 600 home/identity.key
chmod 640 home/vault.key
expect 77 "vault.key" "$b" --home home verify
chmod 600 home/vault.key
mv home/identity.key real
ln -s ../real home/identity.key
expect 77 "identity.key" "$b" --home home status
rm home/identity.key
mv real home/identity.key
head -c 40 home/identity.key >home/short.key
chmod 600 home/short.key
good '[service]
identity_key = short.key' >home/mpc-backup.conf
expect 65 "short.key" "$b" --home home status
good >home/mpc-backup.conf
mv home/vault.key away
expect 78 "keygen" "$b" --home home verify

# Keys handed over by the service manager
mkdir credentials
mv away credentials/vault.key
expect 0 "0 keysets" env CREDENTIALS_DIRECTORY="$dir/credentials" "$b" --home home verify
mv credentials/vault.key home/vault.key

# One owner: a running service keeps others from acting, not from looking.
good >home/mpc-backup.conf
"$b" --home home run >run.log 2>&1 &
run=$!
for _ in $(seq 200); do
    [ -e home/vault/shares/lock ] && grep -q started run.log && break
    read -r -t 0.05 <> <(:) || true
done
expect 75 "another mpc-backup uses the vault" "$b" --home home backup
expect 0 "the vault is empty" "$b" --home home list
kill -TERM $run
wait $run
status=$?
[ $status -eq 0 ] || fail "run ended with $status"
grep -q "stopped: by a signal" run.log || fail "no clean end in the log"
cat run.log >>everything

# Secrets: never on any output, never changed
for f in identity.key vault.key; do
    secret=$(tr -d '\n' <home/$f)
    grep -qF "${secret#ed25519:}" everything && fail "$f was printed"
done
sha256sum -c --quiet before || fail "a key file changed"

[ $failures -eq 0 ] && echo "ok" || exit 1
