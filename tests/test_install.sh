#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs below another root, as a package would, and uses what lies there:
# the shared library exports exactly what the header promises, and a C and a
# C++ program build against it with pkg-config and nothing else; so does one in
# Rust, with rustc and nothing else.
set -euo pipefail
build=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make -s install B="$build" DESTDIR="$root" PREFIX=/usr >/dev/null

for file in bin/mpc-backup bin/mpc-devnet sbin/mpc-migrationd include/mpc_migration.h lib/libmpcmigration.a \
    lib/libmpcmigration.so lib/pkgconfig/mpc-migration.pc; do
    test -e "$root/usr/$file" || { echo "not installed: $file"; exit 1; }
done

promised=$(grep -oE 'MIG_API [^;]*\b(mig_[a-z_]+)\(' include/mpc_migration.h | grep -oE 'mig_[a-z_]+\($' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$root/usr/lib/libmpcmigration.so" | awk '$2 ~ /[TDBR]/ && $3 !~ /^__|^mangle_path$/ {print $3}' | sort -u) # libgcov exports one
[ "$promised" = "$exported" ] || { diff <(echo "$promised") <(echo "$exported"); echo "header and exports differ"; exit 1; }
test "$(objdump -p "$root/usr/lib/libmpcmigration.so" | awk '/SONAME/{print $2}')" = libmpcmigration.so.0

cat >"$root/user.c" <<'EOF'
#include <mpc_migration.h>
#include <stdio.h>
int main(void)
{
    struct mig_config config = {0};
    struct mig_plugin *plugin = NULL;
    char why[MIG_WHY_MAX];
    enum mig_err err = mig_start(&config, NULL, &plugin, why);
    printf("%s %s: %s\n", mig_version(), mig_err_text(err), why);
    mig_stop(&plugin, 0);
    return err == MIG_ERR_MALFORMED ? 0 : 1;
}
EOF
cp "$root/user.c" "$root/user.cc"
sed -i 's/= {0}/= {}/' "$root/user.cc"
export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=
flags=$(pkg-config --define-variable=prefix="$root/usr" --define-variable=libdir="$root/usr/lib" --cflags --libs mpc-migration)
# Not a pipe: grep ends early, and with pipefail that would count as a failure.
if grep -q __asan_init < <(nm -D "$root/usr/lib/libmpcmigration.so"); then
    echo "a sanitized library cannot be loaded by an ordinary program: exports checked only"
    exit 0
fi
gcc -Wall -Werror -o "$root/user" "$root/user.c" $flags
g++ -Wall -Werror -o "$root/user++" "$root/user.cc" $flags
export LD_LIBRARY_PATH=$root/usr/lib
"$root/user"
"$root/user++"

# The whole life of a plugin, from other languages: args are key files, a state
# folder and a state to feed.
"$build/examples/threshold" keys "$root" >/dev/null
g++ -std=c++17 -Wall -Wextra -Werror -o "$root/embed++" tests/embed/user.cc $flags
"$root/embed++" "$root/identity.key" "$root/store.key" "$root/state-c++" tests/data/state-running.json
rustc=$(command -v rustc || true)
if [ -n "$rustc" ]; then
    "$rustc" --edition 2021 -D warnings -A dead_code -L "native=$root/usr/lib" -o "$root/embed-rs" tests/embed/user.rs
    "$root/embed-rs" "$root/identity.key" "$root/store.key" "$root/state-rs" tests/data/state-running.json
else
    echo "SKIPPED: there is no rustc here; the Rust embedder was not built"
fi
"$root/usr/sbin/mpc-migrationd" --version
"$root/usr/bin/mpc-backup" --version
"$root/usr/bin/mpc-devnet" --version
