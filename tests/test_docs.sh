#!/bin/bash
# SPDX-License-Identifier: MIT
# What the documents say is what the code does: links lead somewhere, and every
# configuration key, option, event and metric stands in both.
set -u
cd "$(dirname "$0")/.." || exit 2
build=${1:-build}
failures=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mig-docs-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}
# same WHAT CODE DOCS: two files of words, one a line, must hold the same words.
same() {
    [ -s "$2" ] || fail "$1: none found in the code"
    while read -r word; do fail "$1: $word is not documented"; done < <(comm -23 <(sort -u "$2") <(sort -u "$3"))
    while read -r word; do fail "$1: $word is documented, but not in the code"; done < <(comm -13 <(sort -u "$2") <(sort -u "$3"))
}

# ---- relative links lead to files, and to headings --------------------------
anchors() { # FILE: of its headings, as a forge makes them
    sed -n 's/^#\{1,6\} //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}
links=0
for page in *.md docs/*.md; do
    while read -r link; do
        links=$((links + 1))
        path=${link%%#*}
        file=$page
        [ -z "$path" ] || file=$(dirname "$page")/$path
        [ -e "$file" ] || { fail "$page: $link leads nowhere" && continue; }
        [[ $link != *#* ]] || anchors "$file" | grep -qxF -- "${link#*#}" || fail "$page: $link: no such heading"
    done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//' | grep -vE '^[a-z]+:')
done
[ "$links" -gt 10 ] || fail "only $links links found"
# Pages that are merely named, in comments too.
while read -r page; do
    [ -e "$page" ] || fail "$page is spoken of, but not there"
done < <(git ls-files '*.md' '*.[ch]' '*.sh' '*.mjs' dist Makefile | xargs grep -ohE '\bdocs/[A-Za-z0-9_-]+\.(md|json)' | sort -u)

# ---- configuration keys -----------------------------------------------------
# "section.key" of a program's table; the contract's rows stand in a header.
keys_of() { # FILE
    cat "$1" <(grep -q MIG_CONFIG_CONTRACT_KEYS "$1" && sed -n '/define MIG_CONFIG_CONTRACT_KEYS/,/[^\\]$/p' cmd/config.h) |
        tr -d '\n\\' | grep -oE '\.section = "[a-z_]+", *\.name = "[a-z_]+"' | sed -E 's/\.section = "([a-z_]+)", *\.name = "([a-z_]+)"/\1.\2/'
}
# of an INI example: every `key =` below its `[section]`.
keys_of_ini() { awk '/^\[/{s=substr($1,2,index($1,"]")-2)} /^[a-z_]+ *=/{sub(/ *=.*/,"");print s"."$0}'; }
# of a manual: `.It [section] Ta key Ta`, `.It Ta key Ta`, `.It Ic [section] key , key`.
keys_of_man() { # FILE
    awk '/^\.It \[/{s=substr($2,2,length($2)-2); print s"."$4} /^\.It Ta [a-z_]+ Ta/{print s"."$3}
         /^\.It Ic \[/{s=substr($3,2,length($3)-2); for(i=4;i<=NF;i++) if($i!=",") print s"."$i}' "$1"
}
keys_of cmd/mpc_migrationd.c >"$tmp/code"
sed -n '/^```ini/,/^```$/p' docs/sidecar.md | keys_of_ini >"$tmp/docs"
same "key in docs/sidecar.md" "$tmp/code" "$tmp/docs"
keys_of_man dist/man/mpc-migrationd.8 >"$tmp/docs"
same "key in mpc-migrationd(8)" "$tmp/code" "$tmp/docs"
keys_of cmd/backup_app.c >"$tmp/code"
keys_of_man dist/man/mpc-backup.1 >"$tmp/docs"
same "key in mpc-backup(1)" "$tmp/code" "$tmp/docs"

# ---- options ----------------------------------------------------------------
options_of_man() { # FILE
    grep -oE '(Fl|\|) -[a-z-]+' "$1" | grep -oE -- '-[a-z-]+$' | sed 's/^-//'
}
options_of_help() { grep -oE '^  --[a-z-]+' | sed 's/^  --//'; }
{
    "$build/mpc-backup" --help
    for verb in keygen register access-key backup restore run watch verify status list; do "$build/mpc-backup" $verb --help; done
} | options_of_help >"$tmp/code"
options_of_man dist/man/mpc-backup.1 >"$tmp/docs"
same "option in mpc-backup(1)" "$tmp/code" "$tmp/docs"
for page in mpc-migrationd.8 mpc-devnet.1; do
    "$build/${page%.*}" --help | options_of_help >"$tmp/code"
    options_of_man "dist/man/$page" >"$tmp/docs"
    same "option in $page" "$tmp/code" "$tmp/docs"
done

# ---- events -----------------------------------------------------------------
# A name follows its level; some are picked from a table.
sources=(backup/*.c chain/*.c cmd/*.c handlers/*.c migration/*.c server/*.c store/*.c)
{
    sed -E 's/(case|return) MIG_LOG_[A-Z]+//' "${sources[@]}" | tr '\n' ' ' |
        grep -oE 'MIG_LOG_(ERROR|WARNING|NOTICE|INFO|DEBUG)[^"+;]*"[a-z_]+"( : "[a-z_]+")?' | grep -oE '"[a-z_]+"' | tr -d '"'
    sed -n '/static void report_task/,/^}/p' server/keeper.c | grep -oE '= "[a-z_]+"' | tr -d '= "'
    sed -n '/static const char \*task_word/,/^}/p' backup/service.c | grep -oE '"[a-z_]+"' | tr -d '"' | grep -vx none
    sed -n '/^} reasons\[/,/^};/p' backup/plan.c | tr -d '\n' | grep -oE '\{ *"[a-z_]+"' | tr -d '{ "'
} >"$tmp/code"
grep -oE '^\| (`[a-z_]+`(, )?)+' docs/events.md | grep -oE '`[a-z_]+`' | tr -d '`' >"$tmp/docs"
same "event in docs/events.md" "$tmp/code" "$tmp/docs"

# ---- metrics ----------------------------------------------------------------
grep -ohE '"(mpc|process)_[a-z_]+' server/*.c | tr -d '"' | sed -E 's/_(sum|count|bucket)$//' >"$tmp/code"
grep -oE '^\| `(mpc|process)_[a-z_]+`' docs/metrics.md | tr -d '|` ' >"$tmp/docs"
same "metric in docs/metrics.md" "$tmp/code" "$tmp/docs"

# ---- figures ----------------------------------------------------------------
grep -ohE '(printf[( ]|^ *)["'"'"'][a-z_0-9]+ %\.[0-9]f [a-zA-Z/]+' bench/*.c bench/run.sh | sed -E 's/.*["'"'"']([a-z_0-9]+) %.*/\1/' >"$tmp/code"
grep -oE '^\| (`[a-z_0-9]+`(, )?)+' docs/performance.md | grep -oE '`[a-z_0-9]+`' | tr -d '`' >"$tmp/docs"
same "figure in docs/performance.md" "$tmp/code" "$tmp/docs"

# ---- exit statuses ----------------------------------------------------------
grep -oE 'MIG_EXIT_[A-Z]+ = [0-9]+' cmd/options.h | grep -oE '[0-9]+$' >"$tmp/code"
sed -n '/^.Sh EXIT STATUS/,/^.Sh EXAMPLES/p' dist/man/mpc-backup.1 | sed -n 's/^\.It \([0-9]*\)$/\1/p' >"$tmp/docs"
same "exit status in mpc-backup(1)" "$tmp/code" "$tmp/docs"

# ---- what the first command plays, it builds --------------------------------
for x in $(grep -ohE 'build/(examples/)?[a-z-]+' tests/demo.sh | sort -u); do
    make -n B=nowhere demo 2>/dev/null | grep "nowhere/${x#build/}\b" >/dev/null || fail "make demo does not build ${x#build/}"
done

[ $failures -eq 0 ] && echo ok || exit 1
